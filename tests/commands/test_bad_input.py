"""What is refused is refused in one sentence, with exit status 2, and leaves nothing behind."""

import pytest
from drawing import draw_folder, draw_photo

from fishnet.errors import BadInput
from fishnet.tracking.store import open_store


def refused(ended, *words: str) -> None:
    assert ended.status == BadInput.status, ended.err
    lines = [line for line in ended.err.splitlines() if line.startswith("fishnet:")]
    assert len(lines) == 1, ended.err
    assert "Traceback" not in ended.err
    for word in words:
        assert word in lines[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["data=folder", "data.root=nowhere"], ["nowhere", "does not exist"]),
        (["data=folder"], ["data.root", "needed"]),
        (["model.lr=abc"], ["model.lr=abc", "a number"]),
        (["model.lrr=0.1"], ["model.lrr", "model.lr"]),
        (["modle.lr=0.1"], ["modle.lr", "model.lr"]),
        (["data=foldr"], ["data=foldr", "folder"]),
        (["data.val=0"], ["data.val=0", "above 0"]),
        (["data.test=1"], ["data.test=1", "below 1"]),
        (["data.val=0.6", "data.test=0.5"], ["nothing to train on"]),
        (["data.folds=5"], ["data.fold"]),
        (["data.folds=5", "data.fold=5"], ["0 to 4"]),
        (["-m", "trainer=ddp", "model.lr=0.1,0.2"], ["-m", "devices"]),
        (["-m", "model.lr=0.1,abc"], ["model.lr=abc"]),
        (["trainer.max_epochs=many"], ["trainer.max_epochs=many"]),
        (["callbacks.early_stopping.patience=long"], ["callbacks.early_stopping.patience"]),
        (["model=adam"], ["model=adam"]),
        (["model.optimizer=sdg"], ["sgd"]),
        (["seed=one"], ["seed=one"]),
        (["data.plant={cue: anglr}"], ["angler"]),
        (["data.species=1"], ["species"]),
    ],
)
def test_settings_that_cannot_be_right(fishnet, tmp_path, arguments, words):
    refused(fishnet("train", *arguments), *words)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_empty_or_holds_one_class(fishnet, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    refused(fishnet("train", "data=folder", f"data.root={photos}"), "photos")
    draw_folder(photos, ["only"], 5)
    refused(fishnet("train", "data=folder", f"data.root={photos}"), "only")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_a_class_with_too_few_photos_is_named_with_its_count(fishnet, tmp_path):
    photos = draw_folder(tmp_path / "photos", ["many", "more"], 12)
    draw_photo(photos / "rare" / "a.jpg", 2, 1)
    refused(fishnet("train", "data=folder", f"data.root={photos}"), "rare", "1")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_an_unknown_backbone_offers_the_nearest(fishnet, tmp_path, shapes):
    refused(fishnet("train", "data=folder", f"data.root={shapes}", "model.backbone=restnet50"), "resnet50")
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_checkpoint(fishnet, tmp_path, shapes):
    (tmp_path / "cut.ckpt").write_bytes(b"PK\x03\x04")
    refused(fishnet("evaluate", "checkpoint=cut.ckpt", f"data.root={shapes}"), "cut.ckpt")
    refused(fishnet("predict", "checkpoint=cut.ckpt", f"images={shapes}"), "cut.ckpt")
    refused(fishnet("train", "resume=cut.ckpt"), "cut.ckpt")
    assert [path.name for path in tmp_path.iterdir()] == ["cut.ckpt"]


def test_a_tracking_server_that_is_not_there(fishnet, tmp_path, tiny, monkeypatch):
    monkeypatch.setitem(open_store.__kwdefaults__, "patience", 1.0)
    refused(fishnet("train", *tiny, "tracking.uri=http://127.0.0.1:9"), "127.0.0.1:9")
    assert list(tmp_path.iterdir()) == []
