"""Score against reliance: the front, the limit, and what the page and the tables say of both."""

import csv
import io
import re

from hypothesis import given
from hypothesis import strategies as some
from rich.console import Console

from fishnet.studies.front import cost_metric, front_of
from fishnet.studies.journal import Journal
from fishnet.studies.page import LivingPage
from fishnet.studies.scoring import Scored, StageState
from fishnet.studies.selection import choose
from fishnet.studies.table import stage_table
from fishnet.studies.trials import Cell, Trial
from fishnet.tracking.names import BEST_RELIANCE
from tests.studies.test_page import drawings
from tests.support.protocols import protocol

FIGURES = {"tempting": (0.9, 0.4), "honest": (0.8, 0.02), "worse": (0.5, 0.6)}  # score and reliance


def finished(number: int, name: str, score: float, reliance: float | None) -> Scored:
    cell = Cell(f"{number}", None, 0, [])
    figures = {"val/accuracy": score, **({} if reliance is None else {BEST_RELIANCE: reliance})}
    results = {cell.digest: {"status": "finished", "figures": figures, "seconds": 1.0, "cause": ""}}
    return Scored(Trial(number, name, name, None, {}, {}, (cell,), {}), "val/accuracy", results)


def written(folder, figures=FIGURES, **keys) -> tuple[str, StageState]:
    """The page of a stage that has ended with these figures, and its state."""
    parsed = protocol(only={"search": {"points": {name: {} for name in figures}}, **keys})
    scored = [finished(number, name, *values) for number, (name, values) in enumerate(figures.items())]
    state = StageState(parsed.stages[0], scored=scored, choice=choose(parsed.stages[0], scored))
    page = LivingPage(parsed, Journal(folder), [])
    page.write([state])
    return re.sub(r"\s+", " ", page.path.read_text()), state


def test_the_page_names_both_choices_and_what_the_limit_has_changed(tmp_path):
    text, _ = written(tmp_path, limit={"best/reliance": 0.05})
    assert "By score alone the choice would be <b>tempting</b> (0.900)" in text
    assert "of 0.400 is beyond the limit of 0.05" in text and "Within it the best is <b>honest</b> (0.800" in text
    assert "ranked behind all others: tempting, worse" in text and "Chosen: <b>honest</b>" in text
    assert "0.400 beyond the limit" in text and "0.020 beyond" not in text
    (drawn,) = [one for one in drawings(text) if "best by score alone" in one]
    assert all(words in drawn for words in ("limit 0.05", "front", "chosen: honest", "best by score alone: tempting"))
    rows = list(csv.DictReader((tmp_path / "results.csv").open()))
    assert [(row["trial"], row["best/reliance"], row["limit"]) for row in rows] == [
        ("honest", "0.02", "within"),
        ("tempting", "0.4", "beyond"),
        ("worse", "0.6", "beyond"),
    ]


def test_a_stage_with_nothing_within_its_limit_says_so(tmp_path):
    text, state = written(tmp_path, limit={"best/reliance": 0})
    assert "No trial is within the limit" in text and "Chosen: <b>honest</b>" in text
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(stage_table(state))
    assert console.export_text().count("beyond") == 3


def test_a_limit_that_changes_nothing_says_so(tmp_path):
    text, _ = written(tmp_path, limit={"best/reliance": 0.5})
    assert (
        "The best by score alone, tempting, is within the limit of 0.5" in text and "behind all others: worse" in text
    )


def test_reliance_is_shown_where_there_is_no_limit(tmp_path):
    text, _ = written(tmp_path)
    assert "No limit was set" in text and "Chosen: <b>tempting</b>" in text and "beyond" not in text
    assert any("best/reliance" in one for one in drawings(text))


def test_nothing_is_said_of_reliance_where_no_trial_logs_it(tmp_path):
    text, state = written(tmp_path, {"a": (0.5, None), "b": (0.6, None)})
    assert cost_metric(state.stage, state.scored) == "" and "reliance" not in text


def test_a_study_warns_of_what_it_keeps_beyond_and_of_what_was_not_measured(study, caplog):
    points = {"known": {"x": 0.5, "rests": 0.3}, "unknown": {"x": 0.9}}
    engine = study(only={"search": {"points": points}, "limit": {"best/reliance": 0.2}})
    engine.run()
    assert study.selected()["only"]["kept"][0]["name"] == "known"
    assert "stage only: too few trials have best/reliance of at most 0.2; kept beyond it: known" in caplog.text
    (failed,) = [entry for entry in engine.states[0].scored if entry.state == "failed"]
    assert failed.trial.name == "unknown" and failed.deaths[0][1]["cause"] == "its best/reliance is no number"


@given(some.lists(some.tuples(some.floats(0, 1), some.floats(0, 1)), min_size=1, max_size=12), some.booleans())
def test_no_point_beats_one_of_the_front_and_each_other_is_beaten(points, maximise):
    def beats(first, second) -> bool:
        better = first[1] >= second[1] if maximise else first[1] <= second[1]
        return first[0] <= second[0] and better

    front = front_of(points, maximise=maximise)
    assert [points[number][0] for number in front] == sorted({points[number][0] for number in front})
    for number, point in enumerate(points):
        assert any(beats(points[other], point) for other in front)
        if number in front:
            assert not any(beats(other, point) for other in points if other != point)
