"""From the results of trainings to what a trial is worth, how sure that is, and which trials are behind the best.

The best was picked by looking: each comparison with it counts as one of all pairs of trials (Holm).
"""

import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from fishnet.measure.metrics import METRICS, direction
from fishnet.measure.pairs import Pair
from fishnet.measure.significance import Difference, Spread, holm, over_folds, over_photos, spread

from .journal import GOOD, Journal
from .protocol import Stage
from .selection import Selection
from .trials import Cell, Trial

LISTED = ("_target_", "root", "manifest", "classes", "positive", "group", "duplicates", "max_refused")
DRAWN = ("species", "photos", "draw_size", "draw_seed", "plant", "layout")
BY_PHOTO = {metric.name for metric in METRICS if metric.of_counts is not None}  # known from predictions alone
ALARMS = 0.05  # false ones, over all comparisons of a stage
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
        values = self.values(key)
        means = fold_means(values)
        return spread(means if len(means) > 1 else list(values.values()))._replace(n=len(values))

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


def fold_means(values: dict[tuple[int | None, int], float]) -> list[float]:
    """The mean over seeds inside each fold, from values by fold and seed."""
    folds: dict[int | None, list[float]] = {}
    for (fold, _), value in values.items():
        folds.setdefault(fold, []).append(value)
    return [statistics.fmean(seeds) for seeds in folds.values()]


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


class Verdict(NamedTuple):
    """How one trial compares with the best: `p` is corrected by Holm's method, and `detectable` is the smallest true
    difference that would have been called behind with a probability of 80 %."""

    word: Literal["behind", "alike", "unknown"]
    difference: Difference | None = None
    p: float = math.nan
    detectable: float = math.nan


def judged(best: Scored, others: Sequence[Scored], journal: Journal, key: str) -> dict[str, Verdict]:
    """Compare each of the others with the best; by digest: behind it, not distinguishable from it, or unknown."""
    verdicts = {entry.trial.digest: Verdict("unknown") for entry in others}
    compared = {entry.trial.digest: against(best, entry, journal, key) for entry in others}
    known = {digest: difference for digest, difference in compared.items() if difference is not None}
    pairs = math.comb(len(others) + 1, 2)
    for digest, p in holm({digest: known[digest].p for digest in known}, comparisons=pairs).items():
        behind = known[digest].value > 0 and p < ALARMS
        detectable = known[digest].detectable(pairs, alarms=ALARMS)
        verdicts[digest] = Verdict("behind" if behind else "alike", known[digest], p, detectable)
    return verdicts


def against(best: Scored, other: Scored, journal: Journal, key: str) -> Difference | None:
    """By how much the best is better, over the trainings that both have; None if that is not known.

    Photo by photo where both have answered the same ones in all of them, else over the means of the folds.
    """
    first, second = best.values(key), other.values(key)
    cells = sorted(set(first) & set(second), key=str)
    differences = fold_means({cell: first[cell] - second[cell] for cell in cells})
    count, val = best.trial.value("data.folds") or len(differences), best.trial.value("data.val") or 0.0
    shared = max(1 / (count - 1), val / (1 - val) if key.startswith("val/") else 0.0) if count > 1 else 0.0
    if (both := on_same_photos(best, other, journal, key, cells)) is not None:
        difference: Difference | None = over_photos(both.pair, both.folds, shared)
    else:
        difference = over_folds(differences, shared) if len(differences) > 1 else None
    lower_is_better = difference is not None and direction(key) == "min"
    return difference._replace(value=-difference.value) if difference and lower_is_better else difference


class SamePhotos(NamedTuple):
    """What two trials have answered to the same photos, and the fold of each photo if there are several."""

    pair: Pair
    folds: np.ndarray | None


def on_same_photos(
    best: Scored, other: Scored, journal: Journal, key: str, cells: Sequence[tuple[int | None, int]]
) -> SamePhotos | None:
    """The answers of both trials in these folds and seeds.

    None where they cannot be compared photo by photo: the metric needs more than answers, some cannot be read, the
    folds have not all the same seeds, or the photos of a fold differ.
    """
    part, _, metric = key.partition("/")
    folds, seeds = sorted({fold for fold, _ in cells}, key=str), sorted({seed for _, seed in cells})
    if metric not in BY_PHOTO or not cells or len(cells) != len(folds) * len(seeds):
        return None
    name = "predictions.csv" if part == "test" else "validation.csv"
    joined = list[pd.DataFrame]()
    for fold in folds:
        tables = [answers(entry, journal, (fold, seed), name) for entry in (best, other) for seed in seeds]
        if (table := _side_by_side(tables, all_of_them=len(folds) > 1)) is None:
            return None
        joined.append(table.assign(fold=len(joined)))
    both = pd.concat(joined, ignore_index=True)
    if both["group"].nunique() < 2:
        return None
    names, numbers = np.unique(both.drop(columns=["path", "group", "fold"]).to_numpy(dtype=str).T, return_inverse=True)
    label, *predictions = numbers.reshape(-1, len(both))
    of_best, of_other = np.split(np.array(predictions), 2)
    groups = both["group"].to_numpy()
    pair = Pair(label=label, first=of_best, second=of_other, group=groups, classes=len(names), metric=metric)
    return SamePhotos(pair, both["fold"].to_numpy() if len(folds) > 1 else None)


def _side_by_side(tables: Sequence[pd.DataFrame | None], *, all_of_them: bool) -> pd.DataFrame | None:
    """A row a photo that all tables have, a column of predictions a table.

    None where a table is missing or, where photos must be `all_of_them`, has photos that others have not.
    """
    predicted = [table.set_index(["path", "class", "group"])["predicted"] for table in tables if table is not None]
    if len(predicted) < len(tables):
        return None
    both = pd.concat(predicted, axis=1, join="inner", keys=range(len(predicted))).reset_index()
    return None if all_of_them and len(both) < max(map(len, predicted)) else both


def answers(entry: Scored, journal: Journal, cell: tuple[int | None, int], name: str) -> pd.DataFrame | None:
    """The predictions that the training of this fold and seed has left; None where they cannot be read."""
    for training in entry.trial.cells:
        path = journal.run_of(training) / "report" / name
        if (training.fold, training.seed) == cell and path.is_file():
            try:
                table = pd.read_csv(path, dtype={"path": str, "class": str, "predicted": str}, keep_default_na=False)
            except (OSError, ValueError):
                return None
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
