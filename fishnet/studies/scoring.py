"""From the results of trainings to what a trial is worth, and how sure that is."""

import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fishnet.measure.significance import Spread, spread

from .journal import GOOD
from .protocol import Stage
from .selection import Selection
from .trials import Cell, Trial

LISTED = ("_target_", "root", "manifest", "classes", "positive", "group", "duplicates", "max_refused")
DRAWN = ("species", "photos", "draw_size", "draw_seed", "plant")
OTHER_PHOTOS = "trainings were given different photos (the folder was changed meanwhile): compare with care."


@dataclass(frozen=True)
class Scored:
    """A trial with the results of its trainings so far."""

    trial: Trial
    score: str
    results: dict[str, dict[str, Any]] = field(default_factory=dict)  # by the digest of the training

    @property
    def ended(self) -> list[tuple[Cell, dict[str, Any]]]:
        """The trainings that have a result."""
        return [(cell, self.results[cell.digest]) for cell in self.trial.cells if cell.digest in self.results]

    def values(self, key: str | None = None) -> dict[tuple[int | None, int], float]:
        """A metric by fold and seed, of the trainings that have finished."""
        key = key or self.score
        good = [(cell, result["figures"]) for cell, result in self.ended if result["status"] == GOOD]
        return {(cell.fold, cell.seed): metrics[key] for cell, metrics in good if metrics.get(key) is not None}

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
        over_trainings = self.spread(key)
        if over_trainings.n != 1:
            return over_trainings.low, over_trainings.high
        return self.spread(f"{key}_low").mean, self.spread(f"{key}_high").mean

    @property
    def mean(self) -> float:
        return self.spread().mean

    @property
    def state(self) -> str:
        """finished | pruned | failed | open."""
        states = [result["status"] for _, result in self.ended]
        if "pruned" in states:
            return "pruned"
        if len(states) < len(self.trial.cells):
            return "open"
        return "finished" if all(state == GOOD for state in states) else "failed"

    @property
    def deaths(self) -> list[tuple[Cell, dict[str, Any]]]:
        """The trainings that have failed."""
        return [(cell, result) for cell, result in self.ended if result["status"] not in (GOOD, "pruned")]

    @property
    def cause(self) -> str:
        """Why the first training that did not end well has ended."""
        return next((result["cause"] for result in self.results.values() if result["cause"]), "")

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
        values = [result["figures"].get(self.score) for _, result in self.ended if result["status"] in (GOOD, "pruned")]
        values = [value for value in values if value is not None]
        return statistics.fmean(values) if values else None


@dataclass
class StageState:
    """What is known of a stage while it runs and after: for tables, pages, MLflow and whoever waits."""

    stage: Stage
    trials: list[Trial] = field(default_factory=list)
    scored: list[Scored] = field(default_factory=list)
    choice: Selection | None = None
    running: dict[str, float] = field(default_factory=dict)  # digest of a training → since when
    epochs: dict[str, int] = field(default_factory=dict)  # digest of a training that runs → epochs so far
    planned: int = 0  # trials, as far as it is known
    began: float | None = None
    ended: float | None = None


def scored(trial: Trial, stage: Stage, result_of: Callable[[Cell], dict[str, Any] | None]) -> Scored:
    """The trial with its results. A training that ended well and cannot be ranked has failed; others are not stopped
    by it."""
    results = {}
    for cell in trial.cells:
        result = result_of(cell)
        if result is not None:
            cause = stage.rule.failure(result, stage.score) if result["status"] == GOOD else ""
            results[cell.digest] = {**result, "status": "failed", "cause": cause} if cause else result
    return Scored(trial, stage.score, results)


def photos_differ(trials: Sequence[Scored]) -> bool:
    """Whether photos were added or removed meanwhile: trainings of the same configured photos were given others, and
    their metrics are not comparable. That trainings of other classes or another folder differ is expected."""
    given: dict[str, set[str]] = {}
    for entry in trials:
        data = entry.trial.config.get("data", {})
        configured = json.dumps({key: data.get(key) for key in (*LISTED, *DRAWN)}, sort_keys=True, default=str)
        digests = {result["photos"] for result in entry.results.values() if result.get("photos")}
        given.setdefault(configured, set()).update(digests)
    return any(len(digests) > 1 for digests in given.values())
