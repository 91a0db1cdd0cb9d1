"""`fishnet check`: a table, a contact sheet, and exit status 1 when training would refuse the folder."""

import csv
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


QUICK = ["model.backbone=cnn", "model.backbone_args.filters=[8,16]", "data.image_size=64", "time=false"]


def test_the_same_photos_in_two_shapes_are_told_apart_and_it_says_so(fishnet, tmp_path):
    root = tmp_path / "shapes"
    for number in range(60):
        draw_photo(root / "perch/photo.jpg", 0, number, size=96)
        photo = Image.open(root / "perch/photo.jpg")
        photo.save(root / f"perch/{number:02d}.jpg")
        (root / "roach").mkdir(exist_ok=True)
        photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT).crop((0, 12, 96, 84)).save(root / f"roach/{number:02d}.jpg")
    (root / "perch/photo.jpg").unlink()
    ended = fishnet("check", f"data.root={root}", "probes=true", "data.duplicates=ignore", *QUICK)
    assert ended.status == 0, ended.err
    (line,) = [line for line in ended.out.splitlines() if " file coding " in line]
    assert line.split()[:2] == ["warns", "probe"]
    assert "file coding alone names the class of 100% of the photos, guessing 50%" in line
    assert "what stands out is" in line and "perch (" in line and "roach (" in line and "[prior C]" in line
    with open(tmp_path / ".shapes.fishnet/probes.csv") as file:
        rows = [*csv.DictReader(file)]
    assert {row["probe"] for row in rows} >= {"border ring", "outside colour", "file coding", "colour thumbnail"}
    assert {row["class"] for row in rows} == {"", "perch", "roach"}
    assert "photo shape alone would tell classes apart" in ended.out
    assert str(tmp_path / ".shapes.fishnet/probes.csv") in ended.out


@pytest.mark.slow
def test_photos_are_decoded_once_for_probes_and_for_the_training_after(fishnet, tmp_path, monkeypatch):
    root = draw_folder(tmp_path / "photos", photos=8, size=80)
    settings = [f"data.root={root}", *QUICK]
    assert fishnet("check", *settings, "probes=true").status == 0
    monkeypatch.setattr("fishnet.data.cache.working_image", lambda *_, **__: pytest.fail("decoded a second time"))
    assert fishnet("check", *settings, "probes=true").status == 0
    training = ["trainer.max_epochs=1", "trainer.accelerator=cpu", "callbacks.heatmaps=null", "test=false"]
    assert fishnet("train", "data=folder", *settings[:-1], *training).status == 0


def test_probes_of_too_few_photos_say_so(fishnet, tmp_path):
    root = draw_folder(tmp_path / "photos", photos=4, size=80)
    ended = fishnet("check", f"data.root={root}", "probes=true", *QUICK)
    assert "too few groups of photos for blind probes" in ended.out


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["data.root=nowhere"], "does not exist"),
        ([], "data.root"),
        (["data.root={shapes}", "out=sheet.txt"], ".jpg"),
        (["data.root={shapes}", "out=taken.jpg"], "exists"),
        (["data.root={shapes}", "time=perhaps"], "time=perhaps"),
        (["data.root={shapes}", "probes=some"], "probes=some"),
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
