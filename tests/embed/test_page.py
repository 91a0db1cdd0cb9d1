"""What the page and the list of an embedding say of a few photos, with names of all kinds."""

from dataclasses import replace

import numpy as np
import pytest

from fishnet.data.folder import PhotoFolder
from fishnet.data.listing import FolderSource
from fishnet.embed.embedding import Embedding, measure, measured_positions
from fishnet.embed.page import embedding_page, sentences
from fishnet.embed.plane import planes
from fishnet.embed.vectors import SMALL, Vectors
from fishnet.measure.intervals import Interval
from tests.support.drawing import draw_folder

ODD = 2  # photos of the first class that lie among the second


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> PhotoFolder:
    root = draw_folder(tmp_path_factory.mktemp("photos"), ["perch", "pike"], photos=8, size=32)
    for number, path in enumerate(sorted(root.glob("*/*.jpg"))):
        path.rename(path.with_name(f'{number} | "a", <i>.jpg'))
    return PhotoFolder(source=FolderSource(str(root)), cache="off", duplicates="ignore")


def embedded(folder: PhotoFolder, odd: int = ODD, noise: float = 0.05) -> Embedding:
    """Photos in a cloud for each class; some of the folder's first photos lie in the other cloud."""
    sides = np.array([path.startswith("pike") for path in folder.table["path"]]).astype(int)
    sides[:odd] = 1
    values = (np.eye(2)[sides] + noise * np.random.default_rng(0).normal(size=(len(sides), 2))).astype(np.float32)
    vectors = Vectors(np.arange(len(sides)), values, "two numbers", np.zeros(len(sides), bool))
    positions = measured_positions(folder, vectors)
    laid = planes(values, ["pca"], perplexity=3, seed=0)
    return Embedding(folder, vectors, laid, positions, measure(folder, vectors, positions, seed=0))


def page_of(embedding: Embedding, tmp_path) -> str:
    from fishnet.embed.pictures import draw_each_class

    draw_each_class(embedding, tmp_path / "classes.png")
    return embedding_page(embedding, embedding.folder.images(SMALL), tmp_path)


def test_names_may_hold_whatever_separates_names_in_the_list(folder, tmp_path):
    embedding = embedded(folder)
    assert len(embedding.suspects) == ODD and " | " in embedding.suspects["path"].iloc[0]
    page = page_of(embedding, tmp_path)
    assert "Likely wrong labels" in page and "<i>" not in page


def test_no_photo_is_moved_to_a_class_that_is_no_folder(folder):
    listed = embedded(replace(folder, positive="pike")).suspects  # the two are called `not pike`, and lie among pikes
    assert listed["action"].tolist() == ["relabel"] * ODD and set(listed["value"]) == {"pike"}
    listed = embedded(replace(folder, positive="perch")).suspects
    assert listed["action"].tolist() == ["drop"] * ODD and set(listed["claimed_by"]) == {"not perch"}


@pytest.mark.parametrize(
    ("odd", "sentence"),
    [
        (1, "1 photo lies among another class; suspects.csv proposes to relabel 1, most of"),
        (2, "2 photos lie among another class; suspects.csv proposes to relabel 2, most of"),
    ],
)
def test_sentences_agree_with_their_numbers(folder, odd, sentence):
    assert any(sentence in said for said in sentences(embedded(folder, odd)))


def test_what_a_group_is_worth_is_the_difference_of_the_printed_shares_or_nothing(folder):
    embedding = embedded(folder)
    embedding.table["group"] = 0

    def leak(ungrouped: float, grouped: float) -> str:
        figures = {
            **embedding.found.figures,
            "knn_ungrouped": Interval(ungrouped, 0, 1),
            "knn": Interval(grouped, 0, 1),
        }
        changed = replace(embedding, found=replace(embedding.found, figures=figures))
        changed.__dict__["table"] = embedding.table
        return sentences(changed)[0]

    assert leak(0.414, 0.266).endswith("41% of the photos, and of 27% where they are of other groups: photos of the "
                                       "same group are worth 14 points.")  # fmt: skip
    assert leak(0.5, 0.49).endswith("worth 1 point.") and leak(0.5, 0.6).endswith("worth nothing.")
