"""The harness: ratios of pairs, and none without agreement. What is fast is for benchmarks to say, not for tests."""

import csv

import pandas as pd
import pytest

from experiments.speed import pairing, start
from experiments.speed.__main__ import main, stages
from experiments.speed.chart import table
from experiments.speed.pairing import Case, measure
from experiments.speed.table import append, show
from fishnet.__main__ import VERBS


@pytest.fixture
def case(monkeypatch):
    """Work that takes as long as it says, by a clock that nothing else moves."""
    clock = [0.0]
    monkeypatch.setattr(pairing.time, "perf_counter", lambda: clock[0])

    def takes(seconds: float):
        return lambda: clock.__setitem__(0, clock[0] + seconds)

    def make(ours: float = 1.0, peers: float = 8.0, **more) -> Case:
        same = {"agree": lambda *_: (True, "same"), "goal": 2.0}
        return Case(name="naps", ours=takes(ours), peers=takes(peers), **{**same, **more})

    return make


def test_the_ratio_is_theirs_over_ours_and_has_an_interval(case):
    row = measure(case(), rounds=5)
    assert (row.ratio, row.low, row.high, row.rounds) == (8.0, 8.0, 8.0, 5)
    assert row.met
    assert measure(case(ours_work=1.0, peers_work=20.0), rounds=3).ratio == pytest.approx(0.4)


def test_an_upper_bound_is_the_other_way_round(case):
    row = measure(case(inverse=True, goal=0.5), rounds=3)
    assert row.ratio == 1 / 8
    assert row.met
    assert not measure(case(peers=1.0, inverse=True, goal=0.5), rounds=3).met


def test_without_agreement_there_is_no_ratio(case, capsys):
    row = measure(case(agree=lambda *_: (False, "other pictures")), rounds=5)
    assert row.rounds == 0
    assert not row.met
    show("stage", row)
    said = capsys.readouterr().out
    assert "no ratio" in said
    assert "x [" not in said


def test_a_bar_near_one_holds_when_the_interval_contains_it():
    below = pairing.Row("x", 0.98, 0.95, 1.01, 1.0, False, 15, 1, 1, True, "")
    assert below.met
    assert not pairing.Row("x", 0.98, 0.95, 0.99, 1.0, False, 15, 1, 1, True, "").met
    assert not pairing.Row("x", 0.98, 0.95, 1.01, 1.0, False, 5, 1, 1, True, "").met
    assert not pairing.Row("x", 1.8, 1.5, 2.2, 2.0, False, 15, 1, 1, True, "").met
    assert pairing.Row("x", 1.04, 1.01, 1.08, 1.02, True, 15, 1, 1, True, "").met


def test_rows_are_kept_with_the_machine(case, tmp_path):
    for _ in range(2):
        append(tmp_path / "results.csv", "stage", measure(case(), rounds=1), "a machine")
    rows = list(csv.DictReader((tmp_path / "results.csv").open()))
    assert [row["machine"] for row in rows] == ["a machine", "a machine"]
    assert float(rows[0]["ratio"]) > 1


def test_one_round_has_no_interval_to_show():
    rows = pd.DataFrame(
        [
            {"stage": "a", "case": "b", "ratio": 2.0, "low": 2.0, "high": 2.0, "rounds": rounds, "goal": 1.5}
            | {"bound": "at least", "met": True, "agreement": "same"}
            for rounds in (1, 15)
        ]
    )
    one, many = table(rows).splitlines()[2:]
    assert "2× | 1 |" in one
    assert "2× [2, 2] | 15 |" in many


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["start", "--only", "nothing-like-it"], "nothing-like-it"),
        (["start", "--rounds", "0"], "--rounds 0"),
        (["decode", "--root", "nowhere"], "nowhere does not exist"),
        (["strat"], "decode"),
    ],
)
def test_bad_arguments_are_refused(arguments, said, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("sys.argv", ["speed", *arguments, "--csv", str(tmp_path / "r.csv")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "r.csv").exists()


def test_every_stage_is_found_by_its_file():
    assert {"decode", "loader", "train", "frozen", "cam", "overlay", "log", "start"} <= set(stages())


@pytest.mark.slow
@pytest.mark.parametrize("stage", [["overlay"], ["start", "--only", "train"]], ids=["overlay", "start"])
def test_a_stage_runs_as_a_command(stage, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["speed", *stage, "--rounds", "1", "--csv", str(tmp_path / "r.csv")])
    main()
    assert all(row["agreed"] == "True" for row in csv.DictReader((tmp_path / "r.csv").open()))


@pytest.mark.parametrize("verb", VERBS)
def test_help_imports_nothing_heavy(verb):
    assert start.run(verb, "--help") == []
