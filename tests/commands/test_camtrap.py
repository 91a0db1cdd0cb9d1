"""Camtrap DP in and out: a package is trained on as a folder is, and answers go back as a valid package."""

import csv
import json
import os
import shutil

import jsonschema
import pytest
from PIL import Image

from tests.support.camtrap import DEPLOYED, PROFILE, SCHEMAS, SPECIES, example
from tests.support.drawing import draw_photo

BEST = "checkpoint=run/checkpoints/best.ckpt"
PLACE = ["camtrap.latitude=52.1", "camtrap.longitude=4.8"]
CLOCK = "camtrap.start=2024-05-01T00:00:00Z"


def rows(folder, name):
    with open(folder / f"{name}.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(autouse=True)
def csv_as_before():
    """frictionless lets CSV cells be of any length, in the whole process and for good."""
    limit = csv.field_size_limit()
    yield
    csv.field_size_limit(limit)


def check_valid(folder):
    """Against the schemas that its documentation describes, which need no network."""
    about = json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))
    jsonschema.validate(about, PROFILE)
    from frictionless import Package, Schema

    package = Package.from_descriptor(
        {"name": about["name"], "resources": [
            {"name": each["name"], "path": each["path"], "encoding": each["encoding"], "schema": SCHEMAS[each["name"]]}
            for each in about["resources"]
        ]},
        basepath=str(folder),
    )  # fmt: skip
    report = package.validate()
    assert report.valid, report.flatten(["resourceName", "rowNumber", "fieldName", "note"])
    for name, schema in SCHEMAS.items():
        header = (folder / f"{name}.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
        assert header == Schema.from_descriptor(schema).field_names
    for row in rows(folder, "media"):
        assert (folder / row["filePath"]).is_file()
    return about


def test_the_validation_finds_what_is_wrong(tmp_path):
    example(tmp_path / "package", events=1, photos=1)
    media = tmp_path / "package" / "media.csv"
    media.write_text(media.read_text().replace("00a2c20d,", "nowhere,", 1).replace("image/jpeg", "picture", 1))
    resources = [{"name": name, "path": f"{name}.csv", "schema": schema} for name, schema in SCHEMAS.items()]
    from frictionless import Package

    found = Package.from_descriptor({"name": "x", "resources": resources}, basepath=str(tmp_path / "package"))
    assert {error[0] for error in found.validate().flatten(["type"])} >= {"foreign-key", "constraint-error"}


def test_a_package_is_checked_trained_on_and_measured(fishnet, tiny, tmp_path):
    package = example(tmp_path / "package")
    settings = [f"data.root={package}", *tiny[1:], "callbacks.heatmaps=null", "out=run"]
    ended = fishnet("train", *settings)
    assert ended.status == 0, ended.err
    assert "27 blank photos" in ended.err and "81 photos of 3 classes" in ended.err
    ended = fishnet("evaluate", BEST, "data=folder", f"data.root={package}", "part=all")
    assert ended.status == 0, ended.err
    assert fishnet("check", "data=folder", f"data.root={package}", "time=false").status in (0, 1)
    ended = fishnet("predict", BEST, f"images={package}", "by=observation_id", "out=events.csv")
    assert ended.status == 0, ended.err
    with open(tmp_path / "events.csv", newline="") as file:
        found = list(csv.DictReader(file))
    assert len(found) == 36 and {row["photos"] for row in found} == {"3"}
    assert {row["observation"].partition(":")[0] for row in found} == set(DEPLOYED)
    ended = fishnet("explain", BEST, f"images={package}", "out=why", "pictures=2")
    assert ended.status == 0, ended.err
    with open(tmp_path / "why" / "maps.csv", newline="") as file:
        assert {row["class"] for row in csv.DictReader(file)} == {*SPECIES}
    (tmp_path / "package" / "media" / "00a2c20d00_0.jpg").write_bytes(b"\xff\xd8cut")
    ended = fishnet("predict", BEST, f"images={package}", "format=camtrap_dp", "out=answered", "sure=0")
    assert ended.status == 0, ended.err
    check_answers_of(tmp_path / "answered", package.parent)


def check_answers_of(answered, package):
    """Deployments, media and events are those of the package."""
    about = check_valid(answered)
    assert about["name"] == "example-classified" and about["taxonomic"][0]["taxonRank"] == "species"
    assert about["contributors"][0]["role"] == "publisher"
    assert rows(answered, "deployments") == rows(package, "deployments")
    assert {row["mediaID"] for row in rows(answered, "media")} == {row["mediaID"] for row in rows(package, "media")}
    found = rows(answered, "observations")
    assert len(found) == 108
    cut = next(row for row in found if row["mediaID"] == "00a2c20d00_0")
    assert cut["observationType"] == "unclassified" and "cannot be read" in cut["observationComments"]
    for row in found:
        assert row["eventID"] == row["mediaID"].partition("_")[0] and row["observationLevel"] == "media"
        if row is not cut:
            assert row["classificationMethod"] == "machine" and row["classificationTimestamp"].endswith("Z")
            assert row["classifiedBy"].startswith("run (fishnet ") and "SHA-256" in row["classifiedBy"]
            assert row["scientificName"] in SPECIES and 0 < float(row["classificationProbability"]) <= 1


@pytest.fixture
def lake(trained, tmp_path):
    """A photo with a time in its EXIF block, one with a time in its name, and one that tells none."""
    draw_photo(tmp_path / "lake" / "a.jpg", 0, 0)
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2024:05:01 10:00:00"
    with Image.open(tmp_path / "lake" / "a.jpg") as photo:
        photo.save(tmp_path / "lake" / "a.jpg", exif=exif)
    draw_photo(tmp_path / "lake" / "IMG_20240502_110000.jpg", 1, 1)
    draw_photo(tmp_path / "lake" / "odd..name.jpg", 1, 2)
    return [BEST, "images=lake", "format=camtrap_dp", "out=answered"]


def test_photos_of_no_package_need_a_place_and_a_time(fishnet, lake, tmp_path):
    ended = fishnet("predict", *lake)
    assert ended.status == 2 and "of 3 photos it is not known: say camtrap.latitude=" in ended.err
    ended = fishnet("predict", *lake, *PLACE)
    assert ended.status == 2 and "1 photo (such as odd..name.jpg) tell none" in ended.err
    ended = fishnet("predict", *lake, *PLACE, CLOCK, "sure=1")
    assert ended.status == 0, ended.err
    about = check_valid(tmp_path / "answered")
    assert about["temporal"] == {"start": "2024-05-01", "end": "2024-05-02"} and about["taxonomic"] == []
    (deployed,) = rows(tmp_path / "answered", "deployments")
    assert (deployed["latitude"], deployed["longitude"], deployed["timestampIssues"]) == ("52.1", "4.8", "true")
    assert "end by the times of the photos" in deployed["deploymentComments"]
    media = {row["fileName"]: row for row in rows(tmp_path / "answered", "media")}
    assert media["a.jpg"]["timestamp"] == "2024-05-01T10:00:00Z"
    assert media["IMG_20240502_110000.jpg"]["timestamp"] == "2024-05-02T11:00:00Z"
    assert media["odd..name.jpg"]["timestamp"] == "2024-05-01T00:00:00Z"
    assert "not known" in media["odd..name.jpg"]["mediaComments"]
    for row in rows(tmp_path / "answered", "observations"):
        assert (row["observationType"], row["scientificName"]) == ("unknown", "")
        assert row["classificationProbability"] == "" and "most probable: " in row["observationComments"]


def test_a_manifest_tells_place_and_day(fishnet, lake, tmp_path):
    lines = ["path,lat,lon,taken_on", "a.jpg,52.5,4.5,2024-05-01", "odd..name.jpg,,,2024-06-01"]
    (tmp_path / "lake" / "manifest.csv").write_text("\n".join(lines))
    ended = fishnet("predict", *lake, *PLACE, "camtrap.timezone=+02:00", "sure=0")
    assert ended.status == 0, ended.err
    check_valid(tmp_path / "answered")
    places = {row["latitude"]: row for row in rows(tmp_path / "answered", "deployments")}
    assert {key: row["timestampIssues"] for key, row in places.items()} == {"52.5": "false", "52.1": "true"}
    assert places["52.5"]["deploymentStart"] == places["52.5"]["deploymentEnd"] == "2024-05-01T10:00:00+02:00"
    media = {row["fileName"]: row for row in rows(tmp_path / "answered", "media")}
    assert media["odd..name.jpg"]["mediaComments"] == "only the day is known"
    assert {row["observationType"] for row in rows(tmp_path / "answered", "observations")} == {"animal"}


def test_a_broken_photo_without_a_time_is_left_out(fishnet, lake, tmp_path):
    (tmp_path / "lake" / "odd..name.jpg").write_bytes(b"nothing")
    ended = fishnet("predict", *lake, *PLACE)
    assert ended.status == 0 and "Left out of the package: 1 photo that cannot be read" in ended.err
    check_valid(tmp_path / "answered")
    assert len(rows(tmp_path / "answered", "media")) == 2


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["camtrap.latitude=95", "camtrap.longitude=0"], "camtrap.latitude=95"),
        (["camtrap.latitude=north", "camtrap.longitude=0"], "camtrap.latitude=north"),
        ([*PLACE, "camtrap.start=yesterday"], "camtrap.start=yesterday: this is a date and a time"),
        ([*PLACE, "camtrap.timezone=CEST"], "camtrap.timezone=CEST"),
        ([*PLACE, "camtrap.start=2024-05-02", "camtrap.end=2024-05-01"], "is later than"),
        ([*PLACE, "camtrap.start=2024-05-02T00:00:00"], "leave out photos"),
        ([*PLACE, CLOCK, "part=1/2"], "leave part=, parts= and by= out"),
        ([*PLACE, CLOCK, "by=(.)"], "leave part=, parts= and by= out"),
        ([*PLACE, CLOCK, "out=run"], "out=run exists"),
        ([*PLACE, CLOCK, "out=lake/answered"], "lies among the photos"),
        (["format=camtrap"], "format=camtrap: this takes csv or camtrap_dp"),
    ],
)
def test_what_cannot_be_written_is_one_sentence(fishnet, lake, tmp_path, arguments, word):
    given = {text.partition("=")[0]: text for text in [*lake, *arguments]}
    ended = fishnet("predict", *given.values())
    assert ended.status == 2 and word in ended.err and ended.err.count("fishnet:") == 1, ended.err
    assert not (tmp_path / "answered").exists() and not list(tmp_path.glob(".answered*"))


def test_a_package_of_answers_is_no_truth(fishnet, lake, tmp_path):
    """What a machine has classified is not trained on."""
    assert fishnet("predict", *lake, *PLACE, CLOCK, "sure=0").status == 0
    ended = fishnet("train", "data=folder", f"data.root={tmp_path}/answered/datapackage.json")
    assert ended.status == 2 and "3 photos that only a machine has classified" in ended.err
    ended = fishnet("explain", BEST, "images=answered/datapackage.json", "out=why", "pictures=1")
    assert ended.status == 0 and len(list((tmp_path / "why" / "pictures").iterdir())) == 1, ended.err
    before = {path.name: path.read_bytes() for path in (tmp_path / "lake").iterdir()}
    shutil.rmtree(tmp_path / "answered")
    assert {path.name: path.read_bytes() for path in (tmp_path / "lake").iterdir()} == before


def test_photos_are_linked_or_copied(fishnet, lake, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(95, "Operation not supported")

    assert fishnet("predict", *lake, *PLACE, CLOCK).status == 0
    assert os.path.samefile(tmp_path / "answered" / "media" / "a.jpg", tmp_path / "lake" / "a.jpg")
    monkeypatch.setattr(os, "link", refuse)
    assert fishnet("predict", *lake[:-1], *PLACE, CLOCK, "out=copied").status == 0
    assert not os.path.samefile(tmp_path / "copied" / "media" / "a.jpg", tmp_path / "lake" / "a.jpg")
    check_valid(tmp_path / "copied")
