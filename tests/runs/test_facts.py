"""What a run's folder knows of its model: thresholds from validation, and no more than was measured."""

import json

import pandas as pd
import pytest

from fishnet.runs.facts import FEWEST, run_facts, run_of, thresholds_of


def validation(name: str, right: list[bool]) -> pd.DataFrame:
    """Answers of one class from the surest to the least sure, 0.99, 0.98 …"""
    probabilities = [0.99 - 0.01 * place for place in range(len(right))]
    truth = [name if each else "other" for each in right]
    return pd.DataFrame({"class": truth, "predicted": name, "probability": probabilities})


def test_a_threshold_is_the_lowest_probability_that_is_sure_enough():
    answers = validation("perch", [True] * 19 + [False] + [True] * 10 + [False] * 10)
    assert thresholds_of(answers)["perch"] == pytest.approx(0.99 - 0.01 * 29)  # 29 of 30 are right


@pytest.mark.parametrize("right", [[True] * (FEWEST - 1), [False] + [True] * 12, []])
def test_without_enough_right_answers_there_is_none(right):
    """Twelve of thirteen are too few, wherever the wrong one stands: 0.92."""
    answers = pd.concat([validation("perch", right), validation("other", [True] * 20)])
    assert thresholds_of(answers).get("perch") is None


def test_a_run_that_has_measured_nothing_has_no_figures(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"run_id": "a1", "classes": ["a", "b"]}))
    assert run_facts(tmp_path) == {"trained": {"run_id": "a1"}}
    assert run_of(tmp_path / "checkpoints" / "best.ckpt") == tmp_path
    assert run_of(tmp_path / "checkpoints" / "last.ckpt") is None
    assert run_of(tmp_path / "elsewhere.ckpt") is None
