"""Protocols as they are written: what is understood, and what is refused in one sentence."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as some

from fishnet.errors import BadInput
from fishnet.studies.protocol import Limit, Search, parse
from fishnet.studies.sampler import ask, worst_epoch
from fishnet.studies.settings import Choice, Range, Times, centred, flat, grid, parse_space, size, touches

SCORES = ["val/accuracy", "val/loss"]


def parsed(stages, **common):
    return parse("tried", {"score": "val/accuracy", **common, "stages": stages}, scores=SCORES)


SPACE = {"space": {"x": [1, 2]}}
GRID = {"search": {"space": {"model": {"lr": [0.1, 0.2]}}}}
RANDOM = {"kind": "random", "trials": 2, **SPACE}


@pytest.mark.parametrize(
    ("stages", "common", "words"),
    [
        ({}, {}, "no stages"),
        ({"a": {"frm": None}}, {}, "there is no key frm; did you mean from"),
        ({"a": {}, "b": {"from": "c"}}, {}, "from=c names no earlier stage"),
        ({"a": {"search": {"space": {"x": []}}}}, {}, "x="),
        ({"a": {"search": {"space": {"x": {"low": 2, "high": 1}}}}}, {}, "low below high"),
        ({"a": {"search": {"space": {"x": {"low": 0, "high": 1, "log": True}}}}}, {}, "above 0 with log"),
        ({"a": {"search": {"space": {"x": {"low": 1, "high": 2}}}}}, {}, "a grid needs lists"),
        ({"a": {"search": {"kind": "random", "space": {"x": [1]}}}}, {}, "needs trials"),
        ({"a": {"keep": "vote"}}, {}, "there are no folds"),
        ({"a": {"test": True}, "b": {}}, {}, "last stage alone"),
        ({"a": {**GRID, "top": 3}}, {}, "among 2 trials at most"),
        ({"a": {}}, {"score": "val/f2"}, "no trial logs score=val/f2"),
        ({"a": {}}, {"seeds": 0}, "seeds=0"),
        ({"a": {"search": {"space": {"data": {"seed": [1, 2]}}}}}, {}, "data.seed is a repeat"),
        ({"a": {"search": {"points": {"x": {"data": {"seed": 1}}}}}}, {}, "data.seed is a repeat"),
        ({"a": {"search": {"points": {"x": {"+data": {"fold": 1}}}}}}, {}, "data.fold is a repeat"),
        ({"a": {"set": {"seed": 7}}}, {}, "seed is a repeat"),
        ({"a": {"set": {"test": True}}}, {}, "say test: true in the last stage"),
        ({"a": {"search": {"space": {"monitor": ["val/loss"]}}}}, {}, "go by its score"),
        ({"a": {"set": {"out": "elsewhere"}}}, {}, "out is decided by the study"),
        ({"a": {"set": {"tracking": {"uri": "x"}}}}, {}, "tracking.uri is decided by the study"),
        ({"a": {"top": "abc"}}, {}, "top=abc: this is a whole number"),
        ({"a": {"folds": True}}, {}, "folds=True: two or more"),
        ({"a": {"test": "perhaps"}}, {}, "test=perhaps: this is true or false"),
        ({"a": {"base": 3}}, {}, "base=3"),
        ({"a": {"set": "hello"}}, {}, "hello is no mapping"),
        ({"a": "hello"}, {}, "hello is no mapping"),
        ({"a": {"search": {"points": [{"x": 1}]}}}, {}, "is no mapping"),
        ({"a": {"search": {"points": {"x": 3}}}}, {}, "x: 3 is no mapping"),
        ({"a": {"search": {"space": [1, 2]}}}, {}, "space: [1, 2] is no mapping"),
        ({"a": {}, "b": {"search": {"space": {"x": {"times": 2}}}}}, {}, "give a list of numbers"),
        ({"a": {}, "b": {"search": {"space": {"x": {"times": []}}}}}, {}, "give a list of numbers"),
        ({"a": {"search": {**RANDOM, "space": {"x": {"low": 1, "high": math.inf}}}}}, {}, "a range is"),
        ({"a": {"search": {**RANDOM, "space": {"x": {"low": 1, "high": 8, "step": 2}}}}}, {}, "a range is"),
        ({"a": {"search": {**RANDOM, "trials": "ten"}}}, {}, "trials=ten"),
        ({"a": {"search": {**RANDOM, "points": {"p": {}}}}}, {}, "points is for list and grid"),
        ({"a": {"search": {"points": {"p": {}}, "space": {"x": [1]}}}}, {}, "space is for grid"),
        ({"a": {"search": {"space": {"x": [1]}, "seed": 1}}}, {}, "seed is for random and tpe"),
        ({"a": {}, "b": {"search": {"kind": "grid", "points": {"p": {"from": "a"}}, **SPACE}}}, {}, "points of a list"),
        ({"a": {"keep": "lr", "top": 2}}, {}, "top has no part"),
        ({"a": {"keep": "folds", "distinct": "x"}}, {"folds": 2}, "distinct has no part"),
        ({"a": {"folds": 3, "keep": "folds"}, "b": {"folds": 2}}, {}, "each of its 3 folds"),
        ({"a": {"folds": 3, "keep": "folds"}, "b": {}}, {}, "here there are none: say folds=3"),
        ({"a": {}, "b": {"seeds": [0, 0]}}, {}, "different seeds"),
        ({"../../x": {}}, {}, "name of a stage"),
        ({"a": None}, {}, "no stages"),
        ({"a": {}}, {"name": "mine"}, "there is no key name"),
        ({"a": {"limit": {"best/relianc": 0.1}}}, {}, "did you mean best/reliance"),
        ({"a": {"limit": {"val/accuracy": 0.1}}}, {}, "val/accuracy is no metric of trials that is better when lower"),
        ({"a": {"limit": 0.1}}, {}, "limit: 0.1 is no mapping"),
        ({"a": {"limit": {"best/reliance": 0.1, "val/loss": 1}}}, {}, "this is one metric"),
        ({"a": {"limit": {}}}, {}, "this is one metric"),
        ({"a": {"limit": {"best/reliance": "little"}}}, {}, "best/reliance=little: this is a number, 0 or more"),
        ({"a": {"limit": {"best/reliance": True}}}, {}, "best/reliance=True: this is a number, 0 or more"),
        ({"a": {"limit": {"best/reliance": -0.1}}}, {}, "this is a number, 0 or more"),
        ({"a": {"limit": {"best/reliance": 0.1}, "keep": "lr"}}, {}, "limit is for keep: top"),
    ],
)
def test_what_is_refused(stages, common, words):
    with pytest.raises(BadInput) as error:
        parsed(stages, **common)
    assert words in str(error.value)


def test_a_list_chooses_among_what_its_points_receive():
    """Not among what the stage before has kept: `all` takes up two."""
    protocol = parsed({"a": {**GRID, "top": 2}, "b": {}, "c": {"search": {"points": {"all": {"from": "a"}}}, "top": 2}})
    assert protocol.stages[-1].top == 2
    points = {"all": {"from": "a"}, "none": {"from": None}}
    with pytest.raises(BadInput, match="3 trials at most"):
        parsed({"a": {**GRID, "top": 2}, "b": {}, "c": {"search": {"points": points}, "top": 4}})


def test_the_last_stage_is_the_last_that_is_not_left_out():
    protocol = parsed({"a": {}, "b": {"test": True}, "c": None})
    assert [(stage.name, stage.test) for stage in protocol.stages] == [("a", False), ("b", True)]


def test_a_limit_is_a_part_of_its_stage_and_no_other_stage_is_edited_by_it():
    plain, limited = (parsed({"a": keys}).stages[0] for keys in ({}, {"limit": {"best/reliance": 0.05}}))
    assert limited.limit == Limit("best/reliance", 0.05) and plain.limit is None
    assert limited.ranked_by == ["val/accuracy", "best/reliance"] and plain.ranked_by == ["val/accuracy"]
    assert "limit" not in plain.written and "limit.best/reliance: 0.05" in limited.written


def test_keys_of_one_setting():
    assert touches("model.lr", "+model.lr") and touches("++model.args", "model.args.filters")
    assert touches("model.args.filters", "model.args") and not touches("model.lr", "model.lrs")


def test_less_of_everything_on_request():
    tree = {"score": "val/accuracy", "folds": 5, "stages": {"a": {**GRID, "top": 2}, "b": {"folds": None}}}
    protocol = parse("tried", tree, scores=SCORES, folds=2, trials=1)
    assert [(stage.folds, stage.top) for stage in protocol.stages] == [(2, 1), (None, 1)]


def test_spaces():
    space = parse_space({"model": {"lr": {"low": 0.1, "high": 1.0, "log": True}, "f": [[1], [2]]}, "n": [1]}, "here")
    assert space == {"model.lr": Range(0.1, 1.0, True), "model.f": Choice(([1], [2])), "n": Choice((1,))}
    assert list(grid(parse_space({"a": [1, 2], "b": ["x"]}, ""), "")) == [{"a": 1, "b": "x"}, {"a": 2, "b": "x"}]
    around = centred({"n": Times((0.5, 1, 2)), "lr": Times((0.5, 2))}, {"n": 1, "lr": 0.1}, "here")
    assert around == {"n": Choice((1, 2)), "lr": Choice((0.05, 0.2))}
    with pytest.raises(BadInput, match="lr has no value"):
        centred({"lr": Times((1,))}, {}, "here")
    assert flat({"a": {"b": 1}, "+c": {"d": 2}}) == {"a.b": 1, "+c": {"d": 2}}


@pytest.mark.parametrize("kind", ["random", "tpe"])
def test_a_point_that_is_rounded_stays_in_its_range(kind):
    search = Search(kind, {"momentum": Range(0.999, 0.99999)}, trials=8, seed=1)
    history: list = []
    for number in range(8):
        point = ask(search, search.space, origin="p", history=history, maximise=True)
        assert 0.999 <= point["momentum"] <= 0.99999
        history.append((point, number / 8))


def test_how_many_points_a_space_has():
    assert size({"n": Range(1, 3), "of": Choice(("a", "b"))}) == 6
    assert size({"n": Range(1, 3), "lr": Range(0.1, 0.2)}) == math.inf


@given(some.integers(0, 50), some.integers(1, 8))
def test_random_points_depend_on_seed_and_place_alone_and_never_repeat(seed, count):
    space = {"a": Choice((1, 2, 3)), "b": Choice((1, 2, 3))}
    search = Search("random", space, trials=count, seed=seed)
    points: list = []
    while (point := ask(search, space, origin="p", history=[(p, None) for p in points], maximise=True)) is not None:
        assert point not in points
        points.append(point)
    assert len(points) == count
    assert ask(search, space, origin="p", history=[], maximise=True) == points[0]


def test_tpe_comes_nearer_to_what_is_good():
    space = {"x": Range(0.0, 1.0)}
    search = Search("tpe", space, trials=24, seed=1)
    history: list = []
    for _ in range(24):
        point = ask(search, space, origin="", history=history, maximise=True)
        history.append((point, -abs(point["x"] - 0.8)))
    late = [abs(point["x"] - 0.8) for point, _ in history[-8:]]
    assert sum(late) / 8 < 0.15


def test_whoever_stays_behind_the_median_is_pruned_and_nobody_else():
    others = [{epoch: 0.5 + 0.1 * epoch for epoch in range(5)}] * 4
    assert worst_epoch({0: 0.1, 1: 0.1, 2: 0.1}, others, maximise=True) == 1
    assert worst_epoch({0: 0.9, 1: 0.9, 2: 0.9}, others, maximise=True) is None
    assert worst_epoch({0: 0.1, 1: 0.1}, others, maximise=False) is None
