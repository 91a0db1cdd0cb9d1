"""Photos in, a table out: a row a photo, whatever the photo."""

import csv
import fcntl
import json
import os
import shutil
import signal

import pandas as pd
import pytest

from fishnet.models.bundle import write_bundle
from fishnet.models.checkpoint import load_model
from tests.support.drawing import draw_photo

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


def test_what_is_no_file_and_what_has_no_name_in_utf8_cost_themselves_alone(fishnet, trained, photos, tmp_path):
    os.mkfifo(photos / "pipe.jpg")
    shutil.copy(photos / "disc.jpg", os.fsencode(photos) + b"/bad\xff.jpg")
    for images in ("photos", "photos/*.jpg"):
        ended = fishnet("predict", BEST, f"images={images}", "overwrite=true")
        assert ended.status == 0, ended.err
        assert [row["path"][-8:] for row in rows(tmp_path / "predictions.csv")] == ["/box.jpg", "/cut.jpg", "disc.jpg"]
        assert "1 special files" in ended.err and "bad\\udcff.jpg: the file's name is not valid UTF-8" in ended.err


def test_a_photo_that_has_become_a_pipe_keeps_its_row(fishnet, trained, photos, tmp_path, monkeypatch):
    from fishnet.data import observations

    found = observations.find_photos

    def then_replaced(images):
        answer = found(images)
        (photos / "box.jpg").unlink()
        os.mkfifo(photos / "box.jpg")
        return answer

    monkeypatch.setattr(observations, "find_photos", then_replaced)
    ended = fishnet("predict", BEST, "images=photos")
    assert ended.status == 0, ended.err
    assert [bool(row["problem"]) for row in rows(tmp_path / "predictions.csv")] == [True, True, False]


def test_a_photo_called_like_a_formula_is_text_in_the_table(fishnet, trained, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(photos)
    (photos / "disc.jpg").rename(photos / "=HYPERLINK(1).jpg")
    checkpoint = f"checkpoint={trained}/checkpoints/best.ckpt"
    assert fishnet("predict", checkpoint, "images=*.jpg", "out=../plain.csv").status == 0
    assert fishnet("predict", checkpoint, "images=*.jpg", "out=../parts.csv", "part=1/1").status == 0
    assert fishnet("predict", "join=../parts.*.csv", "out=../joined.csv").status == 0
    for name in ("plain", "joined"):
        assert [row["path"] for row in rows(tmp_path / f"{name}.csv")] == ["'=HYPERLINK(1).jpg", "box.jpg", "cut.jpg"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_neither_half_a_table_nor_a_hidden_one(fishnet, trained, photos, tmp_path, monkeypatch, number):
    from fishnet.models import answer_table

    monkeypatch.setattr(answer_table, "answers", lambda *_: signal.raise_signal(number) or iter(()))
    before = {*tmp_path.iterdir()}
    ended = fishnet("predict", BEST, "images=photos")
    assert (ended.status, "Traceback" in ended.err) == (128 + number, False)
    assert {*tmp_path.iterdir()} == before


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


# ---- one answer for several photos


@pytest.fixture
def visits(photos):
    """Five photos, of which three show one visit; one of them cannot be read."""
    shutil.copy(photos / "disc.jpg", photos / "disc_2.jpg")
    shutil.copy(photos / "box.jpg", photos / "last.jpg")
    visits = ["path,visit", "box.jpg,a", "cut.jpg,a", "disc.jpg,a", "disc_2.jpg,"]
    (photos / "manifest.csv").write_text("\n".join(visits), encoding="utf-8")
    return photos


def test_photos_of_an_observation_have_one_answer(fishnet, trained, visits, tmp_path):
    assert fishnet("predict", BEST, "images=photos", "out=photos.csv").status == 0
    assert fishnet("predict", BEST, "images=photos", "out=visits.csv", "by=visit").status == 0
    single = {row["path"]: row for row in rows(tmp_path / "photos.csv")}
    joined, *alone = rows(tmp_path / "visits.csv")
    assert (joined["observation"], joined["photos"]) == ("a", "3")
    assert joined["problem"].startswith("1 of 3 photos: ")
    for name in ("bar", "box", "disc"):
        both = [float(single[f"photos/{photo}.jpg"][name]) for photo in ("box", "disc")]
        assert float(joined[name]) == pytest.approx(sum(both) / 2, abs=2e-6)
    assert joined["seen"] == "train" and joined["predicted"] in ("bar", "box", "disc")
    assert [(row["observation"], row["photos"]) for row in alone] == [("disc_2.jpg", "1"), ("last.jpg", "1")]
    assert alone[1]["box"] == single["photos/last.jpg"]["box"]


def test_an_observation_without_a_readable_photo_keeps_its_row(fishnet, trained, photos, tmp_path):
    shutil.copy(photos / "cut.jpg", photos / "cut_2.jpg")
    assert fishnet("predict", BEST, "images=photos", r"by=^(\w{3})").status == 0
    row = next(row for row in rows(tmp_path / "predictions.csv") if row["observation"] == "cut")
    assert (row["photos"], row["predicted"], row["not_sure"], row["bar"]) == ("2", "", "True", "")
    assert row["problem"].startswith("2 of 2 photos: ")


# ---- thresholds


def test_each_class_may_have_its_own_threshold(fishnet, trained, photos, tmp_path):
    assert fishnet("predict", BEST, "images=photos/disc.jpg", "sure=0").status == 0
    answer = rows(tmp_path / "predictions.csv")[0]["predicted"]
    for limit, unsure in ((0, "False"), (1, "True")):
        limits = ", ".join(f"{name}: {limit if name == answer else 0.5}" for name in ("bar", "box", "disc"))
        ended = fishnet("predict", BEST, "images=photos/disc.jpg", f"sure={{{limits}}}", "overwrite=true")
        assert ended.status == 0, ended.err
        assert rows(tmp_path / "predictions.csv")[0]["not_sure"] == unsure


@pytest.mark.parametrize(
    ("sure", "word"),
    [
        ("{bar: 0.9, box: 0.5}", "disc has none"),
        ("{bar: 0.9, box: 0.5, disc: 2}", "between 0 and 1"),
        ("{bar: 0.9, box: 0.5, disc: yes please}", "between 0 and 1"),
        ("{bar: 0.9, box: 0.5, disc: 0.1, eel: 0.1}", "eel cannot be answered"),
        ("1.5", "between 0 and 1"),
        ("often", "a number or model or a mapping"),
    ],
)
def test_a_threshold_that_cannot_be_is_one_sentence(fishnet, trained, photos, sure, word):
    ended = fishnet("predict", BEST, "images=photos", f"sure={sure}")
    assert ended.status == 2 and word in ended.err and ended.err.count("fishnet:") == 1, ended.err


def test_thresholds_that_a_bundle_carries(fishnet, trained, photos, tmp_path):
    """A class without one is never sure."""
    model = load_model(trained / "checkpoints" / "best.ckpt")
    write_bundle(model, tmp_path / "handed", about={"thresholds": {"bar": 0.0, "box": 0.0, "disc": 0.0}})
    write_bundle(model, tmp_path / "careful", about={"thresholds": {"bar": None, "box": None}})
    for bundle, unsure in (("handed", "False"), ("careful", "True")):
        arguments = [f"checkpoint={bundle}", "images=photos/disc.jpg", "sure=model", "overwrite=true"]
        assert fishnet("predict", *arguments).status == 0
        assert rows(tmp_path / "predictions.csv")[0]["not_sure"] == unsure
    assert fishnet("predict", BEST, "images=photos/disc.jpg", "sure=model", "overwrite=true").status == 0
    assert rows(tmp_path / "predictions.csv")[0]["not_sure"] == "True"  # too few photos for the run to know any
    shutil.copy(trained / "checkpoints" / "best.ckpt", tmp_path / "alone.ckpt")
    ended = fishnet("predict", "checkpoint=alone.ckpt", "images=photos/disc.jpg", "sure=model", "out=none.csv")
    assert ended.status == 2 and "has no thresholds" in ended.err and "fishnet export" in ended.err


# ---- parts


@pytest.fixture
def lake(trained, tmp_path):
    """Fourteen photos: eleven of four visits, two alone, one that is cut short."""
    for number in range(13):
        draw_photo(tmp_path / "lake" / f"{number:02d}.jpg", number % 4, number)
    (tmp_path / "lake" / "05,\ncut.jpg").write_bytes((tmp_path / "lake" / "01.jpg").read_bytes()[:300])
    visits = [f"{number:02d}.jpg,{'abcd'[number % 4]}" for number in range(11)]
    (tmp_path / "lake" / "manifest.csv").write_text("\n".join(["path,visit", *visits]), encoding="utf-8")
    return [BEST, "images=lake", "batch_size=3", "out=answers.csv"]


@pytest.mark.parametrize("by", [[], ["by=visit"]])
def test_parts_joined_are_the_table_of_one_command(fishnet, lake, tmp_path, by):
    assert fishnet("predict", *lake, *by).status == 0
    whole = (tmp_path / "answers.csv").read_bytes()
    for number in (3, 1, 2):
        ended = fishnet("predict", *lake, *by, f"part={number}/3")
        assert ended.status == 0, ended.err
    names = sorted(path.name for path in tmp_path.iterdir() if "answers" in path.name)
    assert names == ["answers.1-of-3.csv", "answers.2-of-3.csv", "answers.3-of-3.csv", "answers.csv"]
    parts = [pd.read_csv(tmp_path / name, comment="#") for name in names[:3]]
    key = "observation" if by else "path"
    assert pd.concat(parts)[key].tolist() == pd.read_csv(tmp_path / "answers.csv")[key].tolist()
    for given in ("answers.*-of-3.csv", "."):
        ended = fishnet("predict", f"join={given}", "out=joined.csv", "overwrite=true")
        assert ended.status == 0, ended.err
        assert (tmp_path / "joined.csv").read_bytes() == whole


def test_more_parts_than_batches(fishnet, lake, tmp_path):
    assert fishnet("predict", *lake, "batch_size=32").status == 0
    for number in (1, 2, 3):
        assert fishnet("predict", *lake, "batch_size=32", f"part={number}/3").status == 0
    assert fishnet("predict", "join=.", "out=joined.csv").status == 0
    assert (tmp_path / "joined.csv").read_bytes() == (tmp_path / "answers.csv").read_bytes()


def test_a_part_goes_on_where_it_was(fishnet, lake, tmp_path, monkeypatch):
    """Whatever a killed command has left at the end of its journal."""
    from fishnet.models import answer_table

    assert fishnet("predict", *lake, "part=1/1").status == 0
    whole = (tmp_path / "answers.1-of-1.csv").read_bytes()
    (tmp_path / "answers.1-of-1.csv").unlink()
    asked, plain = [], answer_table.answers

    def counted(model, files, *arguments):
        asked.extend(files)
        if len(asked) > 9:
            raise KeyboardInterrupt
        return plain(model, files, *arguments)

    monkeypatch.setattr(answer_table, "answers", counted)
    assert fishnet("predict", *lake, "part=1/1").status == 130
    assert not (tmp_path / "answers.1-of-1.csv").exists()
    journal = tmp_path / ".answers.1-of-1.csv.journal"
    journal.write_bytes(journal.read_bytes()[:-20])  # the last line is cut short
    asked.clear()
    again = lambda model, files, *rest: asked.extend(files) or plain(model, files, *rest)  # noqa: E731
    monkeypatch.setattr(answer_table, "answers", again)
    ended = fishnet("predict", *lake, "part=1/1")
    assert ended.status == 0 and "goes on: 2 of 5 batches" in ended.err, ended.err
    assert len(asked) == 14 - 6 and len({*asked}) == len(asked)
    assert (tmp_path / "answers.1-of-1.csv").read_bytes() == whole and not journal.exists()


def test_a_photo_that_was_exchanged_between_two_parts_is_seen(fishnet, lake, tmp_path):
    assert fishnet("predict", *lake, "part=1/2").status == 0
    draw_photo(tmp_path / "lake" / "00.jpg", 3, 99)
    assert fishnet("predict", *lake, "part=2/2").status == 0
    ended = fishnet("predict", "join=.", "out=joined.csv")
    assert ended.status == 2 and "other photos in the folder" in ended.err, ended.err


def test_a_journal_of_other_answers_is_not_gone_on_with(fishnet, lake, tmp_path):
    journal = tmp_path / ".answers.1-of-2.csv.journal"
    for left in (b"garbage\xff\n{}", b'{"fishnet_part": 1}\n{"block": 0, "text": "x", "counts": {}}\n', b"[1]\n[]\n"):
        journal.write_bytes(left)
        assert fishnet("predict", *lake, "part=1/2", "overwrite=true").status == 0
        assert len(pd.read_csv(tmp_path / "answers.1-of-2.csv", comment="#")) == 9


def test_a_part_is_answered_by_one_process_at_a_time(fishnet, lake, tmp_path):
    journal = tmp_path / ".answers.1-of-2.csv.journal"
    with open(journal, "ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        ended = fishnet("predict", *lake, "part=1/2")
        assert ended.status == 2 and "Another process is answering answers.1-of-2.csv" in ended.err
    assert fishnet("predict", *lake, "part=1/2").status == 0
    ended = fishnet("predict", *lake, "part=1/2")
    assert ended.status == 2 and "answers.1-of-2.csv exists" in ended.err


def change(file, **values):
    line, body = file.read_bytes().split(b"\n", 1)
    file.write_bytes(b"# " + json.dumps(json.loads(line[2:]) | values).encode() + b"\n" + body)


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda home: (home / "answers.2-of-3.csv").unlink(), "of 3 parts there is no 2"),
        (lambda home: shutil.copy(home / "answers.2-of-3.csv", home / "copy.csv"), "part 2/3 is there twice"),
        (lambda home: change(home / "answers.2-of-3.csv", classes=["bar", "eel"]), "other classes"),
        (lambda home: change(home / "answers.2-of-3.csv", model="0" * 64), "another model"),
        (lambda home: change(home / "answers.2-of-3.csv", of=4), "one of"),
        (lambda home: change(home / "answers.2-of-3.csv", most_megapixels=1), "another most_megapixels="),
        (lambda home: change(home / "answers.2-of-3.csv", number="2"), "is no part"),
        (lambda home: change(home / "answers.2-of-3.csv", header="9"), "is no part"),
        (lambda home: change(home / "answers.2-of-3.csv", counts={"not sure": "9"}), "is no part"),
        (lambda home: change(home / "answers.2-of-3.csv", counts=[1]), "is no part"),
        (
            lambda home: (home / "answers.2-of-3.csv").write_text('# {"fishnet_part": ' + "[" * 200_000 + "\n"),
            "is no part",
        ),
        (lambda home: os.truncate(home / "answers.2-of-3.csv", 900), "cut short or was changed"),
        (lambda home: os.truncate(home / "answers.2-of-3.csv", 90), "is no part"),
        (lambda home: (home / "answers.9-of-3.csv").write_text("path,predicted\n"), "is no part"),
    ],
)
def test_parts_that_do_not_belong_together_are_one_sentence(fishnet, lake, tmp_path, spoil, word):
    for number in (1, 2, 3):
        assert fishnet("predict", *lake, f"part={number}/3").status == 0
    spoil(tmp_path)
    ended = fishnet("predict", "join=*.csv", "out=joined.csv")
    assert ended.status == 2 and word in ended.err and ended.err.count("fishnet:") == 1, ended.err
    assert not (tmp_path / "joined.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["join=.", "out=joined.csv"], "there is no part"),
        (["join=.", "images=lake"], "leave images= out"),
        (["join=.", "part=1/2"], "leave part="),
        (["join=.", "sure=0.5"], "leave sure= out"),
        (["join=.", "batch_size=4"], "leave batch_size= out"),
        ([BEST, "images=lake", "part=3/2"], "such as part=2/4"),
        ([BEST, "images=lake", "by=nothing"], "neither a filled column"),
    ],
)
def test_keys_that_contradict_each_other(fishnet, lake, arguments, word):
    ended = fishnet("predict", *arguments)
    assert ended.status == 2 and word in ended.err and ended.err.count("fishnet:") == 1, ended.err
