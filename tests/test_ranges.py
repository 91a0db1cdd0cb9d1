"""A range is written once: the constructor and the early check read the same annotation."""

import ast
from typing import Annotated

import pytest

from fishnet.config.validate import range_broken
from fishnet.errors import BadInput
from fishnet.ranges import Above, AtLeast, Between, FromToBelow, Within, check_ranges


def build(rate: Annotated[float, Above(0)], photos: Annotated[int, AtLeast(1)] | None = None, plain: float = 0) -> None:
    check_ranges(build, locals())


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"rate": 0}, "rate=0: this is above 0."),
        ({"rate": float("inf")}, "rate=inf: this is above 0."),
        ({"rate": float("nan")}, "rate=nan: this is above 0."),
        ({"rate": 1, "photos": 0}, "photos=0: this is 1 or more."),
    ],
)
def test_a_constructor_refuses_what_its_annotations_exclude(values, sentence):
    with pytest.raises(BadInput) as refused:
        build(**values)
    assert str(refused.value) == sentence


def test_what_lies_inside_passes():
    build(0.1, photos=1, plain=-5)
    build(0.1, photos=None)


@pytest.mark.parametrize(
    ("source", "inside", "outside"),
    [
        ("Annotated[float, Above(0)]", 0.1, 0),
        ("Annotated[int, AtLeast(8)] | None", 8, 7),
        ("Annotated[float, Within(0, 20, 'times Fmsy')]", 20, 20.1),
        ("Annotated[float, FromToBelow(0, 1)]", 0, 1),
        ("Annotated[float, Between(0, 1)]", 0.5, 0),
    ],
)
def test_the_same_annotation_is_read_from_source(source, inside, outside):
    annotation = ast.parse(source, mode="eval").body
    assert range_broken(inside, annotation) is None
    assert range_broken(outside, annotation) is not None


def test_each_range_says_what_it_allows():
    said = [
        allowed.words for allowed in (Above(0), AtLeast(8), Within(1, 100, "years"), FromToBelow(0, 1), Between(0, 1))
    ]
    assert said == [
        "this is above 0",
        "this is 8 or more",
        "this is 1 to 100 years",
        "this lies from 0 to below 1",
        "this lies between 0 and 1, both excluded",
    ]
