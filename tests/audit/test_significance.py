"""The exchange test's arithmetic on effects that are drawn, not measured."""

import numpy as np
import pytest
from scipy import stats

from fishnet.audit.exchange import Effects
from fishnet.audit.nulls import is_silent, relabelled_p_values
from fishnet.audit.significance import exchange_test, share_of, smallest_found, standing_out

KINDS = ("outer", "ring", "colour")


def effects(rng, classes=6, donors=60, group_size=1, cue=None, strength=0.0, share=0.5, drag=0.0):
    """Effects with a spread a photo and a group; `cue` names a class whose donors raise it in `share` of its photos."""
    labels = np.repeat(np.arange(classes), donors)
    groups = np.arange(len(labels)) // group_size
    shape = (len(KINDS), len(labels), classes)
    logits = rng.normal(size=shape) + np.repeat(rng.normal(size=(len(KINDS), groups.max() + 1, classes)), group_size, 1)
    if cue is not None:
        carrying = (labels == cue) & (rng.random(len(labels)) < share)
        logits[0, carrying, cue] += strength
        logits[0, carrying] -= drag * (np.arange(classes) != cue)
    return Effects(KINDS, logits, 0.05 * logits, labels, groups, np.full(logits.shape[1:], 8.0))


@pytest.mark.parametrize("group_size", [1, 3])
def test_without_a_cue_few_folders_alarm(group_size):
    alarms = 0
    for seed in range(150):
        tests = exchange_test(effects(np.random.default_rng(seed), group_size=group_size))
        alarms += any(test.flagged for test in tests)
    assert stats.binom.sf(alarms - 1, 150, 0.05) > 0.01


def test_p_values_are_uniform_where_nothing_is():
    values = [
        p for seed in range(60)
        for test in exchange_test(effects(np.random.default_rng(seed), group_size=2))[:1] for p in test.by_kind.values()
    ]  # fmt: skip
    assert stats.kstest(values, "uniform").pvalue > 0.01


def test_a_cue_is_found_and_named():
    tests = exchange_test(effects(np.random.default_rng(3), cue=3, strength=4.0))
    assert [test.flagged for test in tests] == [False, False, False, True, False, False]
    assert tests[3].kind == "outer"
    assert tests[3].p < 1e-6
    low, high = tests[3].effect[1:]
    assert 0.1 < low < tests[3].effect[0] < high < 0.4  # 4 × 0.05 for carriers, and chance


def test_what_a_cue_does_to_other_classes_is_no_share_of_theirs():
    """Its donors lower the other logits, so that those seem to rise with all other donors."""
    drawn = effects(np.random.default_rng(3), classes=3, cue=1, strength=4.0, drag=4.0, share=1.0)
    tests = exchange_test(drawn)
    assert [test.flagged for test in tests] == [False, True, False]
    assert [test.left_out for test in tests] == [(1,), (), (1,)]
    assert tests[1].share[1] > 0.3
    innocent = [(share_of(drawn, label, "outer")[0], tests[label].share[0]) for label in (0, 2)]
    assert min(compared[0] for compared in innocent) > 0.15 > max(compared[1] for compared in innocent)


def test_the_kind_that_is_worth_most_is_named_and_not_the_surest():
    drawn = effects(np.random.default_rng(5), cue=1, strength=4.0, share=0.8)
    own = drawn.labels == 1
    drawn.logits[2, own, 1] += 30.0  # beyond doubt, and yet
    drawn.probabilities[2] = 0.001 * drawn.logits[2]
    test = exchange_test(drawn)[1]
    assert min(test.by_kind, key=test.by_kind.get) == "colour"
    assert test.kind == "outer"
    assert test.effect[1] > 0.1


def test_a_cue_of_one_class_does_not_accuse_the_others():
    """It lowers their logits in its donors' hosts: beside its donors everyone else looks raised."""
    others = 0
    for seed in range(40):
        tests = exchange_test(effects(np.random.default_rng(seed), cue=2, strength=6.0, share=0.8, drag=2.0))
        assert tests[2].flagged
        others += sum(test.flagged for number, test in enumerate(tests) if number != 2)
    assert others <= 5


def test_two_classes_are_judged_by_each_other():
    tests = exchange_test(effects(np.random.default_rng(0), classes=2, cue=1, strength=4.0))
    assert [test.flagged for test in tests] == [False, True]


def test_a_single_photo_is_no_evidence():
    drawn = effects(np.random.default_rng(0), classes=3, donors=1)
    assert all(test.p == 1 and not test.flagged for test in exchange_test(drawn))


def test_relabelled_donors_are_silent_and_bad_groups_are_not():
    p_values = relabelled_p_values(effects(np.random.default_rng(0), group_size=3))
    assert is_silent(p_values)[0]
    assert 0.02 < (p_values < 0.05).mean() < 0.09
    rng = np.random.default_rng(1)
    drawn = effects(rng, classes=3, donors=40)
    drawn.logits[:, rng.integers(0, len(drawn.labels), 2)] += 200  # two donors decide everything
    assert (relabelled_p_values(drawn) < 0.05).mean() < 0.05  # Welch's test is careful there


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_what_is_said_to_be_found_in_four_of_five_folders_is(share):
    needed = smallest_found(effects(np.random.default_rng(9)), 3, share=share)
    found = 0
    for seed in range(80):
        drawn = effects(np.random.default_rng(seed), cue=3, strength=needed, share=share)
        found += exchange_test(drawn)[3].flagged
    assert 0.65 < found / 80 < 0.95


def test_with_few_donors_nothing_would_be_found():
    assert smallest_found(effects(np.random.default_rng(0), donors=2), 0) == np.inf


def test_where_animals_travel_only_a_class_that_stands_out_counts():
    drawn = travelling(np.random.default_rng(5), rise=2.0)
    assert standing_out(drawn)[0] == []
    assert not any(test.counts for test in exchange_test(drawn, travels=True)), "each is moved by its own animals"
    assert all(test.counts for test in exchange_test(drawn)), "which would be taken for shortcuts"
    drawn = travelling(np.random.default_rng(5), rise=2.0, cues={2: 4.0})
    ahead, common = standing_out(drawn)
    assert ahead == [2] and common == pytest.approx(0.25, abs=0.05)
    tests = exchange_test(drawn, travels=True)
    assert [test.counts for test in tests] == [False, False, True, False, False, False]
    assert tests[2].share[0] == pytest.approx(4.0 / 8, abs=0.08), "what it has beyond the others"


def test_several_classes_may_stand_out_but_not_most():
    assert standing_out(travelling(np.random.default_rng(6), rise=1.0, cues={0: 4.0, 3: 5.0}))[0] == [3, 0]
    assert standing_out(travelling(np.random.default_rng(6), rise=1.0, cues=dict.fromkeys(range(4), 4.0)))[0] == []
    assert standing_out(travelling(np.random.default_rng(6), rise=1.0, classes=2, cues={0: 6.0}))[0] == []


def travelling(rng, rise: float, classes: int = 6, cues: dict[int, float] | None = None) -> Effects:
    """Every class rises with its own donors, and some by more."""
    drawn = effects(rng, classes=classes)
    for label in range(classes):
        drawn.logits[0, drawn.labels == label, label] += rise + (cues or {}).get(label, 0.0)
    return drawn
