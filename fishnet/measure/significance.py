"""How sure a mean or a difference of two classifiers is, and which of many differences mean something.

What counts as independent decides everything. Seeds on one fold are repeats of one measurement: they are averaged.
Folds share most of their training photos, so that their scatter says too little: Nadeau and Bengio (Machine Learning
52, 2003) put 1/n + measured/trained in the place of 1/n. On one split it is the groups of photos that are drawn again,
and beside them the seeds that scatter. And the best of many is the luckiest of many: `holm` counts each comparison as
one of all that might have been made.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit  # Student's t; scipy.stats takes two seconds to import

from .bootstrap import difference


class Spread(NamedTuple):
    """Mean with its 95 % interval (Student's t over the values); none from a single one, nor from values all alike."""

    mean: float
    sd: float
    low: float
    high: float
    n: int


def spread(values: Sequence[float]) -> Spread:
    """Mean, standard deviation and interval of values that are independent; NaN where there is none."""
    n = len(values)
    if n < 2:
        return Spread(values[0] if n else math.nan, math.nan, math.nan, math.nan, n)
    mean, sd = statistics.fmean(values), statistics.stdev(values)
    half = float(stdtrit(n - 1, 0.975)) * sd / math.sqrt(n) if sd >= 1e-9 else math.nan
    return Spread(mean, sd, mean - half, mean + half, n)


class Difference(NamedTuple):
    """First minus second, with its standard error, degrees of freedom (Student's t) and how it was measured."""

    value: float
    error: float
    freedom: float
    how: str

    @property
    def low(self) -> float:
        return self.value - float(stdtrit(self.freedom, 0.975)) * self.error

    @property
    def high(self) -> float:
        return self.value + float(stdtrit(self.freedom, 0.975)) * self.error

    @property
    def p(self) -> float:
        """The two-sided p-value, if this were the only difference looked at."""
        return float(2 * stdtr(self.freedom, -abs(self.value) / self.error)) if self.value else 1.0


def over_folds(values: Sequence[float], shared: float) -> Difference | None:
    """The mean of paired differences, one a fold; None where they are all alike, which is no certainty.

    `shared`: photos measured to photos trained on, in each fold.
    """
    n, mean, sd = len(values), statistics.fmean(values), statistics.stdev(values)
    if sd < 1e-9 and mean != 0:
        return None
    return Difference(mean, sd * math.sqrt(1 / n + shared), n - 1, f"paired over {n} folds")


def over_photos(
    label: np.ndarray, first: np.ndarray, second: np.ndarray, groups: np.ndarray, classes: int, metric: str
) -> Difference:
    """The difference of two classifiers on the photos of one split.

    It is as uncertain as other photos and other seeds would make it. `first` and `second` are predictions, a row a
    seed; with one seed each, what seeds do is not known and not counted.
    """
    value, drawn = difference(label, first, second, groups, classes, metric=metric)
    count, seeds = len(np.unique(groups)), len(first)
    photos = max(float(drawn.std()) * math.sqrt(count / (count - 1)), 1 / count)  # never surer than of one group
    if seeds == 1:
        return Difference(value, photos, count - 1, f"paired over {count} groups of photos")
    scatter = 0.0  # variance of the mean over seeds, of both
    for predictions in (first, second):
        values = [
            difference(label, seed, label, groups, classes, metric=metric, resamples=1)[0] for seed in predictions
        ]
        scatter += statistics.variance(values)
    scatter /= seeds
    error = math.hypot(photos, math.sqrt(scatter))
    freedom = error**4 / (photos**4 / (count - 1) + scatter**2 / (2 * (seeds - 1)))  # Welch and Satterthwaite
    return Difference(value, error, freedom, f"paired over {count} groups of photos, with {seeds} seeds each")


def holm(p_values: Mapping[str, float], *, comparisons: int | None = None) -> dict[str, float]:
    """Holm's corrected p-values, smallest first.

    `comparisons`: how many there might have been, where more than the given ones (all pairs of arms, of which only
    those with the best are looked at).
    """
    count, least = comparisons or len(p_values), 0.0
    corrected = {}
    for rank, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        least = max(least, min(1.0, (count - rank) * p_values[name]))
        corrected[name] = least
    return corrected
