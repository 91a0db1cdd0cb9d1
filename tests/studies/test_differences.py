"""Best against the rest: over the trainings that both have, or over the photos of a single one."""

import pandas as pd
import pytest

from fishnet.studies.differences import against, alike
from fishnet.studies.journal import Journal
from fishnet.studies.scoring import Scored
from fishnet.studies.trials import Cell, Trial

KEY = "val/accuracy"


def scored(name: str, values: dict) -> Scored:
    cells = tuple(Cell(f"{name}{fold}", fold, 0, []) for fold in values)
    made = Trial(0, name, name, None, {}, {}, cells, {})
    told = {cell.digest: {"status": "finished", "figures": {KEY: values[cell.fold]}} for cell in cells}
    return Scored(made, KEY, told)


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path)


def test_folds_are_paired(journal):
    """Hard folds are hard for both: what is left of the spread is small."""
    found = against(scored("a", {0: 0.9, 1: 0.5, 2: 0.7}), scored("b", {0: 0.8, 1: 0.41, 2: 0.6}), journal, KEY)
    assert found.shown and not alike(scored("a", {}), found)
    assert found.value == pytest.approx(0.0967, abs=1e-3)
    assert "3 trainings" in found.how


def test_only_folds_that_both_have_count(journal):
    found = against(scored("a", {0: 0.9, 1: 0.5, 2: 0.7}), scored("b", {1: 0.8, 2: 0.3}), journal, KEY)
    assert "2 trainings" in found.how and alike(scored("a", {}), found)


def test_a_few_equal_differences_are_no_certainty(journal):
    assert against(scored("a", {0: 0.8, 1: 0.8}), scored("b", {0: 0.6, 1: 0.6}), journal, KEY) is None
    same = against(scored("a", {0: 0.8, 1: 0.7}), scored("b", {0: 0.8, 1: 0.7}), journal, KEY)
    assert same.value == 0 and alike(scored("a", {}), same)


def test_a_single_training_is_compared_photo_by_photo(journal):
    def answers(one: Scored, wrong: set[int]) -> Scored:
        names = ["perch", "pike"]
        rows = [
            {"path": str(n), "class": names[n % 2], "predicted": names[(n + (n in wrong)) % 2], "group": n // 2}
            for n in range(60)
        ]
        place = journal.run_of(one.trial.cells[0]) / "report"
        place.mkdir(parents=True)
        pd.DataFrame(rows).to_csv(place / "validation.csv", index=False)
        return one

    best = answers(scored("a", {0: 1.0}), set())
    near = answers(scored("b", {0: 0.97}), {1})
    far = answers(scored("c", {0: 0.5}), set(range(0, 60, 2)))
    assert alike(best, against(best, near, journal, KEY))
    found = against(best, far, journal, KEY)
    assert found.shown and found.value == pytest.approx(0.5) and "30 groups of photos" in found.how
    assert against(best, scored("d", {0: 0.5}), journal, KEY) is None
