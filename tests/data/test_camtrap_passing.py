"""Packages that are not quite right: what is written of them is, or it is said before a model is asked."""

import csv
import shutil

import pytest

from fishnet.data.camtrap import package_photos, read_package
from fishnet.data.camtrap_planning import Camera, planned
from fishnet.data.camtrap_writing import Classified, write_package
from fishnet.data.observations import loose_photos
from fishnet.errors import BadInput
from tests.commands.test_camtrap import check_valid, csv_as_before, rows  # noqa: F401
from tests.support.camtrap import deployment, medium, seen
from tests.support.camtrap import write_package as write_example
from tests.support.drawing import draw_photo

FOX = "Vulpes vulpes"


def answered(file, out, **answer):
    photos = loose_photos(file)
    plan = planned(photos.folder, photos.table, read_package(file), Camera())
    write_package(out, plan, [Classified(FOX, 0.9, True, "", **answer)] * len(photos.files), "a model")
    return out


def package(folder, where=None, medium_values=(), deployment_values=(), without=(), about=()):
    """A package of two photos, of which the first is at `where`."""
    media = [medium(name, "d", f"2020-06-01T10:00:0{number}Z") for number, name in enumerate("ab")]
    for number, row in enumerate(media):
        draw_photo(folder / row["filePath"], 0, number)
    observations = [seen(row["mediaID"], row, FOX) for row in media]
    media[0] |= dict(medium_values) | ({"filePath": where} if where else {})
    place = deployment("d", **dict(deployment_values))
    tables = {"deployments": [place], "media": media, "observations": observations}
    file = write_example(folder, tables, **dict(about))
    if where and not (folder / where).exists():
        (folder / where).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "media" / "a.jpg", folder / where)
    for name in without:
        table, column = name.split(".")
        found = rows(folder, table)
        with open(folder / f"{table}.csv", "w", newline="", encoding="utf-8") as opened:
            written = csv.DictWriter(opened, [key for key in found[0] if key != column], extrasaction="ignore")
            written.writeheader()
            written.writerows(found)
    return file


@pytest.mark.parametrize("where", ["media.csv", "observations.csv", "datapackage.json", "Deployments.csv/a.jpg"])
def test_a_photo_by_the_name_of_a_table_costs_nobody_the_table(tmp_path, where):
    file = package(tmp_path / "package", where)
    before = {each: each.read_bytes() for each in file.parent.rglob("*") if each.is_file()}
    out = answered(file, tmp_path / "out")
    check_valid(out)
    assert {each: each.read_bytes() for each in before} == before
    assert (out / "media" / where).read_bytes() == before[file.parent / where]


@pytest.mark.parametrize(
    ("where", "written"),
    [
        ("./media/a.jpg", "media/a.jpg"),
        ("media//a.jpg", "media/a.jpg"),
        (".hidden/a.jpg", "media/.hidden/a.jpg"),
        ("media/a..jpg", "media/a.jpg"),
        ("Füchse, neu/a 1.jpg", "Füchse, neu/a 1.jpg"),
    ],
)
def test_paths_are_written_as_the_format_allows(tmp_path, where, written):
    out = answered(package(tmp_path / "package", where), tmp_path / "out")
    check_valid(out)
    assert rows(out, "media")[0]["filePath"] == written


@pytest.mark.parametrize(
    ("given", "written", "note"),
    [
        ("2020-06-01T10:00:00", "2020-06-01T10:00:00Z", "the time is without a zone"),
        ("2020-06-01T10:00:00.250+02:00", "2020-06-01T10:00:00+02:00", ""),
    ],
)
def test_times_are_written_as_the_format_asks(tmp_path, given, written, note):
    times = {"deploymentStart": "2020-05-30T04:57:37", "deploymentEnd": "2020-07-01"}
    out = answered(package(tmp_path / "package", None, {"timestamp": given}, times), tmp_path / "out")
    check_valid(out)
    medium = rows(out, "media")[0]
    assert medium["timestamp"] == written and medium["mediaComments"].startswith(note)
    place = rows(out, "deployments")[0]
    assert (place["deploymentStart"], place["timestampIssues"]) == ("2020-05-30T04:57:37Z", "true")


def test_columns_that_are_missing_are_filled(tmp_path):
    file = package(tmp_path / "package", without=["media.filePublic", "media.fileMediatype"])
    out = answered(file, tmp_path / "out")
    check_valid(out)
    assert {(row["filePublic"], row["fileMediatype"]) for row in rows(out, "media")} == {("false", "image/jpeg")}


@pytest.mark.parametrize("key", ["project", "taxonomic", "contributors"])
@pytest.mark.parametrize("value", [None, [1], "x", [], [{"scientificName": ["x"], "title": 1}]])
def test_what_a_package_says_of_itself_may_be_anything(tmp_path, key, value):
    check_valid(answered(package(tmp_path / "package", about={key: value}), tmp_path / "out"))


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"medium_values": {"timestamp": "yesterday"}}, "the time of the medium a is yesterday"),
        ({"medium_values": {"timestamp": ""}}, "the time of the medium a is empty"),
        ({"deployment_values": {"latitude": "52,1"}}, "the latitude of the deployment d is 52,1"),
        ({"deployment_values": {"longitude": "nan"}}, "the longitude of the deployment d is nan"),
        ({"without": ["deployments.latitude"]}, "the latitude of the deployment d is empty"),
        ({"without": ["deployments.deploymentEnd"]}, "the deploymentEnd of the deployment d is empty"),
    ],
)
def test_what_cannot_be_put_right_is_one_sentence(tmp_path, changed, word):
    with pytest.raises(BadInput, match=word):
        answered(package(tmp_path / "package", **changed), tmp_path / "out")


def test_paths_that_are_too_long_are_photos_that_are_not_there(tmp_path):
    file = package(tmp_path / "package", None, {"filePath": "a" * 300 + ".jpg"})
    assert [row["path"] for row in package_photos(file)] == ["media/b.jpg"]


def test_a_file_by_two_spellings_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"media/b\.jpg is the file of several media"):
        package_photos(package(tmp_path / "package", "media/./b.jpg"))


def test_what_looks_like_none_of_the_classes_is_unknown(tmp_path):
    out = answered(package(tmp_path / "package"), tmp_path / "out", strange=True)
    check_valid(out)
    for row in rows(out, "observations"):
        assert (row["observationType"], row["scientificName"]) == ("unknown", "")
        assert (
            row["observationComments"] == "it looks like none of the classes; most probable: Vulpes vulpes (0.900000)"
        )


def test_names_that_differ_in_their_letters_case_are_two_photos(tmp_path):
    out = answered(package(tmp_path / "package", "media/B.jpg"), tmp_path / "out")
    assert [row["filePath"] for row in rows(out, "media")] == ["media/B.jpg", "media/b.jpg"]


def test_two_photos_of_one_place_in_the_new_package_are_refused(tmp_path):
    (tmp_path / "package" / "media").mkdir(parents=True)
    (tmp_path / "package" / "media" / "media.csv").write_bytes(b"another photo")
    file = package(tmp_path / "package", "media.csv")
    media = file.with_name("media.csv")
    media.write_text(media.read_text().replace("media/b.jpg", "media/media.csv"))
    with pytest.raises(BadInput, match="a, b are media of one file"):
        answered(file, tmp_path / "out")
