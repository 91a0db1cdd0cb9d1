"""Confusions: counts, ranked pairs and the tree of alike classes."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix as theirs
from sklearn.metrics import precision_recall_fscore_support

from fishnet.measure.confusions import (
    class_linkage,
    classification_report,
    confused_pairs,
    confusion_matrix,
    groups_of_classes,
    merges,
    readable,
)

NAMES = ["pike", "perch", "roach", "eel"]
MANY = np.full(4, 9)  # groups of each class
MATRIX = np.array([[8, 2, 0, 0], [4, 6, 0, 0], [0, 0, 9, 1], [0, 0, 0, 0]])


def unknown(classes: int) -> dict[str, np.ndarray]:
    """No interval for any class."""
    return {name: np.full((classes, 2), np.nan) for name in ("precision", "recall", "f1")}


def test_matrix_and_report_equal_sklearn():
    chance = np.random.default_rng(0)
    labels, predicted = chance.integers(0, 4, 100), chance.integers(0, 5, 100)
    matrix = confusion_matrix(labels, predicted, 5)
    assert (matrix == theirs(labels, predicted, labels=range(5))).all()
    report = classification_report(matrix, np.ones(5, int), list("abcde"), unknown(5))
    expected = precision_recall_fscore_support(labels, predicted, labels=range(5), zero_division=0)
    for column, values in zip(["precision", "recall", "f1", "photos"], expected, strict=True):
        assert report[column].to_numpy() == pytest.approx(values)


def test_pairs_are_ranked_and_tell_both_directions():
    pairs = confused_pairs(MATRIX, MANY, NAMES)
    assert pairs[["first", "second", "confused"]].to_numpy().tolist() == [["pike", "perch", 6], ["roach", "eel", 1]]
    top = pairs.iloc[0]
    assert (top.first_as_second, top.second_as_first) == (2, 4)
    assert (top.share, top.first_as_second_share, top.second_as_first_share) == (0.3, 0.2, 0.4)


def test_no_confusion_no_pairs():
    assert confused_pairs(np.diag([3, 4]), MANY[:2], ["a", "b"]).empty


def test_most_confused_classes_join_first_at_one_minus_similarity():
    table = merges(class_linkage(MATRIX), MANY, NAMES)
    first = table.iloc[0]
    assert {first.left, first.right} == {"pike", "perch"}
    assert first.distance == pytest.approx(1 - (0.2 + 0.4) / 2)
    assert table.distance.is_monotonic_increasing
    assert set(table.iloc[-1].members.split(" | ")) == set(NAMES)
    assert table.iloc[-1].classes == 4


def test_tree_of_two_classes():
    table = merges(class_linkage(np.array([[5, 5], [0, 10]])), MANY[:2], ["a", "b"])
    assert len(table) == 1
    assert table.distance[0] == 0.75


def test_groups_are_counted_a_class_and_names_stay_whole():
    labels, groups = np.array([0, 0, 0, 2]), np.array(["x", "x", "y", "x"])
    assert groups_of_classes(labels, groups, 4).tolist() == [2, 0, 1, 0]
    name = "Klunzinger's wrasse, × 鱼 " + "long" * 20
    report = classification_report(np.eye(2, dtype=int), np.ones(2, int), [name, "b"], unknown(2))
    assert name in readable(report)
    assert isinstance(report, pd.DataFrame)


def test_a_class_with_fewer_than_five_groups_is_too_few_to_tell():
    groups = np.array([5, 4, 9, 0])
    report = classification_report(MATRIX, groups, NAMES, unknown(4))
    assert report["note"].tolist() == ["", "too few to tell", "", "too few to tell"]
    lines = readable(report).splitlines()
    assert ["too few to tell" in line for line in lines] == [False, False, True, False, True]
    pairs = confused_pairs(MATRIX, groups, NAMES)
    assert pairs["note"].tolist() == ["too few to tell", "too few to tell"]
    tree = merges(class_linkage(MATRIX), groups, NAMES)
    alone = tree["left"].isin(["perch", "eel"]) | tree["right"].isin(["perch", "eel"])
    assert (tree["note"] == "too few to tell").tolist() == alone.tolist()


def test_the_report_shows_intervals_beside_their_figures():
    ends = {name: np.array([[0.25, 0.75], [np.nan, np.nan]]) for name in ("precision", "recall", "f1")}
    report = classification_report(np.array([[1, 1], [0, 2]]), np.array([9, 9]), ["a", "b"], ends)
    assert report.loc[0, ["recall", "recall_low", "recall_high"]].tolist() == [0.5, 0.25, 0.75]
    first, second = readable(report).splitlines()[1:]
    assert "0.500 [0.250, 0.750]" in first and "[" not in second and "nan" not in second
