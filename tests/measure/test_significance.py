"""Many comparisons count as many, and a difference that is large is still one."""

import math

import pytest

from fishnet.measure.significance import holm, over_folds


def test_holm_counts_all_pairs():
    assert holm({"a": 0.01}, comparisons=math.comb(2, 2)) == {"a": 0.01}
    corrected = holm({"a": 0.01, "b": 0.001, "c": 0.011}, comparisons=math.comb(4, 2))
    assert corrected == pytest.approx({"b": 0.006, "a": 0.05, "c": 0.05})
    assert holm({"a": 0.01, "b": 0.001}) == pytest.approx({"b": 0.002, "a": 0.01})


def test_a_large_difference_is_still_found():
    difference = over_folds([0.20, 0.22, 0.19, 0.21, 0.20], 1 / 4)
    assert holm({"b": difference.p}, comparisons=math.comb(5, 2))["b"] < 0.05
