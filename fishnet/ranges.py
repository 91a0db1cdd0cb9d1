"""Ranges of settings, written once, beside the constructor that takes them: `lr: Annotated[float, Above(0)]`.

A constructor checks its arguments by `check_ranges`; `config/validate.py` reads the same annotations from the source,
so that a verb refuses a value before anything heavy is imported. A key annotated as FreeText may be typed in a shell
with spaces, commas and brackets: `config/quoting.py` quotes it for Hydra.
"""

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

from fishnet.errors import BadInput

FreeText = str


class Range(NamedTuple):
    """The values that `holds` accepts, in words that follow `key=value: `."""

    holds: Callable[[float], bool]
    words: str


def Above(low: float) -> Range:  # capitals: these read as types in an annotation
    return Range(lambda value: low < value < math.inf, f"this is above {low:g}")


def AtLeast(low: float) -> Range:
    return Range(lambda value: low <= value < math.inf, f"this is {low:g} or more")


def Within(low: float, high: float, unit: str = "") -> Range:
    """Both ends are included; `unit` stands behind them."""
    return Range(lambda value: low <= value <= high, f"this is {low:.12g} to {high:.12g} {unit}".rstrip())


def FromToBelow(low: float, high: float) -> Range:
    return Range(lambda value: low <= value < high, f"this lies from {low:g} to below {high:g}")


def Between(low: float, high: float) -> Range:
    return Range(lambda value: low < value < high, f"this lies between {low:g} and {high:g}, both excluded")


Port = Range(lambda value: 1 <= value <= 65535, "choose one from 1 to 65535")
PortOrFree = Range(lambda value: 0 <= value <= 65535, "choose one from 1 to 65535, or 0 for a free one")
Seed = Range(
    lambda value: 0 <= value < 2**32, "this is 0 or more, and at most 4294967295"
)  # what numpy and scikit-learn take
Probability = Range(lambda value: 0 <= value <= 1, "a probability lies between 0 and 1")


def check_ranges(function: Callable, values: Mapping[str, Any]) -> None:
    """Raise BadInput for the first of `values` that lies outside the range in the annotation of its parameter."""
    for name, hint in get_type_hints(function, include_extras=True).items():
        value = values.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            for allowed in _ranges_of(hint):
                if not allowed.holds(value):
                    raise BadInput(f"{name}={value}: {allowed.words}.")


def _ranges_of(hint: Any) -> list[Range]:
    """Those of `Annotated[int, AtLeast(1)]` and of `Annotated[int, AtLeast(1)] | None`."""
    if get_origin(hint) is Annotated:
        return [extra for extra in get_args(hint)[1:] if isinstance(extra, Range)]
    return [allowed for inner in get_args(hint) for allowed in _ranges_of(inner)]
