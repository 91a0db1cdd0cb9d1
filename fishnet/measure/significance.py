"""How sure a mean or a difference of two classifiers is, and which of many differences mean something.

What counts as independent decides everything. Seeds on one fold are repeats of one measurement: they are averaged.
Folds share most of their training photos, so that their scatter says too little: Nadeau and Bengio (Machine Learning
52, 2003) put 1/n + measured/trained in the place of 1/n. Where both answered the same photos, they are compared photo
by photo, which sees far more than a few means: then it is the groups of photos that are drawn again, and beside them
the trainings that scatter. And the best of many is the luckiest of many: `holm` counts each comparison as one of all
that might have been made.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import nctdtrinc, stdtr, stdtrit  # Student's t; scipy.stats takes two seconds to import

from .metrics import direction
from .pairs import BothAnswers, Cell, Pair, on_same_photos

# What trainings scatter where nothing else is known: as much as other photos would make it, were these 150 (0.035 at an
# accuracy of 0.75). It weighs as much as four more folds: of a few folds alone, three sets in ten show no scatter.
USUAL_SCATTER, USUAL_FREEDOM = 1 / 150, 4
ALARMS = 0.05  # false ones, over all comparisons


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


def fold_means(values: Mapping[Cell, float]) -> list[float]:
    """The mean over seeds inside each fold, from values by fold and seed."""
    folds: dict[int | None, list[float]] = {}
    for (fold, _), value in values.items():
        folds.setdefault(fold, []).append(value)
    return [statistics.fmean(seeds) for seeds in folds.values()]


def spread_over_folds(values: Mapping[Cell, float]) -> Spread:
    """Mean and interval over the folds, for seeds inside a fold are repeats of one measurement.

    With a single fold it is over the seeds. `n` counts trainings.
    """
    means = fold_means(values)
    return spread(means if len(means) > 1 else list(values.values()))._replace(n=len(values))


class Difference(NamedTuple):
    """First minus second, with its standard error, degrees of freedom (Student's t) and how it was measured.

    `exact` is the p-value of an exact test on the photos, where there is one, below which Student's does not count.
    `step` is what a group of photos changes that is answered differently, 0 where single photos are not known.
    """

    value: float
    error: float
    freedom: float
    how: str
    exact: float = 0.0
    step: float = 0.0

    @property
    def low(self) -> float:
        return self.value - float(stdtrit(self.freedom, 0.975)) * self.error

    @property
    def high(self) -> float:
        return self.value + float(stdtrit(self.freedom, 0.975)) * self.error

    @property
    def p(self) -> float:
        """The two-sided p-value, if this were the only difference looked at."""
        return max(self.exact, float(2 * stdtr(self.freedom, -abs(self.value) / self.error))) if self.value else 1.0

    def detectable(self, comparisons: int = 1, *, alarms: float = 0.05, power: float = 0.8) -> float:
        """The smallest true difference that is shown with this power, where it is one of so many comparisons.

        The error is taken as it is here; but two that differ by so much differ on as many groups as make that up, and
        those bring a variance of their own. NaN where the error is not known.
        """
        if self.error == 0:
            return math.nan
        bound = float(stdtrit(self.freedom, 1 - alarms / comparisons / 2))
        errors = float(nctdtrinc(self.freedom, 1 - power, bound))
        return max(errors * self.error, errors**2 * self.step)


def over_folds(values: Sequence[float], shared: float) -> Difference | None:
    """The mean of paired differences, one a fold; None where they are all alike, which is no certainty.

    `shared`: photos measured to photos trained on, in each fold.
    """
    n, mean, sd = len(values), statistics.fmean(values), statistics.stdev(values)
    if sd < 1e-9 and mean != 0:
        return None
    return Difference(mean, sd * math.sqrt(1 / n + shared), n - 1, f"paired over {n} folds")


def over_photos(pair: Pair, folds: np.ndarray | None = None, shared: float = 0.0) -> Difference:
    """The difference of two classifiers that were measured on the same photos.

    It is as uncertain as other photos, group by group, and other trainings would make it. With a single training of
    each, what other trainings would do is not known and not counted.

    `folds`: the fold of each photo (a photo may stand in several), where there are several; the photos of all of them
    count together. `shared` as in `over_folds`.
    """
    how, variance, freedom = f"photo by photo over {pair.groups} groups", 0.0, 1.0
    if folds is not None:
        variance, freedom = _scatter_of_folds(pair, folds, shared)
        how += f" in {len(np.unique(folds))} folds"
    elif pair.trainings > 1:
        variance = float(pair.values.var(axis=1, ddof=1).sum()) / pair.trainings
        freedom = 2 * (pair.trainings - 1)
    seeds = f"{pair.trainings} seeds each" if pair.trainings > 1 else "one seed each"
    photos = max(pair.error(), 1 / pair.groups)  # never surer than of one group
    error = math.hypot(photos, math.sqrt(variance))
    freedom = error**4 / (photos**4 / (pair.groups - 1) + variance**2 / freedom)  # Welch and Satterthwaite
    exact = pair.p_of_swaps() if pair.metric == "accuracy" else 0.0
    return Difference(pair.value, error, freedom, f"{how}, {seeds}", exact, pair.step)


def _scatter_of_folds(pair: Pair, folds: np.ndarray, shared: float) -> tuple[float, int]:
    """The variance that trainings give the difference, and its degrees of freedom.

    Trainings scatter by what the folds' differences scatter beyond what their photos explain; few folds say little
    about that, so what is usual weighs in.
    """
    parts = [pair.of_rows(np.flatnonzero(folds == fold)) for fold in np.unique(folds)]
    photos = statistics.fmean(part.error() ** 2 for part in parts)
    beyond = max(0.0, statistics.variance([part.value for part in parts]) - photos)
    mean, freedom = float(pair.values.mean()), len(parts) - 1
    usual = 2 * USUAL_SCATTER * max(0.0, mean * (1 - mean))  # of two
    scatter = (freedom * beyond + USUAL_FREEDOM * usual) / (freedom + USUAL_FREEDOM)
    return scatter * (1 / len(parts) + shared), freedom + USUAL_FREEDOM


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


class Verdict(NamedTuple):
    """How one classifier compares with the best: `p` is corrected by Holm's method, and `detectable` is the smallest
    true difference that would have been called behind with a probability of 80 %."""

    word: Literal["behind", "alike", "unknown"]
    difference: Difference | None = None
    p: float = math.nan
    detectable: float = math.nan


def verdicts(differences: Mapping[str, Difference | None]) -> dict[str, Verdict]:
    """Each of several compared with the best of them, which was picked by looking: all pairs count.

    `differences`: by how much the best is better than each of the others; None where that is not known.
    """
    words = dict.fromkeys(differences, Verdict("unknown"))
    known = {name: difference for name, difference in differences.items() if difference is not None}
    pairs = math.comb(len(differences) + 1, 2)
    for name, p in holm({name: known[name].p for name in known}, comparisons=pairs).items():
        behind = known[name].value > 0 and p < ALARMS
        detectable = known[name].detectable(pairs, alarms=ALARMS)
        words[name] = Verdict("behind" if behind else "alike", known[name], p, detectable)
    return words


def paired(
    first: Mapping[Cell, float],
    second: Mapping[Cell, float],
    metric: str,
    both: BothAnswers,
    *,
    folds: int = 0,
    val: float = 0.0,
) -> Difference | None:
    """By how much the first is better, over the trainings that both have; None if that is not known.

    Photo by photo where both have answered the same ones in all of them, else over the means of the folds.

    Args:
        first: the metric in each fold and seed.
        second: that of the other.
        metric: its name, as in METRICS.
        both: see `on_same_photos`.
        folds: how many the photos were dealt into; as many as there are values of, where that is not known.
        val: the share of the training photos that were validated on, where validation is compared.
    """
    cells = sorted(set(first) & set(second), key=str)
    differences = fold_means({cell: first[cell] - second[cell] for cell in cells})
    count = folds or len(differences)
    shared = max(1 / (count - 1), val / (1 - val)) if count > 1 else 0.0
    if (same := on_same_photos(cells, metric, both)) is not None:
        difference: Difference | None = over_photos(same.pair, same.folds, shared)
    else:
        difference = over_folds(differences, shared) if len(differences) > 1 else None
    lower_is_better = difference is not None and direction(metric) == "min"
    return difference._replace(value=-difference.value) if difference and lower_is_better else difference
