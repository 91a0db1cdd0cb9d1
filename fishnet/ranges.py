"""Ranges of settings, written once, beside the constructor that takes them: `lr: Annotated[float, Above(0)]`.

A constructor checks its arguments by `check_ranges`; `config/schema.py` reads the same annotations from the source,
so that a verb refuses a value before anything heavy is imported. A key annotated as FreeText may be typed in a shell
with spaces, commas and brackets: `config/quoting.py` quotes it for Hydra.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from fishnet.errors import BadInput

FreeText = str


@dataclass(frozen=True)
class Above:
    low: float

    def holds(self, value: float) -> bool:
        return self.low < value < math.inf

    def __str__(self) -> str:
        return f"this is above {self.low:g}"


@dataclass(frozen=True)
class AtLeast:
    low: float

    def holds(self, value: float) -> bool:
        return self.low <= value < math.inf

    def __str__(self) -> str:
        return f"this is {self.low:g} or more"


@dataclass(frozen=True)
class Within:
    """Both ends included; `unit` is said behind them."""

    low: float
    high: float
    unit: str = ""

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"this is {self.low:g} to {self.high:g}{self.unit and ' '}{self.unit}"


@dataclass(frozen=True)
class FromToBelow:
    """The lower end included, the upper end not."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        return self.low <= value < self.high

    def __str__(self) -> str:
        return f"this lies from {self.low:g} to below {self.high:g}"


@dataclass(frozen=True)
class Between:
    """Both ends excluded."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        return self.low < value < self.high

    def __str__(self) -> str:
        return f"this lies between {self.low:g} and {self.high:g}, both excluded"


@dataclass(frozen=True)
class Port:
    def holds(self, value: float) -> bool:
        return 1 <= value <= 65535

    def __str__(self) -> str:
        return "choose one from 1 to 65535"


@dataclass(frozen=True)
class Probability:
    def holds(self, value: float) -> bool:
        return 0 <= value <= 1

    def __str__(self) -> str:
        return "a probability lies between 0 and 1"


Range = Port | Probability | Above | AtLeast | Within | FromToBelow | Between


def check_ranges(function: Callable, values: Mapping[str, Any]) -> None:
    """Raise BadInput for the first of `values` that lies outside the range in the annotation of its parameter."""
    for name, hint in get_type_hints(function, include_extras=True).items():
        value = values.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            for allowed in _ranges_of(hint):
                if not allowed.holds(value):
                    raise BadInput(f"{name}={value}: {allowed}.")


def _ranges_of(hint: Any) -> list[Range]:
    """Those of `Annotated[int, AtLeast(1)]` and of `Annotated[int, AtLeast(1)] | None`."""
    if get_origin(hint) is Annotated:
        return [extra for extra in get_args(hint)[1:] if isinstance(extra, Range)]
    return [found for inner in get_args(hint) for found in _ranges_of(inner)]
