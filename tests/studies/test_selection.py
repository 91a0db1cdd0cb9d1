"""What is chosen follows from results alone; ties are named; differences know their doubt."""

import numpy as np
import pytest

from fishnet.errors import WorkFailed
from fishnet.measure.significance import spread
from fishnet.studies.scoring import Scored, photos_differ
from fishnet.studies.selection import choose, ranked
from fishnet.studies.trials import Cell, Trial, digest_of
from tests.support.protocols import protocol


def trial(number: int, values: dict, settings: dict, state: str = "finished") -> Scored:
    cells = tuple(Cell(f"{number}-{fold}", fold, 0, []) for fold in values)
    made = Trial(number, f"t{number}", f"d{number}", None, settings, settings, cells, settings)
    results = {
        cell.digest: {"status": state, "figures": {"val/accuracy": values[cell.fold]}, "seconds": 1.0} for cell in cells
    }
    return Scored(made, "val/accuracy", results)


def stage(**keys):
    return protocol(only={"folds": 3, "search": {"space": {"x": [1, 2, 3, 4]}}, **keys}).stages[0]


def test_top_by_mean_with_ties_named():
    trials = [
        trial(0, {0: 0.5, 1: 0.7}, {"x": 1}),
        trial(1, {0: 0.9, 1: 0.9}, {"x": 2}),
        trial(2, {0: 0.6, 1: 0.6}, {"x": 3}),
        trial(3, {0: 1.0, 1: 1.0}, {"x": 4}, state="raised"),
    ]
    chosen = choose(stage(top=2), trials)
    assert [one.name for one in chosen.candidates] == ["t1", "t0"]
    assert chosen.record["ties"] == ["t2"]
    assert chosen.record["kept"][1]["sd"] == pytest.approx(0.141421)


def test_one_for_each_kind():
    trials = [trial(n, {0: v}, {"kind": k}) for n, (v, k) in enumerate([(0.9, "a"), (0.8, "a"), (0.7, "b")])]
    chosen = choose(stage(top=2, distinct="kind"), trials)
    assert [one.name for one in chosen.candidates] == ["t0", "t2"]
    with pytest.raises(WorkFailed, match=r"top=3.*2 trials that differ in kind"):
        choose(stage(top=3, distinct="kind"), trials)


def limited(*figures, most=0.1, top=1):
    """What is chosen of trials with these scores and reliances."""
    trials = [trial(number, {0: score}, {"x": number}) for number, (score, _) in enumerate(figures)]
    for entry, (_, reliance) in zip(trials, figures, strict=True):
        entry.results[entry.trial.cells[0].digest]["figures"]["best/reliance"] = reliance
    of_stage = stage(folds=None, limit={"best/reliance": most}, top=top)
    order = [entry.trial.name for entry in ranked(of_stage, trials)]
    return order, choose(of_stage, trials)


def test_beyond_the_limit_no_score_helps():
    order, chosen = limited((0.95, 0.4), (0.8, 0.1), (0.9, 0.2), (0.7, 0.0), top=2)
    assert order == ["t1", "t3", "t2", "t0"]  # exactly at the limit is within
    assert [one.name for one in chosen.candidates] == ["t1", "t3"]
    assert chosen.record["rule"].endswith("with best/reliance of at most 0.1")
    assert chosen.record["kept"][0]["best/reliance"] == 0.1
    of_limit = chosen.record["limit"]
    assert (of_limit["beyond"], of_limit["kept_beyond"]) == (["t2", "t0"], [])
    assert of_limit["by_score_alone"]["name"] == "t0" and of_limit["by_score_alone"]["best/reliance"] == 0.4


def test_without_any_trial_within_the_limit_the_least_is_taken():
    order, chosen = limited((0.95, 0.4), (0.8, 0.3), (0.9, 0.2), most=0.0)
    assert order == ["t2", "t1", "t0"]
    assert chosen.record["limit"]["kept_beyond"] == ["t2"]


def test_equal_scores_on_both_sides_of_the_limit_are_no_tie():
    _, chosen = limited((0.9, 0.4), (0.9, 0.0), (0.9, 0.05))
    assert [one.name for one in chosen.candidates] == ["t1"] and chosen.record["ties"] == ["t2"]


def test_equals_are_named_where_one_of_each_kind_is_kept():
    values = [(0.9, "a"), (0.9, "a"), (0.8, "b"), (0.8, "c"), (0.7, "c")]
    trials = [trial(n, {0: v}, {"kind": k}) for n, (v, k) in enumerate(values)]
    assert choose(stage(top=2, distinct="kind"), trials).record["ties"] == ["t1", "t3"]


def test_the_trial_that_the_majority_has_chosen_is_known():
    settings = [{"lr": 0.1, "opt": "adam"}, {"lr": 0.1, "opt": "sgd"}]
    trials = [trial(0, {0: 0.9, 1: 0.8, 2: 0.1}, settings[0]), trial(1, {0: 0.1, 1: 0.2, 2: 0.9}, settings[1])]
    assert choose(stage(keep="vote"), trials).digests == {"d0"}


def test_the_majority_votes_key_by_key_and_a_tie_goes_to_the_better_folds():
    trials = [
        trial(0, {0: 0.9, 1: 0.2, 2: 0.1}, {"lr": 0.1, "opt": "adam"}),
        trial(1, {0: 0.1, 1: 0.8, 2: 0.2}, {"lr": 0.1, "opt": "sgd"}),
        trial(2, {0: 0.2, 1: 0.1, 2: 0.95}, {"lr": 0.2, "opt": "adamax"}),
    ]
    chosen = choose(stage(keep="vote"), trials)
    assert chosen.candidates[0].settings == {"lr": 0.1, "opt": "adamax"}
    assert chosen.record["votes"]["lr"] == {"0.1": 2, "0.2": 1}
    assert any(tie.startswith("opt: ") for tie in chosen.record["ties"])


def test_each_fold_keeps_its_own_winner():
    trials = [trial(0, {0: 0.9, 1: 0.2, 2: 0.1}, {"x": 1}), trial(1, {0: 0.1, 1: 0.8, 2: 0.2}, {"x": 2})]
    assert [(one.fold, one.settings["x"]) for one in choose(stage(keep="folds"), trials).candidates] == [
        (0, 1),
        (1, 2),
        (2, 2),
    ]


def test_the_interval_is_students():
    assert spread([1.0, 2.0, 3.0])[:4] == pytest.approx((2.0, 1.0, -0.484, 4.484), abs=1e-3)
    assert np.isnan(spread([1.0]).low)
    alike = spread([0.667, 0.667])
    assert (alike.mean, alike.sd, alike.n) == (0.667, 0.0, 2) and np.isnan([alike.low, alike.high]).all()
    told = choose(stage(), [trial(0, {0: 0.9, 1: 0.9}, {"x": 1})]).record["kept"][0]
    assert told["sd"] == 0 and "interval" not in told


def test_photos_that_were_changed_meanwhile_are_noticed():
    trials = [trial(n, {0: 0.5}, {"x": n}) for n in range(3)]
    assert not photos_differ(trials)
    for one, photos in zip(trials, ("a", "a", None), strict=True):
        next(iter(one.results.values()))["photos"] = photos
    assert not photos_differ(trials)
    next(iter(trials[2].results.values()))["photos"] = "b"
    assert photos_differ(trials)


def test_identity_is_what_can_change_a_result():
    config = {"out": "a", "seed": 0, "data": {"fold": 0, "cache": "x", "root": "r"}, "model": {"lr": 1}}
    same = {"out": "b", "seed": 0, "data": {"fold": 0, "cache": "y", "root": "r"}, "model": {"lr": 1}}
    other = {**config, "model": {"lr": 2}}
    assert digest_of(config) == digest_of(same) != digest_of(other)
    assert digest_of({**config, "seed": 1}, without=("seed",)) == digest_of(config, without=("seed",))


def test_the_same_said_in_another_way_is_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = {"data": {"root": "photos"}, "model": {"lr": 1, "pretrained": False, "filters": [8, 16]}}
    same = {"data": {"root": str(tmp_path / "photos")}, "model": {"lr": 1.0, "pretrained": False, "filters": [8.0, 16]}}
    assert digest_of(config) == digest_of(same)
    (tmp_path / "moved").mkdir()
    monkeypatch.chdir(tmp_path / "moved")
    assert digest_of(config) != digest_of(same)
