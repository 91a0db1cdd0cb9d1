"""Best against the rest: over the folds that both have, or over the photos of a single one; and no more is called real
than chance allows."""

import numpy as np
import pandas as pd
import pytest

from experiments.studies import alarms, arms
from fishnet.measure.pairs import Pair
from fishnet.measure.significance import over_photos
from fishnet.studies.journal import Journal
from fishnet.studies.scoring import Scored, against, judged, same_photos
from fishnet.studies.trials import Cell, Trial

KEY = "val/accuracy"


def scored(name: str, values: dict, key: str = KEY) -> Scored:
    """`values` by fold, or by fold and seed."""
    by_cell = {cell if isinstance(cell, tuple) else (cell, 0): value for cell, value in values.items()}
    cells = tuple(Cell(f"{name}{fold}-{seed}", fold, seed, []) for fold, seed in by_cell)
    made = Trial(0, name, name, None, {}, {}, cells, {"data": {"folds": None}})
    told = {c.digest: {"status": "finished", "figures": {key: by_cell[c.fold, c.seed]}} for c in cells}
    return Scored(made, key, told)


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path)


@pytest.fixture
def answers(journal):
    """Leaves what a trial said of sixty photos in thirty groups, two photos each; `wrong` are the numbers of photos."""

    def leave(one: Scored, wrong: set[int], *, first: int = 0, name: str = "validation.csv") -> Scored:
        names = ["perch", "pike"]
        rows = [
            {"path": str(n), "class": names[n % 2], "predicted": names[(n + (n in wrong)) % 2], "group": n // 2}
            for n in range(first, 60)
        ]
        for cell in one.trial.cells:
            place = journal.run_of(cell) / "report"
            place.mkdir(parents=True, exist_ok=True)
            pd.DataFrame(rows).to_csv(place / name, index=False)
        return one

    return leave


def test_folds_are_paired_and_allow_for_the_photos_they_share(journal):
    """Hard folds are hard for both: what is left of the spread is small."""
    found = against(scored("a", {0: 0.9, 1: 0.5, 2: 0.7}), scored("b", {0: 0.8, 1: 0.41, 2: 0.6}), journal, KEY)
    assert found.value == pytest.approx(0.0967, abs=1e-3)
    assert "3 folds" in found.how and found.low > 0
    assert found.error == pytest.approx(0.005774 * (1 / 3 + 1 / 2) ** 0.5, abs=1e-5)


def test_seeds_are_no_folds(journal):
    """Five times the same difference on two folds is a difference on two folds."""
    best = {(fold, seed): 0.9 for fold in (0, 1) for seed in range(5)}
    other = {(fold, seed): 0.8 - fold / 50 for fold in (0, 1) for seed in range(5)}
    found = against(scored("a", best), scored("b", other), journal, KEY)
    alone = against(scored("a", {0: 0.9, 1: 0.9}), scored("b", {0: 0.8, 1: 0.78}), journal, KEY)
    assert (found.error, found.freedom) == pytest.approx((alone.error, alone.freedom))
    assert scored("a", other).spread().low == pytest.approx(scored("a", {0: 0.8, 1: 0.78}).spread().low)
    assert scored("a", other).spread().n == 10


def test_only_folds_that_both_have_count(journal):
    found = against(scored("a", {0: 0.9, 1: 0.5, 2: 0.7}), scored("b", {1: 0.8, 2: 0.3}), journal, KEY)
    assert "2 folds" in found.how and found.p > 0.05


def test_a_few_equal_differences_are_no_certainty(journal):
    assert against(scored("a", {0: 0.8, 1: 0.8}), scored("b", {0: 0.6, 1: 0.6}), journal, KEY) is None
    same = against(scored("a", {0: 0.8, 1: 0.7}), scored("b", {0: 0.8, 1: 0.7}), journal, KEY)
    assert (same.value, same.p) == (0, 1)


def test_a_single_training_is_compared_photo_by_photo(journal, answers):
    best, near = answers(scored("a", {0: 1.0}), set()), answers(scored("b", {0: 0.97}), {1})
    far, unknown = answers(scored("c", {0: 0.5}), set(range(0, 60, 2))), scored("d", {0: 0.5})
    verdicts = judged(best, [near, far, unknown], journal, KEY)
    assert {name: found.word for name, found in verdicts.items()} == {"b": "alike", "c": "behind", "d": "unknown"}
    found = verdicts["c"].difference
    assert found.value == pytest.approx(0.5) and "photo by photo over 30 groups" in found.how


def test_what_cannot_be_read_is_not_known(journal, answers):
    best, other = answers(scored("a", {0: 1.0}), set()), answers(scored("b", {0: 0.9}), {1})
    (journal.run_of(other.trial.cells[0]) / "report" / "validation.csv").write_text("")
    assert judged(best, [other], journal, KEY)["b"].word == "unknown"


def test_seeds_of_one_split_are_doubt_beside_the_photos(journal, answers):
    """Three seeds that agree say no more about other photos than one; three that do not say less."""
    label, truth = np.arange(60) % 2, np.arange(60) % 2
    wrong = truth.copy()
    wrong[:12] = 1 - wrong[:12]

    def compared(first, second):
        first, second = np.atleast_2d(first), np.atleast_2d(second)
        return over_photos(
            Pair(label=label, first=first, second=second, group=np.arange(60), classes=2, metric="accuracy")
        )

    once, agreed = compared(truth, wrong), compared(np.tile(truth, (3, 1)), np.tile(wrong, (3, 1)))
    assert agreed.error == pytest.approx(once.error)
    apart = compared(np.tile(truth, (3, 1)), np.stack([truth, wrong, np.roll(wrong, 14)]))
    assert apart.error > 1.3 * once.error and apart.freedom < 15
    many = scored("b", {(None, seed): 0.9 for seed in range(3)})
    found = against(answers(scored("a", dict.fromkeys(many.values(), 1.0)), set()), answers(many, {1}), journal, KEY)
    assert "over 30 groups, 3 seeds each" in found.how


def test_equal_arms_seldom_give_an_alarm():
    """The full account is experiments/studies/alarms.csv; seeds taken for folds gave an alarm in 29 %."""
    chance = np.random.default_rng(0)
    two = [alarms.alarms(alarms.folds(chance, 2, 5, 3, 0.2)) for _ in range(200)]
    twenty = [alarms.alarms(alarms.folds(chance, 20, 5, 1, 0.2)) for _ in range(40)]
    assert sum(two) <= 18 and sum(map(bool, twenty)) <= 6
    dealt = [alarms.alarms(alarms.photos_of_folds(chance, 2, 5, "val", 0.0)) for _ in range(100)]
    apart = [alarms.alarms(alarms.trained(chance, 2, 300, folds=5, scatter=0.1)) for _ in range(100)]
    assert sum(dealt) <= 10 and sum(apart) <= 10


def leave_folds(journal: Journal, entry: Scored, wrong: set[int], *, dropped: int | None = None) -> Scored:
    """What a trial said of sixty photos in three folds of twenty; `dropped`: a photo that it was not shown."""
    for cell in entry.trial.cells:
        numbers = [n for n in range(60) if n % 3 == cell.fold and n != dropped]
        rows = [
            {"path": str(n), "class": "ab"[n % 2], "predicted": "ab"[(n + (n in wrong)) % 2], "group": n}
            for n in numbers
        ]
        place = journal.run_of(cell) / "report"
        place.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows).to_csv(place / "validation.csv", index=False)
    return entry


def test_folds_of_the_same_photos_are_compared_photo_by_photo(journal):
    """Three means cannot tell 0.93 from 0.63; twenty photos to two can."""
    best = leave_folds(journal, scored("a", {0: 0.95, 1: 0.9, 2: 0.95}), {0, 1, 2, 4})
    other = leave_folds(journal, scored("b", {0: 0.7, 1: 0.5, 2: 0.7}), set(range(2, 24)))
    found = judged(best, [other], journal, KEY)["b"]
    assert "photo by photo over 60 groups in 3 folds, one seed each" in found.difference.how
    assert found.word == "behind" and found.p < 0.01 and found.difference.value == pytest.approx(18 / 60)
    means = against(scored("c", {0: 0.95, 1: 0.9, 2: 0.95}), scored("d", {0: 0.7, 1: 0.5, 2: 0.7}), journal, KEY)
    assert means.p > 0.05


def test_folds_of_other_photos_are_compared_by_their_means(journal):
    best = leave_folds(journal, scored("a", {0: 0.95, 1: 0.9, 2: 0.95}), set())
    other = leave_folds(journal, scored("b", {0: 0.7, 1: 0.5, 2: 0.7}), set(range(20)), dropped=7)
    assert against(best, other, journal, KEY).how == "paired over 3 folds"
    seeds = scored("c", {(0, 0): 0.9, (0, 1): 0.9, (1, 0): 0.9})
    assert "paired over 2 folds" in against(seeds, seeds, journal, KEY).how


def test_folds_that_disagree_are_trainings_that_scatter(journal):
    """The same eighteen photos: in all folds alike they are surer than in one alone."""
    values = {0: 1.0, 1: 1.0, 2: 1.0}
    best = leave_folds(journal, scored("a", values), set())
    even = leave_folds(journal, scored("b", values), set(range(18)))
    one = leave_folds(journal, scored("c", values), set(range(0, 54, 3)))
    alike, apart = (against(best, other, journal, KEY) for other in (even, one))
    assert alike.value == pytest.approx(apart.value) and apart.error > 1.8 * alike.error
    assert alike.p < 0.01 < 0.05 < apart.p


def test_what_cannot_be_told_apart_comes_with_what_could_have_been_seen(journal, answers):
    best, near = answers(scored("a", {0: 1.0}), set()), answers(scored("b", {0: 0.97}), {1})
    others = [near, *(answers(scored(name, {0: 0.97}), {3}) for name in "cdef")]
    alone, many = judged(best, [near], journal, KEY)["b"], judged(best, others, journal, KEY)["b"]
    assert alone.word == many.word == "alike"
    assert 0.1 < alone.detectable < many.detectable < 1  # thirty groups; one pair of arms, and one of fifteen
    assert alone.difference.detectable() == alone.detectable


def test_a_difference_that_is_called_detectable_mostly_shows():
    """The full account is experiments/studies/power.csv."""
    rng = np.random.default_rng(0)
    smallest = np.median([arms.drawn(rng, (0.8, 0.8), 200).difference(0, 1).detectable() for _ in range(20)])
    found = [arms.drawn(rng, (0.8, 0.8 - smallest), 200).difference(0, 1) for _ in range(100)]
    assert 0.65 <= np.mean([one.p < 0.05 for one in found]) <= 0.95


def test_a_loss_is_better_when_it_is_lower(journal):
    best, other = scored("a", {0: 0.2, 1: 0.21, 2: 0.2}, "val/loss"), scored("b", {0: 0.9, 1: 0.9, 2: 0.91}, "val/loss")
    verdict = judged(best, [other], journal, "val/loss")["b"]
    assert verdict.word == "behind" and verdict.difference.value == pytest.approx(0.7)


def test_the_same_photos_are_said_to_be_so_only_where_they_are(journal, answers):
    key, name = "test/accuracy", "predictions.csv"
    one, same, fewer = (scored(n, {None: 0.9}, key) for n in "abc")
    assert same_photos([one, same], journal, name) is None
    for trial, first in ((one, 0), (same, 0), (fewer, 4)):
        answers(trial, set(), first=first, name=name)
    assert same_photos([one, same], journal, name) is True
    assert same_photos([one, same, fewer], journal, name) is False
