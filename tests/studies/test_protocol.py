"""Protocols as they are written: what is understood, and what is refused in one sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from fishnet.errors import BadInput
from fishnet.studies.asking import ask, worst_epoch
from fishnet.studies.protocol import Search, parse
from fishnet.studies.settings import Choice, Range, Times, centred, flat, grid, parse_space

SCORES = ["val/accuracy", "val/loss"]


def parsed(stages, **common):
    return parse("tried", {"score": "val/accuracy", **common, "stages": stages}, scores=SCORES)


GRID = {"search": {"space": {"model": {"lr": [0.1, 0.2]}}}}


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
    ],
)
def test_what_is_refused(stages, common, words):
    with pytest.raises(BadInput) as error:
        parsed(stages, **common)
    assert words in str(error.value)


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


@given(some.integers(0, 50), some.integers(1, 8))
def test_random_points_depend_on_seed_and_place_alone_and_never_repeat(seed, count):
    space = {"a": Choice((1, 2, 3)), "b": Choice((1, 2, 3))}
    search = Search("random", space, trials=count, seed=seed)
    points: list = []
    while (point := ask(search, space, place="p", history=[(p, None) for p in points], largest=True)) is not None:
        assert point not in points
        points.append(point)
    assert len(points) == count
    assert ask(search, space, place="p", history=[], largest=True) == points[0]


def test_tpe_comes_nearer_to_what_is_good():
    space = {"x": Range(0.0, 1.0)}
    search = Search("tpe", space, trials=24, seed=1)
    history: list = []
    for _ in range(24):
        point = ask(search, space, place="", history=history, largest=True)
        history.append((point, -abs(point["x"] - 0.8)))
    late = [abs(point["x"] - 0.8) for point, _ in history[-8:]]
    assert sum(late) / 8 < 0.15


def test_whoever_stays_behind_the_median_is_pruned_and_nobody_else():
    others = [{epoch: 0.5 + 0.1 * epoch for epoch in range(5)}] * 4
    assert worst_epoch({0: 0.1, 1: 0.1, 2: 0.1}, others, largest=True) == 1
    assert worst_epoch({0: 0.9, 1: 0.9, 2: 0.9}, others, largest=True) is None
    assert worst_epoch({0: 0.1, 1: 0.1}, others, largest=False) is None
