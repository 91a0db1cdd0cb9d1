"""What photos of the same subject are worth: the gap is there where subjects look alike, and nowhere else."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from fishnet.audit.leakage import COLUMNS, leakage_metrics, leakage_sentences, leakage_table, units_of

CLASSES, SUBJECTS, EACH, NUMBERS = 3, 20, 4, 30  # subjects a class, photos a subject


def photos(likeness: float, seed: int = 0):
    """Features in which photos of a subject are alike by so much, and classes a little; labels; subjects."""
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(CLASSES), SUBJECTS * EACH)
    subject = np.repeat(np.arange(CLASSES * SUBJECTS), EACH)
    features = rng.normal(size=(len(label), NUMBERS)) + 0.6 * np.eye(NUMBERS)[label]
    return features + likeness * rng.normal(size=(CLASSES * SUBJECTS, NUMBERS))[subject], label, subject


def test_the_gap_is_what_photos_of_the_same_subject_are_worth():
    features, label, subject = photos(likeness=3.0)
    table = leakage_table(features, label, subject, {"subject": subject, "observer": subject // 10})
    assert tuple(table.columns) == COLUMNS and table["unit"].tolist() == ["photo", "subject", "observer"]
    assert table["units"].tolist() == [len(label), CLASSES * SUBJECTS, CLASSES * SUBJECTS // 10]
    photo, by_subject, by_observer = table.to_dict("records")
    assert photo["gap"] == photo["gap_low"] == photo["gap_high"] == 0
    assert by_subject["gap"] == pytest.approx(photo["accuracy"] - by_subject["accuracy"])
    assert by_subject["gap_low"] > 0.2 and by_observer["accuracy"] <= by_subject["accuracy"]
    for row in (photo, by_subject):
        assert row["accuracy_low"] < row["accuracy"] < row["accuracy_high"]
        assert row["f1_macro_low"] < row["f1_macro"] < row["f1_macro_high"]
    metrics = leakage_metrics(table)
    assert metrics["leakage/gap"] == by_subject["gap"] and metrics["leakage/photo"] == photo["accuracy"]
    first, second = leakage_sentences(table)
    assert f"of {len(label)} photos when other photos of the same subject" in first
    assert f"worth {100 * by_subject['gap']:.0f} points" in first
    assert "same observer" in second


def test_there_is_no_gap_where_photos_of_a_subject_are_as_different_as_any():
    features, label, subject = photos(likeness=0.0)
    row = leakage_table(features, label, subject, {"subject": subject}).iloc[1]
    assert row["gap_low"] < 0 < row["gap_high"] and abs(row["gap"]) < 0.05


def test_an_observer_of_everything_leaves_nothing_to_fit():
    features, label, subject = photos(likeness=1.0)
    table = leakage_table(features, label, subject, {"observer": np.zeros(len(label), int)})
    assert table["unit"].tolist() == ["photo"] and not leakage_sentences(table)
    assert "leakage/gap" not in leakage_metrics(table)


def folder(group: str | None, groups: list[int], observers: list[str] | None = None) -> SimpleNamespace:
    table = pd.DataFrame({"group": groups})
    return SimpleNamespace(group=group, table=table if observers is None else table.assign(observer=observers))


def test_units_are_what_the_folder_knows():
    together = [0, 0, 1, 2, 2]
    assert [name for name, _ in units_of(folder("auto", together))] == ["subject"]
    assert not dict(units_of(folder("none", together)))
    assert not dict(units_of(folder("auto", [0, 1, 2, 3, 4])))
    assert not dict(units_of(folder("none", together, ["Ann"] * 5)))
    units = dict(units_of(folder("none", together, ["Ann", "", "Ann", "Bob", ""])))
    assert units["observer"].tolist() == [0, 0, 0, 1, 1]  # a photo without observer goes with its subject
