"""Twins: where a shortcut gives a class away, photos without it are told from those with it, by no group label."""

import numpy as np
import pytest

from fishnet.audit.mending import Scores, best_of, choice_by_twins, scores_of
from fishnet.audit.twins import cross_mistakes, worst_accuracy

CLASSES, EACH, NUMBERS = 3, 120, 20


def photos(share: float, seed: int = 0):
    """Features in which the animal is faint; a cue, loud, goes with the class in this share of its photos, and else
    with another one."""
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(CLASSES), EACH)
    with_cue = rng.random(len(label)) < share
    cue = np.where(with_cue, label, (label + 1) % CLASSES)
    features = rng.normal(size=(len(label), NUMBERS))
    features[np.arange(len(label)), label] += 1.0
    features[np.arange(len(label)), CLASSES + cue] += 5.0
    return features, label, with_cue


@pytest.mark.parametrize("seed", [0, 1])
def test_photos_against_the_shortcut_are_mistaken_and_no_others(seed):
    features, label, with_cue = photos(0.85, seed)
    mistaken = cross_mistakes(features, label, np.arange(len(label)), seed=seed)
    assert mistaken[~with_cue].mean() > 0.6 and mistaken[with_cue].mean() < 0.1


def test_without_a_shortcut_few_photos_are_mistaken():
    rng = np.random.default_rng(0)
    label = np.repeat(np.arange(CLASSES), EACH)
    features = rng.normal(size=(len(label), NUMBERS)) + 4 * np.eye(NUMBERS)[label]
    assert cross_mistakes(features, label, np.arange(len(label)), seed=0).mean() < 0.05


def test_copies_of_a_photo_do_not_lie_in_both_halves():
    """A photo whose copies the other twin knew would never be mistaken."""
    rng = np.random.default_rng(0)
    features, label = rng.normal(size=(90, 200)), rng.integers(3, size=90)
    twice = np.repeat(features, 2, axis=0), np.repeat(label, 2)
    groups = np.repeat(np.arange(90), 2)
    assert cross_mistakes(*twice, groups, seed=0).mean() > 0.4
    assert cross_mistakes(*twice, np.arange(180), seed=0).mean() < 0.4


def test_the_worst_group_is_that_of_a_class_with_enough_photos():
    label = np.array([0] * 10 + [1] * 8)
    mistaken = np.array([False] * 5 + [True] * 5 + [False] * 6 + [True] * 2)
    predicted = label.copy()
    predicted[5:8] = 1  # three of five of the group against the shortcut
    predicted[16:] = 0  # two photos alone are chance
    assert worst_accuracy(predicted, label, mistaken) == pytest.approx(0.4)
    assert np.isnan(worst_accuracy(predicted[:3], label[:3], mistaken[:3]))


def test_the_worst_group_chooses_in_its_own_way():
    before = Scores(0.9, 0.6, worst=0.2)
    candidates = [Scores(0.9, 0.8, worst=0.5), Scores(0.9, 0.7, worst=0.6), Scores(0.5, 0.9, lost=0.3, worst=0.9)]
    assert best_of(before, candidates) == 0 and best_of(before, candidates, by="worst") == 1
    assert best_of(before, [Scores(0.9, 0.8, worst=0.2)], by="worst") is None
    assert choice_by_twins(before, candidates, 0) == "other" and choice_by_twins(before, candidates, 1) == "same"
    assert choice_by_twins(before, [Scores(0.9, 0.8, worst=0.2)], 0) == "none"
    assert choice_by_twins(Scores(0.9, 0.6), candidates, 0) == ""


def test_scores_have_the_worst_group_where_groups_are_given():
    label = np.arange(40) % 2
    right, mistaken = np.eye(2)[label], np.arange(40) < 20
    wrong = np.where(mistaken[:, None], 1 - right, right)
    scores = scores_of([(right, right), (wrong, wrong)], label, np.arange(40), mistaken)
    assert [score.worst for score in scores] == [1.0, 0.0]
    assert np.isnan(scores_of([(right, right)], label, np.arange(40))[0].worst)
