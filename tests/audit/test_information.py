"""What values tell of a label: nothing where nothing is to be result, with unequal classes and with many words too."""

import numpy as np
import pytest

from fishnet.audit.information import usable_information
from fishnet.audit.probes import standing_out


def photos(sizes, photos_a_group=2):
    """Labels and groups: so many groups of each class."""
    classes = np.repeat(np.arange(len(sizes)), sizes)
    return np.repeat(classes, photos_a_group), np.repeat(np.arange(len(classes)), photos_a_group)


def test_permuted_labels_alarm_hardly_ever():
    alarms = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        label, group = photos([20, 20, 20, 20])
        values = rng.normal(size=(group.max() + 1, 8))[group] + 0.2 * rng.normal(size=(len(label), 8))
        alarms += standing_out(usable_information(values, label, group, copies=99)).any()
    assert alarms <= 2


@pytest.mark.parametrize("kind", ["numbers", "words"])
def test_the_class_that_half_carries_something_is_named_and_no_other(kind):
    rng = np.random.default_rng(0)
    label, group = photos([60, 60, 60, 60])
    carries = (label == 2) & (group % 2 == 0)
    values = rng.normal(size=(len(label), 6)) + 5 * carries[:, None] * (np.arange(6) == 1)
    if kind == "words":
        values = np.where(carries, "Ann", rng.choice(["Bob", "Cid", "Dan"], len(label))).astype(object)
    result = usable_information(values, label, group)
    assert standing_out(result).tolist() == [False, False, True, False]
    assert result.class_bits[2] == result.class_bits.max() > 0.3
    assert result.low < result.bits < 2 and result.accuracy > 0.3


def test_all_of_the_label_is_log2_of_the_classes():
    label, group = photos([40, 40, 40, 40])
    result = usable_information(np.eye(4)[label], label, group)
    assert result.accuracy == 1 and 1.8 < result.bits <= 2


@pytest.mark.parametrize("kind", ["numbers", "words"])
def test_nine_tenths_in_one_class_are_no_information(kind):
    alarms = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        label, group = photos([180, 20])
        values = rng.normal(size=(len(label), 6))
        if kind == "words":
            values = rng.choice(["a", "b", "c", "d"], group.max() + 1).astype(object)[group]
        result = usable_information(values, label, group, copies=99)
        alarms.append(standing_out(result).any())
        assert abs(result.bits) < 0.05 and result.accuracy < 0.65
    assert sum(alarms) <= 1


def test_a_shortcut_of_the_rare_class_is_found():
    rng = np.random.default_rng(1)
    label, group = photos([180, 20])
    result = usable_information(rng.normal(size=(len(label), 6)) + 3 * label[:, None], label, group)
    assert standing_out(result).any() and result.class_accuracy.min() > 0.9


def test_many_words_that_never_come_again_tell_nothing():
    label, group = photos([30, 30])
    names = np.array([f"person {number}" for number in group], object)  # all photos of a group by its own person
    result = usable_information(names, label, group)
    assert result.bits == 0 and not standing_out(result).any()
    alarms = 0
    for seed in range(10):
        some = np.random.default_rng(seed).integers(25, size=group.max() + 1)[group]
        result = usable_information(some.astype(str).astype(object), label, group, copies=99)
        alarms += standing_out(result).any()
        assert result.bits < 0.1
    assert alarms <= 1


def test_photos_of_one_group_never_help_each_other():
    rng = np.random.default_rng(3)
    label, group = photos([15, 15], photos_a_group=6)
    values = rng.normal(size=(30, 25))[group] + 0.01 * rng.normal(size=(len(label), 25))
    assert usable_information(values, label, np.arange(len(label))).accuracy > 0.8
    assert usable_information(values, label, group).bits < 0.05


def test_it_is_the_same_every_time_and_however_the_copies_are_taken_together(monkeypatch):
    rng = np.random.default_rng(4)
    label, group = photos([20, 20, 20])
    values = rng.normal(size=(len(label), 5))
    first = usable_information(values, label, group, copies=50)
    monkeypatch.setattr("fishnet.audit.information.CELLS", 1)
    second = usable_information(values, label, group, copies=50)
    assert first.bits == second.bits and (first.likeness == second.likeness).all()
