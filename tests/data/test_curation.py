"""A list that changes what a folder's photos count as, without touching them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from fishnet import ImageClassifier, ImageFolderData
from fishnet.data.index import build_index
from fishnet.data.splits import split_digest
from fishnet.errors import BadInput


def write(folder: Path, *lines: str, header: str = "path,sha256,action,value,note") -> str:
    file = folder / "curation.csv"
    file.write_text("\n".join([header, *lines]) + "\n")
    return str(file)


@pytest.fixture
def plain(shapes) -> pd.DataFrame:
    return build_index(shapes, progress=False).table


def data(shapes, curation: str | None, **settings) -> ImageFolderData:
    return ImageFolderData(root=str(shapes), image_size=32, batch_size=8, curation=curation, cache="off", **settings)


def test_photos_are_dropped_and_relabelled(shapes, plain, tmp_path):
    by_bytes = plain.loc[plain["path"] == "bar/photo_003.jpg", "sha256"].item()
    lines = ["disc/photo_000.jpg,,drop,,", "box/photo_001.jpg,,relabel,disc,", f",{by_bytes},relabel,box,"]
    file = write(tmp_path, *lines)
    index = build_index(shapes, progress=False, curation=file)
    assert set(plain["path"]) - set(index.table["path"]) == {"disc/photo_000.jpg"}
    classes = index.table.set_index("path")["class"]
    changed = {path: name for path, name in classes.items() if name != path.split("/")[0]}
    assert changed == {"box/photo_001.jpg": "disc", "bar/photo_003.jpg": "box"}
    assert index.table.set_index("path")["label"]["box/photo_001.jpg"] == index.classes.index("disc")
    assert index.digest != build_index(shapes, progress=False).digest
    assert any("1 dropped, 2 relabelled" in warning for warning in index.warnings)


def test_a_positive_class_takes_what_is_relabelled_to_it(shapes, tmp_path):
    file = write(tmp_path, "box/photo_001.jpg,,relabel,disc,")
    table = build_index(shapes, progress=False, curation=file, positive="disc").table
    assert (table["label"] == 1).sum() == 17


def test_a_photo_relabelled_to_a_class_that_is_not_chosen_is_left_out(shapes, tmp_path):
    file = write(tmp_path, "box/photo_001.jpg,,relabel,disc,")
    table = build_index(shapes, progress=False, curation=file, classes=["box", "bar"]).table
    assert "box/photo_001.jpg" not in set(table["path"])


def test_lines_that_fit_no_photo_are_counted_and_named(shapes, plain, tmp_path):
    digest = plain["sha256"].iloc[0]
    file = write(tmp_path, "disc/gone.jpg,,drop,,", f"disc/photo_001.jpg,{'0' * 64},drop,,", f",{digest},weigh,0.5,")
    index = build_index(shapes, progress=False, curation=file)
    assert len(index.table) == len(plain)
    (sentence,) = [warning for warning in index.warnings if "fit no photo" in warning]
    assert "2 of 3 lines" in sentence and "disc/gone.jpg, disc/photo_001.jpg" in sentence


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["disc/photo_000.jpg,,remove,,"], "line 2: the action 'remove' is unknown"),
        (["disc/photo_000.jpg,,crop,0 0 1 0.9,"], "crop is not supported"),
        (["disc/photo_000.jpg,,relabel,dish,"], "no class 'dish'; did you mean disc"),
        (["disc/photo_000.jpg,,relabel,,"], "needs the new class"),
        (["disc/photo_000.jpg,,weigh,-1,"], "has '-1'"),
        (["disc/photo_000.jpg,,weigh,much,"], "has 'much'"),
        ([",,drop,,"], "names no photo"),
        (["disc/photo_000.jpg,,drop,,", "./disc/photo_000.jpg,,drop,,"], "line 3: disc/photo_000.jpg .* dropped twice"),
    ],
)
def test_what_no_photo_could_mean_is_one_sentence(shapes, tmp_path, lines, words):
    with pytest.raises(BadInput, match=words):
        build_index(shapes, progress=False, curation=write(tmp_path, *lines))


@pytest.mark.parametrize("text", ["path,value\na,1\n", "", "\xff\xfe"])
def test_a_file_that_is_no_list_is_refused(shapes, tmp_path, text):
    (tmp_path / "list.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(BadInput, match=r"data.curation=.*list.csv"):
        build_index(shapes, progress=False, curation=str(tmp_path / "list.csv"))
    with pytest.raises(BadInput, match="nowhere"):
        build_index(shapes, progress=False, curation=str(tmp_path / "nowhere.csv"))


def test_a_class_all_of_whose_photos_are_dropped_is_refused(shapes, plain, tmp_path):
    lines = [f"{path},,drop,," for path in plain.loc[plain["class"] == "box", "path"]]
    with pytest.raises(BadInput, match="'box' holds no usable photo"):
        build_index(shapes, progress=False, curation=write(tmp_path, *lines))


def test_weights_come_with_the_training_batches_alone(shapes, tmp_path):
    file = write(tmp_path, "disc/photo_000.jpg,,weigh,0,", "box/photo_000.jpg,,weigh,2.5,")
    curated = data(shapes, file)
    assert split_digest(curated.table, curated.assignment) == split_digest(*split_of(data(shapes, None)))
    seen = {}
    for batch in curated.train_dataloader():
        seen |= dict(zip(curated.table["path"].iloc[batch["index"].numpy()], batch["weight"].tolist(), strict=True))
    expected = {"disc/photo_000.jpg": 0.0, "box/photo_000.jpg": 2.5}
    assert all(weight == expected.get(path, 1.0) for path, weight in seen.items())
    assert "weight" not in next(iter(curated.val_dataloader()))
    assert "weight" not in next(iter(data(shapes, None).train_dataloader()))


def split_of(plain: ImageFolderData):
    return plain.table, plain.assignment


def test_a_manifest_with_the_weight_of_the_fish_weighs_no_photo(plain, shapes, tmp_path):
    manifest = tmp_path / "manifest.csv"
    plain.assign(weight=3.2, loss_weight=0)[["path", "weight", "loss_weight"]].to_csv(manifest, index=False)
    assert data(shapes, None, manifest=str(manifest)).folder.weights is None


@pytest.mark.parametrize("balance", [False, True])
def test_a_photo_of_weight_two_counts_like_two_photos(balance):
    torch.manual_seed(0)
    model = ImageClassifier(classes=["a", "b", "c"], backbone="cnn", backbone_args={"filters": [4]}, image_size=16)
    if balance:
        model.class_weights.copy_(torch.tensor([0.5, 1.0, 1.5]))
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 1])
    doubled = torch.tensor([0, 1, 1, 2])  # the fourth counts nothing
    weighed = model.loss(logits, {"label": labels, "weight": torch.tensor([1.0, 2.0, 1.0, 0.0])}, "train")
    assert torch.allclose(weighed, model.loss(logits[doubled], {"label": labels[doubled]}, "train"))
    nothing = model.loss(logits, {"label": labels, "weight": torch.zeros(4)}, "train")
    assert np.isfinite(nothing.item())
