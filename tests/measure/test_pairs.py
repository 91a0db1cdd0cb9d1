"""Two classifiers on the same photos: McNemar's test, whole groups, and how sure a difference is."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from fishnet.measure.pairs import Pair


def pair(first: np.ndarray, second: np.ndarray, *, group=None, metric: str = "accuracy") -> Pair:
    """Of answers that are right where they are 1, to photos of two classes in turn."""
    first, second = np.atleast_2d(first), np.atleast_2d(second)
    label = np.arange(first.shape[1]) % 2
    first, second = (np.where(answers, label, 1 - label) for answers in (first, second))
    groups = np.arange(len(label)) if group is None else group
    return Pair(label=label, first=first, second=second, group=groups, classes=2, metric=metric)


def differing(photos: int, gained: int, lost: int) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.ones(photos, int), np.ones(photos, int)
    second[:gained] = 0
    first[gained : gained + lost] = 0
    return first, second


@pytest.mark.parametrize(("gained", "lost"), [(18, 2), (5, 0), (3, 3), (400, 350), (0, 0)])
def test_of_single_photos_it_is_mcnemars_mid_p(gained: int, lost: int):
    n, least = gained + lost, min(gained, lost)
    expected = min(1, 2 * binom.cdf(least, n, 0.5) - binom.pmf(least, n, 0.5))
    found = pair(*differing(1000, gained, lost)).p_of_swaps()
    assert found == pytest.approx(1.0 if gained == lost else expected, abs=1e-9)


def test_eighteen_against_two_is_no_chance():
    found = pair(*differing(54, 18, 2))
    assert found.value == pytest.approx(16 / 54) and found.p_of_swaps() < 0.0004


def test_groups_are_swapped_whole():
    """Four fish of one to four frames, each better for the first: one of 16 swaps is as good, one as bad."""
    group = np.repeat(np.arange(4), [1, 2, 3, 4])
    found = pair(np.ones(10, int), np.zeros(10, int), group=group)
    assert found.p_of_swaps() == pytest.approx(1 / 16)
    assert pair(np.ones(10, int), np.zeros(10, int)).p_of_swaps() == pytest.approx(2 * 0.5**10 / 2)


def test_trainings_of_the_same_photos_add_no_photos():
    once = pair(*differing(54, 9, 2))
    thrice = pair(*(np.tile(answers, (3, 1)) for answers in differing(54, 9, 2)))
    assert thrice.p_of_swaps() == pytest.approx(once.p_of_swaps())
    assert (thrice.value, thrice.error()) == pytest.approx((once.value, once.error()))
    assert thrice.step == pytest.approx(once.step)


def test_the_error_is_that_of_paired_photos():
    """What is hard for both cancels; copies of a photo in its group change nothing."""
    rng = np.random.default_rng(0)
    hard = rng.random(300) < 0.3
    first, second = ~hard, ~hard & (rng.random(300) > 0.08)
    error = pair(first, second).error(resamples=4000)
    gains = first.astype(float) - second
    assert error == pytest.approx(gains.std() / math.sqrt(300), rel=0.05)
    rows = np.repeat(np.arange(300), 6)
    assert pair(first[rows], second[rows], group=rows).error(resamples=4000) == pytest.approx(error, rel=0.05)
    assert pair(first, first).error() == 0


def test_f1_is_compared_as_sklearn_counts_it():
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(0)
    found = pair(rng.random(80) < 0.9, rng.random(80) < 0.6, metric="f1_macro")
    expected = [f1_score(found.label, answers[0], average="macro") for answers in (found.first, found.second)]
    assert found.value == pytest.approx(expected[0] - expected[1])
    assert found.error() > 0.02
