"""Runs become arms: what repeats what, means over folds and seeds, and differences paired where photos are the same."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fishnet.measure.significance import spread
from fishnet.runs.arms import ComparedRun, arms_of, difference
from fishnet.runs.side_by_side import shared_photos
from fishnet.tracking import names
from fishnet.tracking.layout import Row

KEY = "test/accuracy"


def run_of(folder: Path, photos: range, right: set[int], name: str = "", **params: object) -> ComparedRun:
    """A run that answered these photos, of two classes, and got some of them right."""
    label = np.array([number % 2 for number in photos])
    answers = np.where([number in right for number in photos], label, 1 - label)
    table = pd.DataFrame({"path": [f"{number}.jpg" for number in photos], "class": label, "predicted": answers})
    (folder / "report").mkdir(parents=True)
    (folder / "split").mkdir()
    table.assign(probability=0.9, group=table["path"]).to_csv(folder / "report" / "predictions.csv", index=False)
    sha = [f"{number:064x}" for number in photos]
    table.assign(sha256=sha, split="test").to_csv(folder / "split" / "split.csv", index=False)
    metrics = {KEY: float((answers == label).mean()), f"{KEY}_low": 0.1, f"{KEY}_high": 0.9}
    texts = {f"{key.replace('__', '.')}": str(value) for key, value in params.items()}
    tags = {names.FOLDER: str(folder), names.DATA_DIGEST: "d", names.COMMAND: "train"}
    started = datetime(2026, 1, 1)
    row = Row(folder.name, "1", "lake", name or folder.name, "FINISHED", started, 1.0, None, metrics, texts, tags)
    return ComparedRun(row, {})


def test_folds_and_seeds_repeat_an_arm_and_anything_else_makes_another(tmp_path):
    runs = [
        run_of(tmp_path / f"a{fold}{seed}", range(10 * fold, 10 * fold + 10), set(range(7 * fold + seed, 40)),
               model__lr=0.1, data__fold=fold, data__folds=2, seed=seed)
        for fold in (0, 1)
        for seed in (0, 1)
    ]  # fmt: skip
    runs.append(run_of(tmp_path / "b", range(10), {1, 2}, model__lr=0.2, data__fold=0, data__folds=2, seed=0))
    repeated, alone = arms_of(runs)
    assert [len(arm.runs) for arm in (repeated, alone)] == [4, 1]
    assert repeated.name == "lr=0.1" and alone.name == "b"
    of_folds = [np.mean([run.row.metrics[KEY] for run in runs[start : start + 2]]) for start in (0, 2)]
    assert repeated.figure(KEY)[:4] == pytest.approx(spread(of_folds)[:4]) and repeated.figure(KEY).n == 4
    assert (alone.figure(KEY).low, alone.figure(KEY).high) == (0.1, 0.9)  # of a single run that of its photos


def test_runs_with_one_seed_are_all_counted(tmp_path):
    runs = [run_of(tmp_path / str(n), range(8), set(range(n)), model__lr=0.1, seed=0) for n in (3, 5, 6)]
    (arm,) = arms_of(runs)
    assert arm.figure(KEY).n == 3 and arm.figure(KEY).mean == pytest.approx((3 + 5 + 6) / 24)


def test_a_difference_is_paired_where_both_answered_the_same_photos_and_else_unknown(tmp_path):
    best = run_of(tmp_path / "best", range(40), set(range(36)), model__lr=1, seed=0)
    same = run_of(tmp_path / "same", range(40), set(range(20)), model__lr=2, seed=0)
    other = run_of(tmp_path / "other", range(100, 140), set(range(100, 120)), model__lr=3, seed=0)
    first, second, third = arms_of([best, same, other])
    found = difference(first, second, KEY)
    assert found is not None and found.value == pytest.approx(0.4)
    assert found.how == "photo by photo over 40 groups, one seed each" and found.p < 0.001
    assert difference(first, third, KEY) is None


def test_photos_are_the_same_by_their_bytes_and_the_disputed_come_first(tmp_path):
    first = run_of(tmp_path / "first", range(6), {0, 1, 2, 3}, model__lr=1)
    second = run_of(tmp_path / "second", range(6), {0, 1, 4}, model__lr=2)
    second.tested["file"] = [f"elsewhere/{n}.jpg" for n in range(6)]  # the folder was moved: the bytes are the same
    photos = shared_photos([first, second])
    assert [photo.kind for photo in photos] == ["differ"] * 3 + ["wrong", "right", "right"]
    assert {int(photo.digest, 16) for photo in photos[:3]} == {2, 3, 4} and int(photos[3].digest, 16) == 5
    assert all(len(photo.answers) == 2 for photo in photos)
    assert [photo.true for photo in photos[:2]] in (["0", "1"], ["1", "0"])  # the classes in turn
