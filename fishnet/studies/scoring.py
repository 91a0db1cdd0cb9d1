"""From the results of trainings to what a trial is worth, and how sure that is."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from scipy import stats

from .journal import GOOD
from .trials import Cell, Trial

OTHER_PHOTOS = "its trainings were given different photos (the folder was changed meanwhile): compare with care."

Result = Callable[[Cell], dict[str, Any] | None]


class Spread(NamedTuple):
    """Mean with its 95 % interval (Student's t over the trainings); no interval from a single one."""

    mean: float
    sd: float
    low: float
    high: float
    n: int


def spread(values: Sequence[float]) -> Spread:
    if not values:
        return Spread(math.nan, math.nan, math.nan, math.nan, 0)
    mean, n = statistics.fmean(values), len(values)
    if n == 1:
        return Spread(mean, math.nan, math.nan, math.nan, 1)
    sd = statistics.stdev(values)
    half = float(stats.t.ppf(0.975, n - 1)) * sd / math.sqrt(n)
    return Spread(mean, sd, mean - half, mean + half, n)


@dataclass(frozen=True)
class Scored:
    """A trial with what its trainings have said so far."""

    trial: Trial
    score: str
    results: dict[str, dict[str, Any]] = field(default_factory=dict)  # by the digest of the training

    def _of(self, cell: Cell, key: str) -> float | None:
        return self.results.get(cell.digest, {}).get("figures", {}).get(key)

    def values(self, key: str | None = None) -> dict[tuple[int | None, int], float]:
        """By fold and seed, of the trainings that have finished."""
        found = {}
        for cell in self.trial.cells:
            value = self._of(cell, key or self.score)
            if value is not None and self.results[cell.digest]["status"] == GOOD:
                found[cell.fold, cell.seed] = value
        return found

    def spread(self, key: str | None = None) -> Spread:
        return spread(list(self.values(key).values()))

    def interval(self, key: str) -> tuple[float, float]:
        """Over the trainings; of a single one, over its photos drawn again by group."""
        worth = self.spread(key)
        if worth.n != 1:
            return worth.low, worth.high
        low, high = (self.spread(f"{key}_{end}").mean for end in ("low", "high"))
        return low, high

    @property
    def mean(self) -> float:
        return self.spread().mean

    @property
    def state(self) -> str:
        """finished | pruned | failed | open."""
        states = [self.results[cell.digest]["status"] for cell in self.trial.cells if cell.digest in self.results]
        if "pruned" in states:
            return "pruned"
        if len(states) < len(self.trial.cells):
            return "open"
        return "finished" if all(state == GOOD for state in states) else "failed"

    @property
    def deaths(self) -> list[tuple[Cell, dict[str, Any]]]:
        found = [(cell, self.results[cell.digest]) for cell in self.trial.cells if cell.digest in self.results]
        return [(cell, result) for cell, result in found if result["status"] not in (GOOD, "pruned")]

    @property
    def seconds(self) -> float:
        return sum(result["seconds"] for result in self.results.values())

    @property
    def parameters(self) -> int | None:
        return next((r["parameters"] for r in self.results.values() if r.get("parameters")), None)

    @property
    def learning(self) -> int | None:
        """Parameters that are not frozen."""
        return next((r["trained"] for r in self.results.values() if r.get("trained")), None)

    @property
    def epochs_to_best(self) -> float:
        epochs = [r["best_epoch"] + 1 for r in self.results.values() if r.get("best_epoch") is not None]
        return statistics.fmean(epochs) if epochs else math.nan

    def best_so_far(self) -> float | None:
        """What a search learns from it: the mean, or of a pruned trial what it had reached."""
        values = [value for cell in self.trial.cells if (value := self._of(cell, self.score)) is not None]
        return statistics.fmean(values) if values else None


def photos_differ(trials: Sequence[Scored]) -> bool:
    """Whether somebody has added or removed photos while a study was stopped: its figures are then not comparable."""
    digests = {result.get("photos") for one in trials for result in one.results.values()}
    return len(digests - {None}) > 1


def scored(trial: Trial, score: str, result: Result) -> Scored:
    found = {cell.digest: told for cell in trial.cells if (told := result(cell)) is not None}
    return Scored(trial, score, found)
