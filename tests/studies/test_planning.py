"""What is found before anything runs, in every stage and in every value."""

import pytest

from fishnet.errors import BadInput
from fishnet.studies.journal import Journal
from fishnet.studies.planning import LOGS_RELIANCE, decided, plan, with_bases
from tests.support.protocols import compose, protocol

FIRST = {"set": {"x": 1}}
LOGGED = {"reliance": {"_target_": LOGS_RELIANCE}}


def strict(base, before, after):
    """Fish are red or blue, and so are their settings."""
    for value in ({**before, **after}).values():
        if value in ("bleu", 99):
            raise BadInput(f"{value}: no such colour.")
    return compose(base, before, after)


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ({"search": {"space": {"colour": ["red", "blue", "bleu"]}}}, "stage second: bleu"),
        ({"search": {"points": {"a": {"colour": "red"}, "b": {"colour": "bleu"}}}}, "stage second: bleu"),
        ({"search": {"kind": "tpe", "trials": 2, "space": {"y": {"low": 1, "high": 99}}}}, "stage second: 99"),
        ({"set": {"colour": "bleu"}}, "stage second: bleu"),
        ({"search": {"space": {"xx": {"times": [0.5, 1]}}}}, "xx has no value to lie around"),
        ({"search": {"space": {"y": [1, 2]}}, "distinct": "yy"}, "distinct=yy.*did you mean y"),
    ],
)
def test_a_later_stage_is_refused_before_the_first_has_run(second, words):
    with pytest.raises(BadInput, match=words):
        plan(protocol(first=FIRST, second=second), strict)


def test_a_stage_is_composed_with_what_earlier_ones_hand_on():
    stages = {
        "inside": {"base": "mine", "folds": 2, "keep": "folds", "search": {"space": {"x": [1, 2]}}},
        "around": {"folds": 2, "keep": "vote", "search": {"space": {"x": {"times": [0.5, 1]}}}},
        "rates": {"keep": "lr"},
        "last": {"search": {"points": {"tuned": {"z": 1}, "bare": {"from": None, "base": "other", "z": 2}}}},
    }
    planned = plan(protocol(**stages), compose)
    assert [(one.stage.name, one.trial.base) for one in planned] == [
        ("inside", "mine"),
        ("around", "mine"),
        ("rates", "mine"),
        ("last", "mine"),
        ("last", "other"),
    ]
    assert [cell.fold for cell in planned[1].trial.cells] == [0]
    assert set(planned[3].trial.settings) == {"x", "z", "model.lr"}
    assert set(planned[4].trial.settings) == {"z"}


def test_a_limit_on_what_no_callback_logs_is_refused_before_anything_runs():
    limit = {"limit": {"best/reliance": 0.1}}
    points = {"with": {"rests": 0.2}, "without": {"x": 1}}
    with pytest.raises(BadInput, match="no callback of the trial without logs it; say callbacks: reliance"):
        plan(protocol(only={"search": {"points": points}, **limit}), compose)
    with pytest.raises(BadInput, match="no callback of the trial"):  # the second value of a grid, too
        plan(protocol(only={"search": {"space": {"callbacks": [LOGGED, {}]}}, **limit}), compose)
    assert plan(protocol(only={"set": {"rests": 0.2}, **limit}), compose)
    assert plan(protocol(only={"limit": {"val/loss": 1}}), compose)  # each training logs it


def test_what_the_stages_decide():
    stages = {
        "a": {"set": {"model": {"freeze": 2}}, "search": {"space": {"model": {"args": {"filters": [[1], [2]]}}}}},
        "b": {"search": {"points": {"x": {"base": "mine", "+callbacks.trouble": {"of": 1}}}}},
        "c": {"keep": "lr"},
    }
    assert decided(protocol(**stages)) == {
        "model.freeze": "a",
        "model.args.filters": "a",
        "+callbacks.trouble": "b",
        "model.lr": "c",
    }


def test_an_edited_experiment_is_an_edited_stage(tmp_path):
    journal = Journal(tmp_path)
    written = protocol(first={"base": "mine"}, second={})

    def sentences(settings):
        return journal.changed(with_bases(written, {"mine": settings}.__getitem__), [], [])

    assert sentences({"model": {"lr": 0.1}, "out": None}) == []
    assert sentences({"model": {"lr": 0.1}, "out": "elsewhere"}) == []
    (sentence,) = sentences({"model": {"lr": 0.2}, "out": None})
    assert "stage first was edited (mine model.lr)" in sentence and "second after it" in sentence
