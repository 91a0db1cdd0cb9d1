"""From the results of trainings to what a trial is worth, and how sure that is."""

import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from scipy import stats

from .journal import GOOD
from .protocol import Stage
from .trials import Cell, Trial

LISTED = ("_target_", "root", "manifest", "classes", "positive", "group", "duplicates", "max_refused")
DRAWN = ("species", "photos", "draw_size", "draw_seed", "plant")
OTHER_PHOTOS = "trainings were given different photos (the folder was changed meanwhile): compare with care."

Result = Callable[[Cell], dict[str, Any] | None]


class Spread(NamedTuple):
    """Mean with its 95 % interval (Student's t over the values); none from a single one, nor from values all alike."""

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
    if sd < 1e-9:
        return Spread(mean, sd, math.nan, math.nan, n)
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
        """Over the folds, for seeds inside one are repeats of one measurement; of a single fold, over its seeds.
        `n` counts trainings."""
        values = self.values(key)
        by_fold: dict[int | None, list[float]] = {}
        for (fold, _), value in values.items():
            by_fold.setdefault(fold, []).append(value)
        means = [statistics.fmean(seeds) for seeds in by_fold.values()]
        return spread(means if len(means) > 1 else list(values.values()))._replace(n=len(values))

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
        told = [self.results[cell.digest] for cell in self.trial.cells if cell.digest in self.results]
        values = [one["figures"].get(self.score) for one in told if one["status"] in (GOOD, "pruned")]
        values = [value for value in values if value is not None]
        return statistics.fmean(values) if values else None


def photos_differ(trials: Sequence[Scored]) -> bool:
    """Whether somebody has added or removed photos meanwhile: trainings that asked for the same photos were given
    others, and their figures are not comparable. Those that asked for other classes or another folder are no news."""
    given: dict[str, set[str]] = {}
    for one in trials:
        data = one.trial.config.get("data", {})
        asked = json.dumps({key: data.get(key) for key in (*LISTED, *DRAWN)}, sort_keys=True, default=str)
        given.setdefault(asked, set()).update(told["photos"] for told in one.results.values() if told.get("photos"))
    return any(len(digests) > 1 for digests in given.values())


def scored(trial: Trial, stage: Stage, result: Result) -> Scored:
    found = {cell.digest: _judged(told, stage) for cell in trial.cells if (told := result(cell)) is not None}
    return Scored(trial, stage.score, found)


def _judged(told: dict[str, Any], stage: Stage) -> dict[str, Any]:
    """A training that ended well and does not say what it was asked has failed; the others are not stopped by it."""
    if told["status"] != GOOD:
        return told
    if stage.keep == "lr":
        cause = "" if told.get("lr") else "its range test found no learning rate"
    else:
        cause = "" if stage.score in told["figures"] else f"its {stage.score} is no number"
    return {**told, "status": "failed", "cause": cause} if cause else told
