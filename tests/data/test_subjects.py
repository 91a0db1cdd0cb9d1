"""Subjects by manifest, clock and camera: what is joined, what is not, and what is said of it."""

import pandas as pd
import pytest
from PIL import Image

from fishnet.data.index import build_index
from fishnet.data.subjects import stated_groups
from tests.support.drawing import draw_photo


def table(names=None, **columns):
    count = len(next(iter(columns.values()))) if columns else len(names)
    names = names or [f"perch/{'abcdefghijklmnopqrstuvwxyz'[row]}.jpg" for row in range(count)]
    start = {"path": names, "label": 0, "class": "perch", "phash": range(1, len(names) + 1), "exif_time": ""}
    return pd.DataFrame({**start, "exif_camera": "", **columns}).astype({"phash": "uint64"})


def groups(photos, group="auto"):
    return stated_groups(photos, group)[0].tolist()


def test_one_camera_within_seconds():
    times = ["2024-05-01T10:00:00", "2024-05-01T10:00:03.50", "2024-05-01T10:00:08", "2024-05-01T10:01:00", "", ""]
    assert groups(table(exif_time=times)) == [0, 0, 0, 1, 2, 3]
    assert groups(table(exif_time=times[:2], exif_camera=["Canon 1", "Canon 2"])) == [0, 1]
    assert groups(table(["perch/a.jpg", "pike/b.jpg"], exif_time=times[:2])) == [0, 1]
    assert groups(table(exif_time=times), "none") == list(range(6))
    assert "within 5 s" in stated_groups(table(exif_time=times), "auto")[1][0]


def test_a_clock_that_was_never_set_joins_nothing():
    times = ["2000-01-01T00:00:00"] * 25
    assert groups(table(exif_time=times)) == list(range(25))
    assert groups(table(exif_time=["2000-13-45T99:00:00"] * 2)) == [0, 1]


def test_one_observer_on_one_day():
    photos = table(
        observer=["ann", "ann", "ann", "", ""],
        taken_on=["2024-05-01T08:00", "2024-05-01", "2024-05-02", "2024-05-01", ""],
    )
    assert groups(photos) == [0, 0, 1, 2, 3]
    assert groups(photos.assign(path=[f"c{row}/x.jpg" for row in range(5)])) == list(range(5))
    assert groups(photos.assign(observation_id=["7", "8", "8", "", ""])) == [0, 0, 0, 1, 2]
    assert groups(photos.assign(observation_id=["7", "8", "8", "", ""]), "none") == [0, 1, 1, 2, 3]
    assert "2 photos of one observer, day and class" in stated_groups(photos, "auto")[1][0]


def test_a_pattern_with_a_slash_is_matched_with_the_path():
    photos = table(["perch/clip1/1.jpg", "perch/clip1/2.jpg", "perch/clip2/1.jpg", "pike/clip1/1.jpg"])
    assert groups(photos, r"^([^/]+/.+)/") == [0, 0, 1, 2]
    assert groups(photos, r"^(\d)") == [0, 1, 0, 0]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_the_camera_s_clock_is_read_from_the_file(tmp_path, format):
    for number, second in enumerate((1, 3, 40)):
        for label, name in enumerate(("disc", "box")):
            file = tmp_path / "photos" / name / f"{'xyz'[number]}{label}.jpg"
            draw_photo(file, label, number)
            exif = Image.Exif()
            exif[0x010F], exif[0x0110] = "Canon", "EOS 30D"
            exif.get_ifd(0x8769).update({0x9003: f"2024:05:01 10:00:{second:02d}", 0x9291: "25"})
            Image.open(file).save(file, format, exif=exif)
    index = build_index(tmp_path / "photos", progress=False)
    assert index.table["exif_time"].iloc[0] == "2024-05-01T10:00:01.25"
    assert set(index.table["exif_camera"]) == {"Canon EOS 30D"}
    assert set(index.table["file_format"]) == {format}
    assert index.table["group"].nunique() == 4
    assert "within 5 s" in " ".join(index.warnings)
    assert build_index(tmp_path / "photos", progress=False, group="none").table["group"].nunique() == 6
