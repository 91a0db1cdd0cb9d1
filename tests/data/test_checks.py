"""Each check finds what it is there for, and says nothing about a folder that is well."""

import os
import re
import shutil

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from fishnet import fonts as lettering
from fishnet.data.checks import blocks, check, read_folder, same_photo
from fishnet.data.conditions import leak
from fishnet.data.index import build_index
from fishnet.data.same_photo import PAIRS, write_pairs
from fishnet.data.sheet import sheet
from fishnet.data.store import Store
from fishnet.errors import BadInput
from tests.support.drawing import draw_folder, draw_photo

SETTINGS = {
    **{"manifest": None, "curation": None, "classes": None, "positive": None, "group": "none"},
    **{"max_refused": 0.1, "val": 0.15},
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


def test_a_jpeg_that_was_cut_and_closed_again_is_named(root):
    file = root / "disc/photo_000.jpg"
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3] + b"\xff\xd9")
    (finding,) = [one for one in found(root)[1] if one.check == "cut"]
    assert finding.weight == "warns" and "1 JPEG ends in a grey rest" in finding.text
    assert [path for path, _ in finding.photos] == ["disc/photo_000.jpg"]


def test_a_picture_in_two_classes_and_one_twice_in_a_class(root):
    shutil.copy(root / "disc/photo_000.jpg", root / "box/stolen.jpg")
    shutil.copy(root / "disc/photo_001.jpg", root / "disc/again.jpg")
    folder, findings = found(root)
    assert "1 picture in two classes or more with equal bytes (2 photos)" in said(findings, "label conflict")
    assert not said(findings, "look-alikes")
    assert "1 photo with the bytes of another" in said(findings, "duplicated")
    page = sheet(folder.root, findings)
    assert page is not None
    assert page.width > 900
    assert np.asarray(page).std() > 10


def test_near_copies_across_classes_look_alike_the_nearest_first_and_side_by_side(root):
    Image.open(root / "disc/photo_000.jpg").crop((2, 0, 96, 96)).save(root / "bar/cut.png")
    Image.open(root / "disc/photo_001.jpg").save(root / "bar/the same.png")
    folder, findings = found(root)
    assert not said(findings, "label conflict")
    (finding,) = [finding for finding in findings if finding.check == "look-alikes"]
    assert "2 pairs of photos in two classes look alike" in finding.text
    assert [path for path, _ in finding.photos[:2]] == ["bar/the same.png", "disc/photo_001.jpg"]
    bits = [int(what.split()[0]) for _, what in finding.photos]
    assert bits == sorted(bits) and bits[0] == bits[1] == 0 < bits[2]
    assert sheet(folder.root, findings) is not None


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
    assert not said(found(root)[1], "condition")
    for photo in (root / "bar").iterdir():
        Image.open(photo).resize((300, 300)).save(photo)
    words = said(found(root)[1], "condition")
    assert "photo size alone would tell classes apart" in words
    assert "AUC 1.00 for bar" in words and "0.09 in bar" in words
    assert "shape" not in words and "format" not in words


def test_shape_format_and_camera_that_tell_the_class(root):
    for photo in (root / "bar").iterdir():
        Image.open(photo).crop((0, 0, 96, 60)).save(photo)
    for photo in sorted((root / "box").iterdir()):
        Image.open(photo).save(photo.with_suffix(".png"))
        photo.unlink()
    for photo in (root / "disc").iterdir():
        exif = Image.Exif()
        exif[0x0110] = "EOS 30D"
        Image.open(photo).save(photo, exif=exif)
    words = said(found(root)[1], "condition")
    for name in ("photo shape alone", "file format alone", "camera named in EXIF alone", "AUC 1.00 for box"):
        assert name in words
    assert "box: mostly PNG" in words and "disc: mostly EOS 30D" in words


def test_a_placeholder_among_photos(root):
    page = Image.new("RGB", (96, 96), "white")
    ImageDraw.Draw(page).text((4, 40), "image not found", fill="black")
    page.save(root / "bar/gone.jpg")
    _, findings = found(root)
    (finding,) = [finding for finding in findings if finding.check == "placeholder"]
    assert [path for path, _ in finding.photos] == ["bar/gone.jpg"]
    for photo in (root / "bar").glob("photo*"):  # products on paper are what a class looks like
        drawn = page.copy()
        drawn.paste(Image.open(photo).resize((20, 20)))
        drawn.save(photo)
    assert not said(found(root)[1], "placeholder")


def test_what_is_left_out_is_said(root):
    (root / "bar/scan.xcf").touch()
    (root / "bar/nowhere.jpg").symlink_to(root / "none.jpg")
    os.mkfifo(root / "bar/pipe.jpg")
    words = said(found(root)[1], "left out")
    for what in ("1 .xcf", "1 special files", "1 links that lead out of the folder"):
        assert what in words


def test_shots_are_said_with_what_to_type(root):
    for number, photo in enumerate(sorted(root.glob("*/*.jpg"))):
        photo.rename(photo.with_name(f"fish{number // 3}_frame{number % 3}.jpg"))
    assert "36 shots of 12 subjects" in said(found(root, group="auto")[1], "groups")
    assert "may part subjects" in said(found(root, group="none")[1], "groups")
    assert "data.group='^(.+?)_frame" in said(found(root, group="none")[1], "groups")
    assert "largest of 3" in said(found(root, group="auto")[1], "groups")


# ---- with features in the cache


def keep_features(root, table, features):
    about = {"view": "plain", "weights": "0"}
    store = Store(root.with_name(f".{root.name}.fishnet") / "cache/features/0", dtype="float32", about=about)
    shapes = np.tile([1, 1, features.shape[1]], (len(table), 1)).astype(np.int32)
    made = lambda missing: ((row, features[row].astype(np.float32)) for row in missing.tolist())  # noqa: E731
    store.fill(table["sha256"].tolist(), shapes, made, label="", progress=False)


def scene(seed):
    """A picture with corners in it, as photos have."""
    lots = np.random.default_rng(seed)
    page = Image.fromarray(lots.integers(60, 200, (12, 16, 3), np.uint8)).resize((320, 240), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(page)
    for _ in range(120):
        x, y = lots.integers(0, 320), lots.integers(0, 240)
        pen.rectangle((x, y, x + lots.integers(3, 20), y + lots.integers(3, 20)), fill=tuple(lots.integers(0, 256, 3)))
    return page


def test_a_crop_is_one_photo_and_a_new_arrangement_is_one_scene(tmp_path):
    root = tmp_path / "photos"
    for label, name in enumerate(("perch", "pike")):
        (root / name).mkdir(parents=True)
        for number in range(5):
            scene(100 * label + number).save(root / name / f"{'abcde'[number]}.png")
    scene(0).crop((40, 20, 300, 200)).resize((200, 140)).save(root / "perch/crop.jpg")
    ImageOps.mirror(scene(1)).save(root / "pike/mirrored.jpg")
    again = scene(2)
    again.paste(scene(900).resize((320, 240)).crop((0, 0, 200, 240)), (120, 0))
    again.save(root / "perch/again.png")
    folder = read_folder(str(root), SETTINGS, progress=False)
    features = np.random.default_rng(0).normal(size=(len(folder.table), 32))
    row = {path: number for number, path in enumerate(folder.table["path"])}
    for copy, photo in (
        ("perch/crop.jpg", "perch/a"),
        ("pike/mirrored.jpg", "perch/b"),
        ("perch/again.png", "perch/c"),
    ):
        features[row[copy]] = features[row[f"{photo}.png"]] + 0.1
    keep_features(root, folder.table, features)
    folder = read_folder(str(root), SETTINGS, progress=False)
    findings = check(folder, [same_photo])
    assert "2 pairs of files show one photo, 1 of them in two classes" in said(findings, "same photo")
    assert "1 pair of photos shows one place" in said(findings, "same scene")
    one_photo = [pair for pair in folder.pairs if pair.one_photo]
    write_pairs(one_photo, folder.table, root.with_name(".photos.fishnet") / PAIRS)
    index = build_index(root, progress=False)
    groups = index.table.set_index("path")["group"]
    assert groups["perch/crop.jpg"] == groups["perch/a.png"] and groups["pike/mirrored.jpg"] == groups["perch/b.png"]
    assert groups["perch/again.png"] != groups["perch/c.png"] and groups.nunique() == 11
    assert "2 pairs of files that show one photo stay together" in " ".join(index.warnings)
    assert build_index(root, progress=False, duplicates="ignore").table["group"].nunique() == 13
    later = read_folder(str(root), SETTINGS, progress=False)
    assert check(later, [same_photo]) == findings  # though they are one group now
    (root / "perch/a.png").unlink()
    assert build_index(root, progress=False).table["group"].nunique() == 11


def test_a_damaged_list_of_pairs_is_refused(root):
    found(root)
    (root.with_name(".photos.fishnet") / PAIRS).write_text("what,is,this\n")
    with pytest.raises(BadInput, match="delete it"):
        build_index(root, progress=False)


def test_what_a_leak_is_worth(root):
    for number, photo in enumerate(sorted(root.glob("*/*.jpg"))):
        photo.rename(photo.with_name(f"fish{number // 2}_frame{number % 2}.jpg"))
    folder = read_folder(str(root), SETTINGS | {"group": "auto"}, progress=False)
    assert not check(folder, [leak])
    lots = np.random.default_rng(0)
    of_fish = {name: lots.normal(size=16) for name in folder.table["path"].str.extract(r"(fish\d+)")[0].unique()}
    features = np.array([of_fish[name] for name in folder.table["path"].str.extract(r"(fish\d+)")[0]])
    keep_features(root, folder.table, features + 0.1 * lots.normal(size=features.shape))
    (finding,) = check(read_folder(str(root), folder.settings, progress=False), [leak])
    assert "split by photo would look +0." in finding.text
    by_photo, by_group, _ = map(float, re.findall(r"\d\.\d\d", finding.text))
    assert by_photo > by_group + 0.3


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


def test_long_photos_are_named_where_they_are_more_than_a_few(root):
    for number in range(3):
        Image.effect_noise((200, 120), 90).convert("RGB").save(root / f"box/long_{number}.png")  # 3 of 35: 9 %
    (finding,) = [one for one in check(read_folder(str(root), SETTINGS, progress=False)) if one.check == "long"]
    share = 3 / len(read_folder(str(root), SETTINGS, progress=False).table)
    assert finding.text.startswith(f"{share:.0%} of the photos lose more than a quarter of their length")
    assert "model.fit=pad" in finding.text and finding.weight == "notes"
    assert [what for _, what in finding.photos] == ["200 x 120"] * 3
