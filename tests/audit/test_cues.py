"""What a class rests on as a set of pictures: what is in it, whose they are, and what another model makes of it."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from PIL import Image

from fishnet.audit.cue_test import cue_metrics, cue_test, known_cues
from fishnet.audit.cues import MOST, write_cues
from fishnet.audit.regions import ellipse, elliptic
from fishnet.errors import BadInput
from tests.support.edged import SIDE, is_edged
from tests.support.readers import BorderReader


@pytest.fixture
def cues(whole, tmp_path):
    """The set of the model that reads the edge."""
    write_cues(whole, tmp_path / "cues", model="abc")
    return tmp_path / "cues"


def cue_test_of(folder, cues, edge):
    model = BorderReader(SIDE, classes=3, edge=edge)
    regions_of = partial(lambda rows: elliptic(len(rows), SIDE))
    rows, known = np.flatnonzero(folder.table["seen"] == "test"), known_cues(cues, model.classes)
    return cue_test(model, folder, rows, regions_of, known, cues, hosts=12)


def test_the_animal_is_left_out_of_every_picture(whole, cues):
    table = json.loads((cues / "cues.json").read_text())
    assert table["model"] == "abc" and table["left_out"] == {}
    assert len(table["cues"]) == len(list(cues.glob("*.png"))) == MOST
    paths = whole.measured.photos.set_index("sha256")["path"]
    for row in table["cues"]:
        picture = np.array(Image.open(cues / row["file"]))
        animal = ellipse(SIDE).numpy() > 0
        assert picture.shape == (SIDE, SIDE, 4)
        assert (picture[animal] == 0).all() and (picture[:3, :, 3] == 255).all()
        assert row["class"] == "class 2" and is_edged(paths[row["photo_sha256"]])
        assert (picture[:3, :, :3] == 255).all()


def test_a_photo_that_may_not_be_changed_is_not_copied(whole, tmp_path):
    photos = whole.measured.photos
    licences = np.resize(["CC BY 4.0", "cc-by-nd", "", "all rights reserved", "cc0"], len(photos))
    measured = replace(whole.measured, photos=photos.assign(licence=licences, observer="ann"))
    left_out = write_cues(replace(whole, measured=measured), tmp_path / "cues", model="abc")
    rows = json.loads((tmp_path / "cues" / "cues.json").read_text())["cues"]
    assert {row["licence"] for row in rows} == {"CC BY 4.0", "cc0"} and {row["observer"] for row in rows} == {"ann"}
    carriers = len(whole.found[2].test.carriers)
    assert left_out["class 2"] == carriers - len(rows) > 0


def test_where_nothing_was_found_nothing_is_written(whole, tmp_path):
    write_cues(replace(whole, found=whole.found[:2]), tmp_path / "cues", model="abc")
    assert not (tmp_path / "cues").exists()


def test_a_model_that_rests_on_the_cues_is_told_from_one_that_does_not(folder, cues):
    rests, does_not = cue_test_of(folder, cues, edge=8.0), cue_test_of(folder, cues, edge=0.0)
    assert rests["class"].tolist() == does_not["class"].tolist() == ["class 2"]
    assert rests["reliance"].item() > 0.2 > 0.02 > does_not["reliance"].item()
    assert rests["beyond"].item() == "photos of other classes"
    assert cue_metrics(rests)["audit/cues/reliance_max"] == rests["reliance"].item()


def test_cues_of_several_classes_are_held_against_each_other(folder, cues):
    table = json.loads((cues / "cues.json").read_text())
    for row in table["cues"][::2]:
        row["class"] = "class 0"
    (cues / "cues.json").write_text(json.dumps(table))
    both = cue_test_of(folder, cues, edge=8.0).set_index("class")
    assert set(both.index) == {"class 0", "class 2"} and set(both["beyond"]) == {"cues of other classes"}
    assert both["reliance"].max() < 0.05  # the same edge in both


def test_classes_that_the_model_does_not_know_are_named(folder, cues, caplog):
    table = json.loads((cues / "cues.json").read_text())
    for row in table["cues"][:3]:
        row["class"] = "pike"
    (cues / "cues.json").write_text(json.dumps(table))
    assert cue_test_of(folder, cues, edge=8.0)["cues"].tolist() == [MOST - 3]
    assert "does not know pike" in caplog.text
    for row in table["cues"]:
        row["class"] = "pike"
    (cues / "cues.json").write_text(json.dumps(table))
    with pytest.raises(BadInput, match="knows none of its classes"):
        cue_test_of(folder, cues, edge=8.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "cues.json").unlink(), r"no cues\.json"),
        (lambda folder: (folder / "cues.json").write_text("{}"), r"no cues\.json"),
        (lambda folder: next(folder.glob("*.png")).unlink(), "is not there"),
        (lambda folder: next(folder.glob("*.png")).write_bytes(b"another"), "cannot be used"),
        (lambda folder: renamed(folder, "file", "../x.png"), "is not there"),
        (lambda folder: renamed(folder, "kind", "smell"), "smell"),
    ],
)
def test_a_set_that_is_not_whole_is_refused(folder, cues, change, words):
    change(cues)
    with pytest.raises(BadInput, match=words):
        cue_test_of(folder, cues, edge=8.0)


def renamed(folder, key, value):
    table = json.loads((folder / "cues.json").read_text())
    table["cues"][0][key] = value
    (folder / "cues.json").write_text(json.dumps(table))
