"""Which differences mean something: each trial against its stage's best, on the same folds or the same photos.

What counts as independent decides everything. Seeds on one fold are repeats of one measurement: they are averaged.
Folds share most of their training photos, so that their scatter says too little: Nadeau and Bengio (Machine Learning
52, 2003) put 1/n + measured/trained in the place of 1/n. On one split it is the groups of photos that are drawn again,
and beside them the seeds that scatter. And the best of many is the luckiest of many: each comparison with it counts as
one of all pairs (Holm), for any pair might have been the one to look at.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from fishnet.measure.bootstrap import difference

from .journal import Journal
from .scoring import Scored

BY_PHOTO = ("accuracy", "f1_macro", "f1_weighted", "precision_macro", "recall_macro")
ALARMS = 0.05  # false ones, over all comparisons of a stage
Cells = Sequence[tuple[int | None, int]]


class Difference(NamedTuple):
    """Best minus other, with what it may be wrong by (Student's t)."""

    value: float
    error: float
    freedom: float
    how: str

    @property
    def half(self) -> float:
        return float(stats.t.ppf(0.975, self.freedom)) * self.error

    @property
    def low(self) -> float:
        return self.value - self.half

    @property
    def high(self) -> float:
        return self.value + self.half

    @property
    def p(self) -> float:
        """How often chance alone makes so large a difference, were this the only one looked at."""
        return float(2 * stats.t.sf(abs(self.value) / self.error, self.freedom)) if self.value else 1.0


class Verdict(NamedTuple):
    """Of one trial beside the best; `p` is Holm's."""

    word: Literal["behind", "alike", "unknown"]
    difference: Difference | None = None
    p: float = math.nan


def judged(best: Scored, others: Sequence[Scored], journal: Journal, key: str) -> dict[str, Verdict]:
    """Of each of the others, by its digest: behind the best, not to be told from it, or nothing known."""
    found = {one.trial.digest: against(best, one, journal, key) for one in others}
    known = {digest: one for digest, one in found.items() if one is not None}
    holm = adjusted({digest: one.p for digest, one in known.items()}, arms=len(others) + 1)
    verdicts = {digest: Verdict("unknown") for digest in found}
    for digest, one in known.items():
        behind = one.value > 0 and holm[digest] < ALARMS
        verdicts[digest] = Verdict("behind" if behind else "alike", one, holm[digest])
    return verdicts


def adjusted(chances: Mapping[str, float], *, arms: int) -> dict[str, float]:
    """Holm's p-values among all pairs of the arms, of those pairs that the best is part of."""
    pairs, least = arms * (arms - 1) // 2, 0.0
    found = {}
    for place, name in enumerate(sorted(chances, key=chances.__getitem__)):
        least = max(least, min(1.0, (pairs - place) * chances[name]))
        found[name] = least
    return found


def against(best: Scored, other: Scored, journal: Journal, key: str) -> Difference | None:
    """Over the folds that both have or, where it is one, over its photos; None where neither can be said."""
    first, second = best.values(key), other.values(key)
    cells = sorted(set(first) & set(second), key=str)
    folds: dict[int | None, list[float]] = {}
    for cell in cells:
        folds.setdefault(cell[0], []).append(first[cell] - second[cell])
    if len(folds) > 1:
        of, val = best.trial.value("data.folds") or len(folds), best.trial.value("data.val") or 0.0
        shared = max(1 / (of - 1), val / (1 - val) if key.startswith("val/") else 0.0)
        return over_folds([statistics.fmean(seeds) for seeds in folds.values()], shared)
    return _by_photo(best, other, journal, key, cells) if cells else None


def over_folds(values: Sequence[float], shared: float) -> Difference | None:
    """`shared`: photos measured to photos trained on, in each fold; a few equal differences are no certainty."""
    n, mean, sd = len(values), statistics.fmean(values), statistics.stdev(values)
    if sd < 1e-9 and mean != 0:
        return None
    error = sd * math.sqrt(1 / n + shared)
    return Difference(mean, error, n - 1, f"paired over {n} folds")


def _by_photo(best: Scored, other: Scored, journal: Journal, key: str, cells: Cells) -> Difference | None:
    part, _, figure = key.partition("/")
    name = "predictions.csv" if part == "test" else "validation.csv"
    tables = [[answers(one, journal, cell, name) for cell in cells] for one in (best, other)]
    if figure not in BY_PHOTO or any(table is None for tables_of in tables for table in tables_of):
        return None
    photos = ["path", "class", "group"]
    said = [table.set_index(photos)["predicted"] for tables_of in tables for table in tables_of]  # type: ignore[union-attr]
    both = pd.concat(said, axis=1, join="inner", keys=range(len(said))).reset_index()
    if both["group"].nunique() < 2:
        return None
    names = np.unique(both.drop(columns=["path", "group"]).to_numpy(dtype=str))
    label = np.searchsorted(names, both["class"].to_numpy(dtype=str))
    first, second = np.split(np.searchsorted(names, both[range(len(said))].to_numpy(dtype=str).T), 2)
    return over_photos(label, first, second, both["group"].to_numpy(), len(names), figure)


def over_photos(
    label: np.ndarray, first: np.ndarray, second: np.ndarray, groups: np.ndarray, classes: int, figure: str
) -> Difference:
    """Of one split: what other photos would change, and what other seeds (a row each) would; with one seed each, what
    seeds do is not known and not counted."""
    value, drawn = difference(label, first, second, groups, classes, figure=figure)
    count, seeds = len(np.unique(groups)), len(first)
    photos = max(float(drawn.std()) * math.sqrt(count / (count - 1)), 1 / count)  # never surer than of one group
    if seeds == 1:
        return Difference(value, photos, count - 1, f"paired over {count} groups of photos")
    scatter = sum(_variance(label, answers, groups, classes, figure) for answers in (first, second)) / seeds
    error = math.hypot(photos, math.sqrt(scatter))
    freedom = error**4 / (photos**4 / (count - 1) + scatter**2 / (2 * (seeds - 1)))  # Welch and Satterthwaite
    return Difference(value, error, freedom, f"paired over {count} groups of photos, with {seeds} seeds each")


def _variance(label: np.ndarray, answers: np.ndarray, groups: np.ndarray, classes: int, figure: str) -> float:
    """Of the figure over seeds."""
    figures = [difference(label, one, label, groups, classes, figure=figure, resamples=1)[0] for one in answers]
    return statistics.variance(figures)


def answers(one: Scored, journal: Journal, cell: tuple[int | None, int], name: str) -> pd.DataFrame | None:
    for training in one.trial.cells:
        path: Path = journal.run_of(training) / "report" / name
        if (training.fold, training.seed) == cell and path.is_file():
            try:
                table = pd.read_csv(path, dtype={"path": str, "class": str, "predicted": str}, keep_default_na=False)
            except (OSError, ValueError):
                return None
            return table if {"path", "class", "predicted", "group"} <= set(table) else None
    return None


def same_photos(trials: Sequence[Scored], journal: Journal, name: str) -> bool | None:
    """Whether all of them were asked about the same photos in each fold; None where somebody's are not known."""
    asked: dict[int | None, set[frozenset[str]]] = {}
    for one in trials:
        for cell in one.trial.cells:
            table = answers(one, journal, (cell.fold, cell.seed), name)
            if table is None:
                return None
            asked.setdefault(cell.fold, set()).add(frozenset(table["path"]))
    return all(len(sets) == 1 for sets in asked.values())
