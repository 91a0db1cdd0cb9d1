"""`fishnet check`: a table, a contact sheet, and exit status 1 when training would refuse the folder."""

import shutil

import pytest
from PIL import Image

from tests.support.drawing import draw_folder, draw_photo


def test_a_folder_with_faults(fishnet, tmp_path):
    root = draw_folder(tmp_path / "photos", photos=8, size=80)
    shutil.copy(root / "disc/photo_000.jpg", root / "box/stolen.jpg")
    quick = ["model.backbone=cnn", "model.backbone_args.filters=[8,16]", "data.image_size=32", "trainer.max_epochs=2"]
    ended = fishnet("check", f"data.root={root}", "out=worst.png", *quick)
    assert ended.status == 0, ended.err
    assert "label conflict" in ended.out
    assert "cnn on" in ended.out and "for 2 epochs" in ended.out
    assert Image.open(tmp_path / "worst.png").width > 500
    draw_photo(root / "rare/one.jpg", 3, 1, size=80)
    ended = fishnet("check", f"data.root={root}", "time=false")
    assert ended.status == 1
    assert "blocks  groups" in ended.out and "rare" in ended.out
    assert "cannot be trained on" in ended.err
    assert (tmp_path / ".photos.fishnet/check.jpg").exists()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["data.root=nowhere"], "does not exist"),
        ([], "data.root"),
        (["data.root={shapes}", "out=sheet.txt"], ".jpg"),
        (["data.root={shapes}", "out=taken.jpg"], "exists"),
        (["data.root={shapes}", "time=perhaps"], "time=perhaps"),
        (["data.root={shapes}", "model.backbone=nosuch"], "nosuch"),
    ],
)
def test_bad_input(fishnet, tmp_path, shapes, arguments, word):
    (tmp_path / "taken.jpg").touch()
    ended = fishnet("check", *(one.format(shapes=shapes) for one in arguments))
    assert ended.status == 2
    (line,) = [line for line in ended.err.splitlines() if line.startswith("fishnet:")]
    assert word in line
    assert [path.name for path in tmp_path.iterdir()] == ["taken.jpg"]
