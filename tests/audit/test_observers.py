"""How much of a class hangs on one person: the closed form is what fitting again without that person gives."""

from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from fishnet import ImageClassifier
from fishnet.audit.observers import COLUMNS, SHOWN, observer_shares, observers_section
from fishnet.audit.ridge import Head
from fishnet.data.folder import PhotoFolder
from fishnet.data.listing import FolderSource
from fishnet.page.page import render_page
from fishnet.reef.make import make_reef


def folder(seed=0, photos=90, numbers=12):
    rng = np.random.default_rng(seed)
    label, person = rng.integers(3, size=photos), rng.integers(5, size=photos)
    person[: photos // 2] = 0  # more photos than numbers: the other way to leave out
    features = rng.normal(size=(photos, numbers)) + rng.normal(size=(3, numbers))[label]
    return features, label, person


def test_leaving_out_equals_fitting_again():
    features, label, person = folder()
    head = Head.fitted(features, label, 0.1)
    for blocks in (np.arange(len(label)), person, person // 2):
        answers = head.without(blocks)
        for block in np.unique(blocks):
            left = blocks == block
            inputs, targets = head.inputs[~left], head.targets[~left]
            ridge = np.diag([*[0.1] * features.shape[1], 0])
            fitted = np.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ targets)
            assert np.allclose(answers[left], (head.inputs[left] @ fitted) / head.roots[left], atol=1e-8)


def test_it_names_the_person_on_whom_a_class_hangs():
    rng = np.random.default_rng(1)
    label, person = np.repeat([0, 1], 100), np.tile(np.repeat(["Ann", "Bob", "Cid", "Dan"], 25), 2)
    features = rng.normal(size=(200, 20)) + 3 * np.eye(20)[label]
    of_ann = (person == "Ann") & (label == 1)
    features[of_ann] -= 3 * np.eye(20)[1]  # nothing of the animal is in her photos of this class,
    features[of_ann] += 9 * np.eye(20)[5]  # but her camera is
    table = observer_shares(features, np.array(["perch", "pike"])[label], person)
    first = table.iloc[0]
    assert (first["class"], first["observer"], first["photos"], first["share"]) == ("pike", "Ann", 25, 0.25)
    assert first["recall"] > 0.9 and first["recall_without"] < 0.7
    assert np.isclose(first["hangs"], 0.25 * (first["recall"] - first["recall_without"]))
    assert table["hangs"][1:].max() < first["hangs"] / 3
    assert len(table) == 8


def test_the_only_person_of_a_folder_or_of_a_class_and_unknown_persons():
    features, label, _ = folder(2)
    alone = observer_shares(features, label, np.full(len(label), "Ann"))
    assert (alone["recall_without"] == 0).all() and (alone["share"] == 1).all()
    whose = np.where(label == 1, "Ann", "")
    table = observer_shares(features, label, whose)
    assert table[["class", "observer"]].to_numpy().tolist() == [[1, "Ann"]]
    assert table["recall_without"].item() == 0 < table["recall"].item()


def test_photos_of_one_animal_are_left_out_together():
    features, label, person = folder(3)
    twice = lambda values: np.repeat(values, 2, axis=0)  # noqa: E731
    args = twice(features), twice(label), twice(person.astype(str))
    by_photo, by_animal = (
        observer_shares(*args, groups=groups) for groups in (None, np.repeat(np.arange(len(label)), 2))
    )
    mean = lambda table: np.average(table["recall"], weights=table["photos"])  # noqa: E731
    assert mean(by_photo) > mean(by_animal)


# ---- the chapter


@pytest.fixture(scope="module")
def reef(tmp_path_factory):
    """Small drawn fish and their observers; every photo of a third of one class is ada's and has a white edge."""
    root = make_reef(tmp_path_factory.mktemp("reef") / "lake", species=3, photos=45, size=48, progress=False)
    table = pd.read_csv(root / "manifest.csv", dtype=str, keep_default_na=False)
    table.loc[table["observer"] == "ada", "observer"] = "bela"
    mine = table.index[table["class"] == "ladder_perch"][::3]
    table.loc[mine, "observer"] = "ada"
    for path in table["path"][mine]:
        photo = cv2.imread(str(root / path))
        cv2.imwrite(
            str(root / path), cv2.rectangle(photo, (0, 0), (photo.shape[1] - 1, photo.shape[0] - 1), 3 * [255], 8)
        )
    table.drop(columns=["sha256", "observation_id"]).to_csv(root / "manifest.csv", index=False)
    return root


def audited(root, **settings):
    """A frozen network that nobody has trained, and the folder."""
    folder = PhotoFolder(source=FolderSource(str(root)), group="none", duplicates="ignore", **settings)
    torch.manual_seed(0)
    model = ImageClassifier(
        classes=folder.classes, backbone="cnn", backbone_args={"filters": [16, 32]}, freeze="backbone", image_size=48
    ).eval()  # fmt: skip
    return SimpleNamespace(model=model, folder=folder, called=folder.names, batch_size=32)


def test_the_chapter_names_on_whom_a_class_hangs(reef):
    section = observers_section(audited(reef))
    table = section.tables["observers"]
    assert tuple(table.columns) == COLUMNS and len(table) > SHOWN
    first = table.iloc[0]
    assert (first["class"], first["observer"], first["photos"]) == ("ladder_perch", "ada", 15), table
    assert first["hangs"] > 0.1 and section.metrics == {"audit/observer_max": first["hangs"]}
    page = render_page("Audit", "", [section.chapter])
    assert "ada" in page and page.count("<tr") == SHOWN + 1


@pytest.mark.parametrize("observer", ["", "ada"])
def test_fewer_than_two_observers_are_no_question(reef, tmp_path, observer):
    table = pd.read_csv(reef / "manifest.csv", dtype=str)
    table.assign(observer=observer).to_csv(tmp_path / "manifest.csv", index=False)
    assert observers_section(audited(reef, manifest=str(tmp_path / "manifest.csv"))) is None


def test_photos_that_the_backbone_has_learned_by_are_left_out(reef):
    asked = audited(reef)
    asked.folder.table["seen"] = np.where(np.arange(len(asked.folder.table)) % 2, "train", "test")
    table = observers_section(asked).tables["observers"]
    assert table["photos"].sum() == len(asked.folder.table)  # a frozen backbone has learned by none
    asked.model.hparams.freeze = "none"
    table = observers_section(asked).tables["observers"]
    assert table["photos"].sum() == (asked.folder.table["seen"] == "test").sum()
