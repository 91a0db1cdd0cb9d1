"""From the results of trainings to what a trial is worth, how sure that is, and which trials are behind the best.

The best was picked by looking: each comparison with it counts as one of all pairs of trials (Holm).
"""

import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from fishnet.cells import restored_table
from fishnet.measure.significance import Difference, Spread, Verdict, paired, spread_over_folds, verdicts

from .journal import GOOD, Journal
from .protocol import Stage
from .selection import Selection
from .trials import Cell, Trial

LISTED = ("_target_", "root", "manifest", "classes", "positive", "group", "duplicates", "max_refused")
DRAWN = ("species", "photos", "draw_size", "draw_seed", "plant", "layout")
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
        """Mean and interval over the folds, for seeds inside a fold are repeats of one measurement.

        With a single fold it is over the seeds. `n` counts trainings.
        """
        return spread_over_folds(self.values(key))

    def interval(self, key: str) -> tuple[float, float]:
        """The interval over the trainings; of a single one, over its photos drawn again by group."""
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
        """How many of the parameters are not frozen."""
        return next((r["trained"] for r in self.results.values() if r.get("trained")), None)

    @property
    def epochs_to_best(self) -> float:
        """The mean over trainings; NaN where none has ended an epoch."""
        epochs = [r["best_epoch"] + 1 for r in self.results.values() if r.get("best_epoch") is not None]
        return statistics.fmean(epochs) if epochs else math.nan

    def best_so_far(self) -> float | None:
        """The value that a search learns from: the mean score, or what a pruned trial had reached."""
        results = [result["figures"] for _, result in self.ended if result["status"] in (GOOD, "pruned")]
        values = [metrics[self.score] for metrics in results if metrics.get(self.score) is not None]
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
        if (result := result_of(cell)) is not None:
            cause = stage.rule.failure(result, stage.ranked_by) if result["status"] == GOOD else ""
            results[cell.digest] = {**result, "status": "failed", "cause": cause} if cause else result
    return Scored(trial, stage.score, results)


def photos_differ(trials: Sequence[Scored]) -> bool:
    """Whether photos were added to or removed from a folder while the study ran, so that metrics are not comparable.

    Trainings with the same data settings were then given different photos. That other classes or another folder have
    other photos is expected.
    """
    given: dict[str, set[str]] = {}
    for entry in trials:
        data = entry.trial.config.get("data", {})
        configured = json.dumps({key: data.get(key) for key in (*LISTED, *DRAWN)}, sort_keys=True, default=str)
        digests = {result["photos"] for result in entry.results.values() if result.get("photos")}
        given.setdefault(configured, set()).update(digests)
    return any(len(digests) > 1 for digests in given.values())


def judged(best: Scored, others: Sequence[Scored], journal: Journal, key: str) -> dict[str, Verdict]:
    """Compare each of the others with the best; by digest: behind it, not distinguishable from it, or unknown."""
    return verdicts({entry.trial.digest: against(best, entry, journal, key) for entry in others})


def against(best: Scored, other: Scored, journal: Journal, key: str) -> Difference | None:
    """By how much the best is better, over the trainings that both have; None if that is not known.

    Photo by photo where both have answered the same ones in all of them, else over the means of the folds.
    """
    part, _, metric = key.partition("/")
    name = "predictions.csv" if part == "test" else "validation.csv"

    def both(cell: tuple[int | None, int]) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
        return answers(best, journal, cell, name), answers(other, journal, cell, name)

    val = best.trial.value("data.val") or 0.0 if part == "val" else 0.0
    folds = best.trial.value("data.folds") or 0
    return paired(best.values(key), other.values(key), metric, both, folds=folds, val=val)


def answers(entry: Scored, journal: Journal, cell: tuple[int | None, int], name: str) -> pd.DataFrame | None:
    """The predictions that the training of this fold and seed has left; None where they cannot be read."""
    for training in entry.trial.cells:
        path = journal.run_of(training) / "report" / name
        if (training.fold, training.seed) == cell and path.is_file():
            try:
                table = pd.read_csv(path, dtype={"path": str, "class": str, "predicted": str}, keep_default_na=False)
            except (OSError, ValueError):
                return None
            table = restored_table(table)
            return table if {"path", "class", "predicted", "group"} <= set(table) else None
    return None


def same_photos(trials: Sequence[Scored], journal: Journal, name: str) -> bool | None:
    """Whether all of them were measured on the same photos in each fold; None where somebody's are not known."""
    photos: dict[int | None, set[frozenset[str]]] = {}
    for entry in trials:
        for cell in entry.trial.cells:
            table = answers(entry, journal, (cell.fold, cell.seed), name)
            if table is None:
                return None
            photos.setdefault(cell.fold, set()).add(frozenset(table["path"]))
    return all(len(sets) == 1 for sets in photos.values())
