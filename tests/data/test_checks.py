"""Each check finds what it is there for, and says nothing about a folder that is well."""

import shutil

import numpy as np
import pytest
from PIL import Image, ImageDraw

from fishnet import fonts as lettering
from fishnet.data.checks import blocks, check, read_folder
from fishnet.data.sheet import sheet
from tests.support.drawing import draw_folder, draw_photo

SETTINGS = {
    **{"manifest": None, "classes": None, "positive": None, "group": None, "max_refused": 0.1, "val": 0.15},
    **{"test": 0.15, "folds": None, "fold": None, "seed": 0, "duplicates": "group", "split_file": None},
}


@pytest.fixture
def root(tmp_path):
    return draw_folder(tmp_path / "photos", photos=12, size=96)


def found(root, **settings):
    folder = read_folder(str(root), SETTINGS | settings, progress=False)
    return folder, check(folder)


def said(findings, name):
    return " ".join(f"{one.weight}: {one.text}" for one in findings if one.check == name)


def manifest(root, rows):
    (root / "manifest.csv").write_text("path,class,sha256,licence,observation_id\n" + "\n".join(rows) + "\n")


def test_a_folder_that_is_well_has_only_notes(root):
    rows = [f"{photo.parent.name}/{photo.name},{photo.parent.name},,cc0," for photo in root.glob("*/*.jpg")]
    manifest(root, rows)
    folder, findings = found(root)
    assert {one.weight for one in findings} == {"notes"}
    assert not blocks(findings)
    assert sheet(folder.root, findings) is None


def test_a_picture_in_two_classes_and_one_twice_in_a_class(root):
    shutil.copy(root / "disc/photo_000.jpg", root / "box/stolen.jpg")
    shutil.copy(root / "disc/photo_001.jpg", root / "disc/again.jpg")
    folder, findings = found(root)
    assert "1 picture in two classes or more (2 photos, 1 with equal bytes)" in said(findings, "label conflict")
    assert "1 photo with the bytes of another" in said(findings, "duplicated")
    page = sheet(folder.root, findings)
    assert page is not None
    assert page.width > 900
    assert np.asarray(page).std() > 10


def test_near_copies_across_classes_are_conflicts_too(root):
    Image.open(root / "disc/photo_000.jpg").resize((80, 80)).save(root / "bar/smaller.png")
    _, findings = found(root)
    assert "1 picture in two classes" in said(findings, "label conflict")
    assert "0 with equal bytes" in said(findings, "label conflict")


def test_tiny_broken_and_unequal(root):
    draw_photo(root / "bar/small.jpg", 2, 99, size=24)
    (root / "bar/broken.jpg").write_bytes(b"\xff\xd8\xff")
    _, findings = found(root)
    assert "1 photo smaller than 64 pixels" in said(findings, "tiny")
    assert said(findings, "broken").startswith("warns: 1 photo of 38 not usable (bar/broken.jpg")
    for number in range(150):
        draw_photo(root / "disc" / f"more_{number}.jpg", 0, 1000 + number, size=96)
    _, findings = found(root)
    assert "times as many" in said(findings, "balance")


def test_more_broken_photos_than_training_takes_block_it(root):
    for number in range(8):
        (root / f"bar/broken_{number}.jpg").write_bytes(b"\xff\xd8\xff")
    _, findings = found(root)
    assert said(findings, "broken").startswith("blocks")
    assert findings[0].weight == "blocks"
    assert blocks(findings)


def test_a_class_too_small_to_split_blocks(root):
    draw_photo(root / "rare/one.jpg", 3, 1, size=96)
    _, findings = found(root)
    assert "rare" in said(findings, "groups")
    assert blocks(findings)


def test_photos_changed_since_the_manifest_and_without_licences(root):
    rows = ["disc/photo_000.jpg,disc,0123,cc-by,1", "disc/photo_001.jpg,disc,,unknown,1", "disc/gone.jpg,disc,,cc0,2"]
    manifest(root, [*rows, "box/photo_000.jpg,box,,all-rights-reserved,3"])
    _, findings = found(root)
    assert "1 photo with other bytes than were collected" in said(findings, "changed")
    assert "disc/gone.jpg" in said(findings, "changed")
    assert "33 photos not in the manifest" not in said(findings, "licences")
    assert "34 photos without a licence" in said(findings, "licences")
    assert "all rights reserved" in said(findings, "licences")
    assert "the largest of 2" in said(findings, "groups")


def test_sizes_that_tell_the_class(root):
    for photo in (root / "bar").iterdir():
        Image.open(photo).resize((300, 300)).save(photo)
    _, findings = found(root)
    assert "size alone would tell them apart" in said(findings, "balance")


def test_it_groups_and_splits_as_training_would(root, tmp_path):
    shutil.rmtree(root / "box")
    shutil.copytree(root / "disc", root / "box")
    assert "holds no photo that is not also in another" in said(found(root, duplicates="drop")[1], "groups")
    assert not blocks(found(root)[1])
    assert "There is no split file" in said(found(root, split_file=str(tmp_path / "none.csv"))[1], "groups")
    twins = draw_folder(tmp_path / "twins", ["one", "other"], photos=12, size=96)
    for photo in sorted((twins / "one").iterdir())[1:]:
        shutil.copy(twins / "one/photo_000.jpg", photo)
    assert blocks(found(twins)[1])
    assert not blocks(found(twins, duplicates="ignore")[1])


def test_a_class_without_a_photo_blocks_and_the_rest_is_looked_at(root):
    for photo in (root / "bar").iterdir():
        photo.write_bytes(b"no photo")
    folder, findings = found(root)
    assert blocks(findings)
    assert "'bar' holds no usable photo (12 refused" in said(findings, "classes")
    assert said(findings, "balance") and not said(findings, "groups") and len(folder.table) == 24
    shutil.rmtree(root / "box")
    shutil.rmtree(root / "bar")
    assert "only the class 'disc'" in said(found(root)[1], "classes")
    for photo in (root / "disc").iterdir():
        photo.write_bytes(b"no photo")
    assert {one.check for one in found(root)[1]} == {"broken", "classes"}


def test_a_manifest_is_joined_as_training_joins_it(root):
    photos = sorted(root.glob("*/*.jpg"))
    manifest(root, [f"./{photo.parent.name}/{photo.name},{photo.parent.name},,cc0," for photo in photos])
    _, findings = found(root)
    assert said(findings, "licences") == "notes: cc0 36"
    assert not said(findings, "changed")
    assert not said(found(root, classes=["disc", "box"])[1], "changed")


def test_names_in_any_script_are_written_or_spelt_out(root, monkeypatch):
    monkeypatch.setattr(lettering, "font_files", lambda: [lettering.plain_font()])
    (root / "disc").rename(root / "鱼")
    written = []
    monkeypatch.setattr(ImageDraw.ImageDraw, "text", lambda self, place, text, **_: written.append(text))
    shutil.copy(root / "鱼/photo_000.jpg", root / "鱼/copy.jpg")
    folder, findings = found(root)
    assert sheet(folder.root, findings) is not None
    assert "\\u9c7c" in written
