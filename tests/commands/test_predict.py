"""Photos in, a table out: a row a photo, whatever the photo."""

import csv
import shutil

import pandas as pd
import pytest

BEST = "checkpoint=run/checkpoints/best.ckpt"


@pytest.fixture
def photos(shapes, tmp_path):
    """Three photos, one of which is cut short, and a file that is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("disc", "box"):
        shutil.copy(shapes / name / "photo_000.jpg", folder / f"{name}.jpg")
    (folder / "cut.jpg").write_bytes((shapes / "bar" / "photo_000.jpg").read_bytes()[:200])
    (folder / "notes.txt").touch()
    return folder


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_each_photo_has_its_row(fishnet, trained, photos, tmp_path):
    ended = fishnet("predict", BEST, "images=photos", "out=deep/answers.csv")
    assert ended.status == 0, ended.err
    box, cut, disc = rows(tmp_path / "deep" / "answers.csv")
    for row in (box, disc):
        chances = {name: float(row[name]) for name in ("bar", "box", "disc")}
        assert sum(chances.values()) == pytest.approx(1, abs=2e-4)
        assert row["predicted"] == max(chances, key=chances.get)
        assert float(row["probability"]) == max(chances.values())
        assert row["problem"] == ""
    assert cut["path"].endswith("cut.jpg") and cut["problem"]
    assert (cut["predicted"], cut["not_sure"], cut["bar"]) == ("", "True", "")
    assert "1 could not be read" in ended.err
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["answers.csv"]


@pytest.mark.parametrize(("sure", "unsure"), [("0", "False"), ("1", "True")])
def test_below_the_threshold_an_answer_is_not_sure(fishnet, trained, photos, tmp_path, sure, unsure):
    assert fishnet("predict", BEST, "images=photos/disc.jpg", f"sure={sure}").status == 0
    assert [row["not_sure"] for row in rows(tmp_path / "predictions.csv")] == [unsure]


def test_a_table_is_replaced_only_when_that_is_said(fishnet, trained, photos, tmp_path):
    table = tmp_path / "predictions.csv"
    table.write_text("mine")
    ended = fishnet("predict", BEST, "images=photos/disc.jpg")
    assert (ended.status, table.read_text()) == (2, "mine")
    assert "overwrite=true" in ended.err
    assert fishnet("predict", BEST, "images=photos/disc.jpg", "overwrite=true").status == 0
    assert len(rows(table)) == 1


def test_only_possible_classes_are_answered(fishnet, trained, photos, tmp_path):
    """With the odds that these have to each other among all."""
    assert fishnet("predict", BEST, f"images={photos}", "out=all.csv").status == 0
    assert fishnet("predict", BEST, f"images={photos}", "out=two.csv", "classes=[disc,bar]").status == 0
    every, two = (pd.read_csv(tmp_path / f"{name}.csv").dropna(subset="probability") for name in ("all", "two"))
    assert list(two.columns[-2:]) == ["bar", "disc"] and "box" not in two.columns
    assert ((two["bar"] + two["disc"]) - 1).abs().max() < 1e-5
    assert (two["bar"] - every["bar"] / (every["bar"] + every["disc"])).abs().max() < 1e-4
    assert (two["predicted"] == two[["bar", "disc"]].idxmax(axis=1)).all()


@pytest.mark.parametrize(("classes", "word"), [("[disc]", "two classes or more"), ("[disc,eel,newt]", "eel, newt")])
def test_classes_that_cannot_be_are_one_sentence(fishnet, trained, photos, classes, word):
    ended = fishnet("predict", BEST, f"images={photos}", f"classes={classes}")
    assert ended.status == 2 and word in ended.err and ended.err.count("fishnet:") == 1, ended.err
