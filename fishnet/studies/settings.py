"""Settings of a training as flat keys (`model.lr` → 0.01), and the spaces that searches draw them from."""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fishnet.errors import BadInput

Settings = dict[str, Any]
RANGE, TIMES = {"low", "high", "log"}, {"times"}


def mapping(given: Any, where: str) -> Mapping[str, Any]:
    """As it was written, nothing said being an empty one."""
    if given is not None and not isinstance(given, Mapping):
        raise BadInput(f"{where}: {given} is no mapping of keys to values.")
    return given or {}


def touches(one: str, other: str) -> bool:
    """Whether two keys speak of the same setting: they are equal, or one holds the other."""
    first, second = (f"{key.lstrip('+~')}." for key in (one, other))
    return first.startswith(second) or second.startswith(first)


def flat(nested: Mapping[str, Any], prefix: str = "") -> Settings:
    """`{model: {lr: 0.1}}` → `{model.lr: 0.1}`; what a `+` adds is one value, whatever is inside."""
    found: Settings = {}
    for key, value in nested.items():
        if isinstance(value, Mapping) and value and not str(key).startswith("+"):
            found.update(flat(value, f"{prefix}{key}."))
        else:
            found[f"{prefix}{key}"] = value
    return found


@dataclass(frozen=True)
class Choice:
    """One of these values."""

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

    def around(self, centre: float) -> Choice:
        values = [centre * factor for factor in self.factors]
        if isinstance(centre, int):
            return Choice(tuple(dict.fromkeys(max(1, round(value)) for value in values)))
        return Choice(tuple(float(f"{value:.6g}") for value in values))


Domain = Choice | Range | Times
Space = dict[str, Domain]


def parse_space(nested: Any, where: str, prefix: str = "") -> Space:
    """Lists are choices, `{low: …, high: …, log: true}` is a range, `{times: […]}` lies around an earlier winner."""
    space: Space = {}
    for name, value in mapping(nested, f"{where}: space").items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and "low" in value and "high" in value:
            space[key] = _range(value, f"{where}: {key}")
        elif isinstance(value, Mapping) and set(value) == TIMES:
            space[key] = _times(value["times"], f"{where}: {key}")
        elif isinstance(value, Mapping):
            space.update(parse_space(value, where, f"{key}."))
        elif isinstance(value, list) and value:
            space[key] = Choice(tuple(_frozen(one) for one in value))
        else:
            raise BadInput(f"{where}: {key}={value}: give a list of values, or {{low: …, high: …}}.")
    return space


def _range(value: Mapping[str, Any], where: str) -> Range:
    low, high, log = value["low"], value["high"], bool(value.get("log", False))
    if set(value) - RANGE or not _numbers([low, high]) or not low < high or (log and low <= 0):
        raise BadInput(f"{where}: a range is {{low: 0.001, high: 0.1, log: true}}, low below high, above 0 with log.")
    return Range(low, high, log)


def _times(given: Any, where: str) -> Times:
    if not isinstance(given, list) or not given or not _numbers(given):
        raise BadInput(f"{where}: {{times: {given}}}: give a list of numbers, as {{times: [0.5, 1, 2]}}.")
    return Times(tuple(given))


def _numbers(values: list[Any]) -> bool:
    return all(type(value) in (int, float) and math.isfinite(value) for value in values)


def _frozen(value: Any) -> Any:
    """Lists as values stay lists for the training, but a choice among them must not change."""
    return list(value) if isinstance(value, (list, tuple)) else value


def centred(space: Space, around: Settings, where: str) -> Space:
    """With `times` filled in from the settings of an earlier winner."""
    result: Space = {}
    for key, domain in space.items():
        if isinstance(domain, Times):
            centre = around.get(key)
            if not isinstance(centre, (int, float)) or isinstance(centre, bool):
                raise BadInput(f"{where}: {key} has no value to lie around: `times` needs a number chosen before.")
            domain = domain.around(centre)
        result[key] = domain
    return result


def grid(space: Space, where: str) -> Iterator[Settings]:
    """Every point, the last key running fastest."""
    for key, domain in space.items():
        if isinstance(domain, Range):
            raise BadInput(f"{where}: a grid needs lists, and {key} is a range: say random or tpe, or list its values.")
    values = [domain.values for domain in space.values() if isinstance(domain, Choice)]
    for point in itertools.product(*values):
        yield dict(zip(space, point, strict=True))


def size(space: Space) -> float:
    """How many different points there are."""
    count = 1.0
    for domain in space.values():
        if isinstance(domain, Choice):
            count *= len(domain.values)
        elif isinstance(domain, Range) and domain.whole:
            count *= domain.high - domain.low + 1
        else:
            count = math.inf
    return count
