"""Intervals: values equal sklearn's, draws are over groups, and 95 % means 95 %."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss, precision_score, recall_score

from fishnet.measure import bootstrap
from fishnet.measure.bootstrap import intervals
from fishnet.measure.predictions import Predictions


def drawn(photos: int, classes: int, seed: int = 0, used: int | None = None) -> Predictions:
    chance = np.random.default_rng(seed)
    label = chance.integers(0, used or classes, photos)
    logits = chance.normal(size=(photos, classes))
    logits[:, used or classes :] -= 100
    logits[np.arange(photos), label] += 1
    return Predictions(np.arange(photos), label, logits)


def theirs(predictions: Predictions) -> dict[str, float]:
    pair = predictions.label, predictions.predicted
    return {
        "accuracy": accuracy_score(*pair),
        "precision_macro": precision_score(*pair, average="macro", zero_division=0),
        "recall_macro": recall_score(*pair, average="macro", zero_division=0),
        "f1_macro": f1_score(*pair, average="macro", zero_division=0),
        "f1_weighted": f1_score(*pair, average="weighted", zero_division=0),
        "loss": log_loss(pair[0], predictions.probabilities(), labels=range(predictions.logits.shape[1])),
        "loss_scaled": log_loss(pair[0], predictions.probabilities(2), labels=range(predictions.logits.shape[1])),
    }


@pytest.mark.parametrize(("photos", "classes", "used"), [(200, 5, 5), (30, 12, 12), (100, 9, 4), (7, 2, 1)])
def test_values_equal_sklearn_also_for_absent_classes(photos: int, classes: int, used: int):
    predictions = drawn(photos, classes, used=used)
    ours = intervals(predictions, np.arange(photos), classes, resamples=20, temperature=2)
    for name, value in theirs(predictions).items():
        assert ours[name].value == pytest.approx(value, abs=1e-9), name


def test_a_resample_is_what_sklearn_says_of_the_drawn_photos(monkeypatch):
    """One draw with known counts, against the photos repeated by hand."""
    predictions = drawn(40, 4)
    groups = np.arange(40) // 5
    counts = np.array([[3, 0, 1, 2, 0, 0, 2, 0]])
    monkeypatch.setattr(bootstrap, "_draws", lambda *_: iter([counts]))
    ours = intervals(predictions, groups, 4, resamples=1, temperature=2)
    rows = np.repeat(np.arange(40), counts[0][groups])
    again = Predictions(rows, predictions.label[rows], predictions.logits[rows])
    for name, value in theirs(again).items():
        assert ours[name].low == pytest.approx(value, abs=1e-9), name
        assert ours[name].high == pytest.approx(value, abs=1e-9), name


def test_copies_of_a_photo_in_one_group_add_no_certainty():
    """Ten frames a fish: by group the interval stays as wide as with one frame, by photo it would shrink."""
    once = drawn(60, 3)
    rows = np.repeat(np.arange(60), 10)
    tenfold = Predictions(np.arange(600), once.label[rows], once.logits[rows])

    def width(predictions: Predictions, groups: np.ndarray) -> float:
        found = intervals(predictions, groups, 3, resamples=1000)["accuracy"]
        return found.high - found.low

    plain, grouped, pretended = width(once, np.arange(60)), width(tenfold, rows), width(tenfold, np.arange(600))
    assert grouped == pytest.approx(plain, abs=1e-9)
    assert pretended < plain / 2


def test_ninety_five_percent_means_it():
    """Groups of 1 to 6 photos that stand or fall together: the truth is in the interval about 95 times in 100."""
    chance = np.random.default_rng(1)
    hits = 0
    for seed in range(300):
        sizes = chance.integers(1, 7, 80)
        groups = np.repeat(np.arange(80), sizes)
        right = np.repeat(chance.random(80) < 0.7, sizes)
        predictions = Predictions(np.arange(len(groups)), np.zeros(len(groups), int), np.eye(2)[1 - right.astype(int)])
        found = intervals(predictions, groups, 2, resamples=400, seed=seed)["accuracy"]
        hits += found.low <= 0.7 <= found.high
    assert 0.90 <= hits / 300 <= 0.99


def test_the_same_seed_gives_the_same_interval_in_any_number_of_chunks(monkeypatch):
    predictions, groups = drawn(50, 3), np.arange(50) % 20
    whole = intervals(predictions, groups, 3, resamples=100)
    monkeypatch.setattr(bootstrap, "MEMORY", 300)
    assert intervals(predictions, groups, 3, resamples=100) == whole


def test_a_single_group_has_a_value_and_no_interval():
    found = intervals(drawn(10, 2), np.zeros(10), 2)["accuracy"]
    assert np.isfinite(found.value)
    assert np.isnan(found.low)
    assert np.isnan(found.high)


def test_groups_may_be_names():
    predictions = drawn(12, 2)
    names = np.array(["fish a", "fish b", "fish c"], object)[np.arange(12) % 3]
    assert intervals(predictions, names, 2, resamples=50) == intervals(predictions, np.arange(12) % 3, 2, resamples=50)
