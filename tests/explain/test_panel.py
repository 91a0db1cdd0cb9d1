"""The choice of photos to show."""

import numpy as np

from fishnet.explain.panel import fixed_panel, telling
from fishnet.measure.predictions import Predictions


def test_spread_over_the_classes_and_always_the_same():
    labels = np.array([0] * 20 + [1] * 3 + [2] * 1)
    rows = np.arange(100, 124)
    chosen = fixed_panel(rows, labels, 8)
    assert chosen == fixed_panel(rows, labels, 8)
    assert len(set(chosen)) == 8
    assert np.bincount(labels[np.array(chosen) - 100]).tolist() == [4, 3, 1]


def test_more_classes_than_places():
    labels = np.repeat(np.arange(120), 2)
    shown = labels[fixed_panel(np.arange(240), labels, 8)]
    assert len(set(shown)) == 8
    assert {0, 119} <= set(shown)


def test_fewer_photos_than_places_and_none():
    assert len(fixed_panel(np.arange(3), np.array([0, 1, 1]), 8)) == 3
    assert fixed_panel(np.zeros(0, int), np.zeros(0, int), 8) == []


def answers(sure: list[float], right: list[bool]) -> tuple[Predictions, np.ndarray]:
    """Photos of class 0, each answered with some sureness, rightly or wrongly."""
    logits = np.array([[s, 0] if ok else [0, s] for s, ok in zip(sure, right, strict=True)], float)
    return Predictions(np.arange(len(sure)), np.zeros(len(sure), int), logits), np.array(sure)


def test_surest_right_then_surest_wrong():
    predictions = answers([1, 5, 2, 3, 4, 6], [True, True, True, False, False, True])
    assert telling(*predictions, 0, 4) == [5, 1, 4, 3]
    assert telling(*predictions, 1, 4) == []


def test_one_kind_fills_up_for_the_other():
    assert telling(*answers([1, 2, 3], [True] * 3), 0, 4) == [2, 1, 0]
    assert telling(*answers([1, 2, 3, 4, 5], [True, True, True, True, False]), 0, 4) == [3, 2, 1, 4]
    assert telling(*answers([1, 2, 3], [False] * 3), 0, 2) == [2, 1]
