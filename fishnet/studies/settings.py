"""Settings of a training as flat keys (`model.lr` → 0.01), and the spaces that searches draw them from."""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fishnet.errors import BadInput

Settings = dict[str, Any]


def mapping(given: Any, where: str) -> Mapping[str, Any]:
    """The mapping itself, or an empty one for None; BadInput for anything else."""
    if given is not None and not isinstance(given, Mapping):
        raise BadInput(f"{where}: {given} is no mapping of keys to values.")
    return given or {}


def touches(key: str, other: str) -> bool:
    """Whether two keys speak of the same setting: they are equal, or one holds the other."""
    first, second = (f"{name.lstrip('+~')}." for name in (key, other))
    return first.startswith(second) or second.startswith(first)


def flat(nested: Mapping[str, Any], prefix: str = "") -> Settings:
    """`{model: {lr: 0.1}}` → `{model.lr: 0.1}`; what a `+` adds is one value, whatever is inside."""
    settings: Settings = {}
    for key, value in nested.items():
        branch = isinstance(value, Mapping) and value and not str(key).startswith("+")
        settings |= flat(value, f"{prefix}{key}.") if branch else {f"{prefix}{key}": value}
    return settings


# The names and fields of these three are part of the identity of searches in the files of studies: see Journal.ask.


@dataclass(frozen=True)
class Choice:
    """A choice among these values."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Range:
    """A number from low to high, both included; whole numbers where both ends are."""

    low: float
    high: float
    log: bool = False

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)


@dataclass(frozen=True)
class Times:
    """The value that an earlier stage has chosen, and its neighbours: so many times as much."""

    factors: tuple[float, ...]


Domain = Choice | Range | Times
Space = dict[str, Domain]


def parse_space(nested: Any, where: str, prefix: str = "") -> Space:
    """Lists are choices, `{low: …, high: …, log: true}` is a range, `{times: […]}` lies around an earlier winner."""
    space: Space = {}
    for name, value in mapping(nested, f"{where}: space").items():
        key = f"{prefix}{name}"
        if isinstance(value, list) and value:
            space[key] = Choice(tuple(value))
        elif not isinstance(value, Mapping):
            raise BadInput(f"{where}: {key}={value}: give a list of values, or {{low: …, high: …}}.")
        elif {"low", "high"} <= set(value):
            low, high, log = value["low"], value["high"], bool(value.get("log", False))
            right = set(value) <= {"low", "high", "log"} and _numbers([low, high]) and low < high
            if not right or (log and low <= 0):
                example = "{low: 0.001, high: 0.1, log: true}"
                raise BadInput(f"{where}: {key}: a range is {example}, low below high, above 0 with log.")
            space[key] = Range(low, high, log)
        elif set(value) == {"times"}:
            factors = value["times"]
            if not isinstance(factors, list) or not factors or not _numbers(factors):
                example = "give a list of numbers, as {times: [0.5, 1, 2]}."
                raise BadInput(f"{where}: {key}: {{times: {factors}}}: {example}")
            space[key] = Times(tuple(factors))
        else:
            space.update(parse_space(value, where, f"{key}."))
    return space


def _numbers(values: list[Any]) -> bool:
    return all(type(value) in (int, float) and math.isfinite(value) for value in values)


def centred(space: Space, settings: Settings, where: str) -> Space:
    """The space with `times` filled in from the settings of an earlier winner; BadInput where they have no number."""
    result: Space = {}
    for key, domain in space.items():
        if isinstance(domain, Times):
            centre = settings.get(key)
            if not isinstance(centre, (int, float)) or isinstance(centre, bool):
                raise BadInput(f"{where}: {key} has no value to lie around: `times` needs a number chosen before.")
            values = [centre * factor for factor in domain.factors]
            if isinstance(centre, int):
                domain = Choice(tuple(dict.fromkeys(max(1, round(value)) for value in values)))
            else:
                domain = Choice(tuple(float(f"{value:.6g}") for value in values))
        result[key] = domain
    return result


def grid(space: Space, where: str) -> Iterator[Settings]:
    """All points of a space of lists, the last key running fastest."""
    for key, domain in space.items():
        if isinstance(domain, Range):
            raise BadInput(f"{where}: a grid needs lists, and {key} is a range: say random or tpe, or list its values.")
    for point in itertools.product(*(domain.values for domain in space.values() if isinstance(domain, Choice))):
        yield dict(zip(space, point, strict=True))


def size(space: Space) -> float:
    """How many different points there are."""
    count = 1.0
    for domain in space.values():
        if isinstance(domain, Range):
            count *= domain.high - domain.low + 1 if domain.whole else math.inf
        else:
            count *= len(domain.values if isinstance(domain, Choice) else domain.factors)
    return count
