"""Two classifiers on the same photos: by how much one is better, how far other photos would move that, and how often
a difference as large appears between two that are alike.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import gammaln

from .counts import counts_of_groups, drawn_weights, error_of_draws, metrics_of_counts
from .metrics import METRICS

BY_PHOTO = {metric.name for metric in METRICS if metric.of_counts is not None}  # known from predictions alone


@dataclass(frozen=True, eq=False, kw_only=True)
class Pair:
    """The answers of two classifiers to the same photos. The metric of a classifier is the mean over its trainings.

    Args:
        label: the class number of each photo.
        first: class numbers that the first one predicted, a row a training.
        second: those of the second one, in as many trainings.
        group: of each photo.
        classes: how many there are.
        metric: a name of METRICS.
    """

    label: np.ndarray
    first: np.ndarray
    second: np.ndarray
    group: np.ndarray
    classes: int
    metric: str

    @cached_property
    def groups(self) -> int:
        return len(np.unique(self.group))

    @property
    def trainings(self) -> int:
        """Of each of the two."""
        return len(self.first)

    @cached_property
    def values(self) -> np.ndarray:
        """The metric of both (rows) in each training."""
        everything = np.ones((1, self.groups))
        return np.array([[float(self._metric(everything @ counts)[0]) for counts in each] for each in self._counts])

    @property
    def value(self) -> float:
        """By how much the metric of the first one is higher."""
        first, second = self.values.mean(axis=1)
        return float(first - second)

    def error(self, resamples: int = 1000, seed: int = 0) -> float:
        """The standard error of the value, had other photos been measured; 0 where a single group leaves it unknown.

        The same groups are drawn for both: what is hard for one is mostly hard for the other, and that cancels.
        """
        if self.groups < 2:
            return 0.0
        drawn = []
        for weights in drawn_weights(self.groups, resamples, 3 * self.classes, seed):
            means = (np.mean([self._metric(weights @ counts) for counts in each], axis=0) for each in self._counts)
            drawn.append(np.subtract(*means))
        return error_of_draws(np.concatenate(drawn), self.groups)

    def of_rows(self, rows: np.ndarray) -> "Pair":
        """The same two on some of the photos."""
        first, second = self.first[:, rows], self.second[:, rows]
        return replace(self, label=self.label[rows], first=first, second=second, group=self.group[rows])

    @cached_property
    def gains(self) -> np.ndarray:
        """Of each group, how many more answers of the first one were right than of the second, over all trainings."""
        right = (self.first == self.label).sum(axis=0) - (self.second == self.label).sum(axis=0)
        return np.bincount(np.unique(self.group, return_inverse=True)[1], right).astype(int)

    @property
    def step(self) -> float:
        """How much of an accuracy the groups change that the two answer differently, in the mean weighted by size.

        The two might have differed on one more group of the usual size, which matters where they hardly differ.
        """
        answers, gains = self.first.size, abs(self.gains)
        usual = answers / self.groups
        return float((gains @ gains + usual**2) / (gains.sum() + usual) / answers)

    def p_of_swaps(self) -> float:
        """The two-sided p-value of the difference in accuracy, exact, for any number of groups.

        Of two that are alike, each group could as well have had its answers the other way round; for single photos
        this is McNemar's test. Of what is exactly as large half is counted (mid-p), for the plain p-value is too
        strict where few answers differ (Fagerland, Lydersen and Laake, BMC Medical Research Methodology 13, 2013).
        """
        if not self.gains.sum():
            return 1.0
        probability = np.ones(1)  # of each sum that signs by lot give the gains
        for size, count in zip(*np.unique(abs(self.gains[self.gains != 0]), return_counts=True), strict=True):
            probability = np.convolve(probability, _signed_sums(int(size), int(count)))
        sums, seen = abs(np.arange(len(probability)) - len(probability) // 2), abs(self.gains.sum())
        return min(1.0, float(probability[sums > seen].sum() + probability[sums == seen].sum() / 2))

    @cached_property
    def _counts(self) -> list[list]:
        """Of both, for each training, the class counts of each group."""
        return [
            [counts_of_groups(self.label, predicted, self.group, self.classes) for predicted in answers]
            for answers in (self.first, self.second)
        ]

    def _metric(self, counts: np.ndarray) -> np.ndarray:
        return metrics_of_counts(counts, self.classes)[self.metric]


def _signed_sums(size: int, count: int) -> np.ndarray:
    """The probability of each sum of so many numbers of this size with signs by lot, from the lowest to the highest."""
    plus = np.arange(count + 1)
    ways = gammaln(count + 1) - gammaln(plus + 1) - gammaln(count - plus + 1)
    probability = np.zeros(2 * size * count + 1)
    probability[:: 2 * size] = np.exp(ways - count * math.log(2))
    return probability


class SamePhotos(NamedTuple):
    """What two classifiers have answered to the same photos, and the fold of each photo if there are several."""

    pair: Pair
    folds: np.ndarray | None


Cell = tuple[int | None, int]  # fold and seed of a training
BothAnswers = Callable[[Cell], tuple[pd.DataFrame | None, pd.DataFrame | None]]


def on_same_photos(cells: Sequence[Cell], metric: str, both: BothAnswers) -> SamePhotos | None:
    """The answers of two classifiers in these folds and seeds.

    None where they cannot be compared photo by photo: the metric needs more than answers, some cannot be read, the
    folds have not all the same seeds, or the photos of a fold differ.

    Args:
        cells: in which both were trained.
        metric: a name of METRICS.
        both: the answers of the first and of the second in a cell: path, class, group and predicted of each photo.
    """
    folds, seeds = sorted({fold for fold, _ in cells}, key=str), sorted({seed for _, seed in cells})
    if metric not in BY_PHOTO or not cells or len(cells) != len(folds) * len(seeds):
        return None
    joined = list[pd.DataFrame]()
    for fold in folds:
        first, second = zip(*(both((fold, seed)) for seed in seeds), strict=True)
        if (table := _side_by_side([*first, *second], all_of_them=len(folds) > 1)) is None:
            return None
        joined.append(table.assign(fold=len(joined)))
    answers = pd.concat(joined, ignore_index=True)
    if answers["group"].nunique() < 2:
        return None
    classes = answers.drop(columns=["path", "group", "fold"]).to_numpy(dtype=str).T
    names, numbers = np.unique(classes, return_inverse=True)
    label, *predictions = numbers.reshape(-1, len(answers))
    of_first, of_second = np.split(np.array(predictions), 2)
    groups = answers["group"].to_numpy()
    pair = Pair(label=label, first=of_first, second=of_second, group=groups, classes=len(names), metric=metric)
    return SamePhotos(pair, answers["fold"].to_numpy() if len(folds) > 1 else None)


def _side_by_side(tables: Sequence[pd.DataFrame | None], *, all_of_them: bool) -> pd.DataFrame | None:
    """A row a photo that all tables have, a column of predictions a table.

    None where a table is missing or, where photos must be `all_of_them`, has photos that others have not.
    """
    predicted = [table.set_index(["path", "class", "group"])["predicted"] for table in tables if table is not None]
    if len(predicted) < len(tables):
        return None
    both = pd.concat(predicted, axis=1, join="inner", keys=range(len(predicted))).reset_index()
    return None if all_of_them and len(both) < max(map(len, predicted)) else both
