"""Other ways to suspect a class: each says more of the class that is made suspicious in its own way."""

import numpy as np
import pytest

from experiments.planted_cues.model_rivals import evidence_outside, largest_step, most_humped, worst_group


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_evidence_outside_is_a_share_of_what_is_positive():
    fish = np.zeros((2, 6, 6), bool)
    fish[:, :, :3] = True  # the left half
    maps = np.array([[[3.0, 1.0], [-9.0, 0.0]], [[0.0, 2.0], [0.0, 2.0]]])
    assert evidence_outside(maps, fish) == pytest.approx([0.25, 1.0])


def test_maps_of_three_groups_take_a_larger_step_than_maps_of_one(rng):
    alike = rng.normal(size=(60, 9))
    assert largest_step(alike + np.repeat(np.eye(9)[:3], 20, axis=0) * 30) > 2 * largest_step(alike)


def test_two_humps_are_more_than_a_bell(rng):
    bell = rng.normal(size=(200, 12))
    carried = bell + np.outer(rng.random(200) < 0.5, np.full(12, 3.0))
    assert most_humped(bell) < 0.5 < most_humped(carried)


def test_errors_in_a_group_weigh_more_than_scattered_ones(rng):
    features = rng.normal(size=(90, 6)) + np.repeat(np.eye(6)[:3], 30, axis=0) * 40
    gathered = np.arange(90) < 9
    assert worst_group(features, rng.random(90), gathered) > worst_group(
        features, rng.random(90), rng.permutation(gathered)
    )
