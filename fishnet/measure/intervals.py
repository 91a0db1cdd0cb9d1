"""How sure the metrics are: 95 % intervals that know groups and end within what a metric can be.

Photos of one group (the same fish, the same observation) are near copies: counted one by one they would pretend that
there are more independent photos than there are. So each metric is taken for a share of as many independent photos as
give it the variance that it has, its effective sample size, and gets the interval of such a share (Korn and Graubard,
Survey Methodology 24, 1998): that of Clopper and Pearson, with mid-p tails, for the plain ones hold the truth more
often than 95 % says. The mean loss is no share: Student's interval of its logarithm, from groups drawn again.
experiments/honest/coverage.py measures how often the truth is inside.
"""

from typing import NamedTuple, TypeVar

import numpy as np
from scipy import sparse
from scipy.special import betainc, betaincinv, stdtrit

from .calibration import log_loss
from .counts import counts_of_groups, drawn_weights, error_of_draws, metrics_of_counts
from .metrics import METRICS
from .predictions import Predictions

METHOD = (
    "95 %: for shares Clopper and Pearson's with mid-p tails, at the effective sample size over groups; "
    "for losses Student's t of the logarithm, {draws} draws of groups"
)
TAIL = 0.025  # outside either end
STEP = 1e-4  # of a photo: for slopes
Numbers = TypeVar("Numbers", float, np.ndarray)
SHARES = {metric.name for metric in METRICS if metric.of_counts and metric.is_share}


class Interval(NamedTuple):
    value: float
    low: float
    high: float


def intervals(
    predictions: Predictions,
    groups: np.ndarray,
    classes: int,
    *,
    resamples: int = 1000,
    seed: int = 0,
    temperature: float = 1.0,
) -> dict[str, Interval]:
    """The metrics of METRICS that follow from class counts, and the mean losses, each with its interval.

    The ends are NaN where there is a single group, and without `resamples` (draws of groups, for the losses).
    """
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    photos, label = np.bincount(group), predictions.label
    counts = counts_of_groups(label, predictions.predicted, group, classes)
    losses = {
        name: log_loss(predictions.logits, label, scale)
        for name, scale in (("loss", 1.0), ("loss_scaled", temperature))
    }
    if len(photos) < 2 or not resamples:
        values = {name: value[0] for name, value in metrics_of_counts(_total(counts), classes).items()}
        values |= {name: loss.mean() for name, loss in losses.items()}
        return {name: Interval(float(value), np.nan, np.nan) for name, value in values.items()}
    result = _intervals_of_counts(counts, classes)
    for name, loss in losses.items():
        result[name] = _interval_of_loss(np.bincount(group, loss), photos, classes, resamples, seed)
    return result


def class_intervals(
    label: np.ndarray, predicted: np.ndarray, groups: np.ndarray, classes: int
) -> dict[str, np.ndarray]:
    """The two ends for each class (rows) of its precision, recall and F1; NaN where there is nothing to divide by.

    All three are ratios of sums over groups.
    """
    counts = counts_of_groups(label, predicted, groups, classes)
    right, answered, true = (counts[:, part * classes : (part + 1) * classes] for part in range(3))
    ratios = {"precision": (right, answered), "recall": (right, true), "f1": (2 * right, answered + true)}
    return {name: _ends_of_ratios(part, whole) for name, (part, whole) in ratios.items()}


def share_ends(value: np.ndarray, photos: np.ndarray) -> np.ndarray:
    """The two ends (last axis) of the interval of shares of so many independent photos, which need be no whole numbers.

    An end is where half of the probability of exactly this share, and all of that of what lies beyond, are 2.5 %.
    """
    right, wrong = value * photos, (1 - value) * photos
    lows = []
    for count, other in ((right, wrong), (wrong, right)):  # the lower end of the share right, then of the share wrong
        some, any_other = np.where(count > 0, count, 1.0), np.where(other > 0, other, 1.0)
        low = betaincinv(some, other + 1, TAIL)  # the tail without mid-p
        high = np.where(other > 0, betaincinv(count + 1, any_other, TAIL), 1.0)
        for _ in range(20):
            middle = (low + high) / 2
            more = np.where(other > 0, betainc(count + 1, any_other, middle), 0.0)
            below = more + betainc(some, other + 1, middle) < 2 * TAIL
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        lows.append(np.where(count > 0, low, 0.0))
    return np.stack([lows[0], 1 - lows[1]], axis=-1)


def _total(counts: sparse.csr_array) -> np.ndarray:
    return np.asarray(counts.sum(axis=0)).reshape(1, -1)


def _intervals_of_counts(counts: sparse.csr_array, classes: int) -> dict[str, Interval]:
    total, photos = _total(counts), counts[:, 2 * classes :].sum()
    slopes, design = _slopes(total, classes), _Design.of(counts[:, 2 * classes :])
    values = {name: float(value[0]) for name, value in metrics_of_counts(total, classes).items()}
    ends, worth = {}, {}  # of shares: how many independent photos they are worth
    for name, value in values.items():
        effects = counts @ slopes[name]
        if name in SHARES:
            alone = design.photos(name)
            variance = design.variance(name, effects, value * (1 - value) / alone)
            worth[name] = min(photos, _effective(value, variance, alone))
        else:
            half = float(stdtrit(len(effects) - 1, 1 - TAIL)) * np.sqrt(design.variance(name, effects, 0.0))
            ends[name] = value - half, value + half
    shares = share_ends(np.array([values[name] for name in worth]), np.array([*worth.values()]))
    ends |= dict(zip(worth, shares.tolist(), strict=True))
    return {name: Interval(value, float(ends[name][0]), float(ends[name][1])) for name, value in values.items()}


def _effective(value: Numbers, variance: Numbers, alone: Numbers) -> Numbers:
    """The number of independent photos that a share with this variance is worth.

    `alone` is that number if the photos of each group are all right or all wrong. Half a group's worth of it goes
    into the estimate: where nothing or little is wrong, the scatter that was seen says nothing.
    """
    return alone * (value * (1 - value) * alone + 0.5) / (variance * alone**2 + 0.5)


def _slopes(total: np.ndarray, classes: int) -> dict[str, np.ndarray]:
    """By how much each metric moves with each of the counts, a photo."""
    step = np.eye(3 * classes) * STEP
    above, below = metrics_of_counts(total + step, classes), metrics_of_counts(total - step, classes)
    return {name: (above[name] - below[name]) / (2 * STEP) for name in above}


class _Design(NamedTuple):
    """What is expected of each metric where the photos of a group are all right or all wrong, and classes are alike.

    Each group counts for the class of most of its photos. Classes are strata: a test keeps their shares, so only the
    groups within a class are left to vary.
    """

    stratum: np.ndarray  # the class of each group
    groups: np.ndarray  # of each class
    worth: np.ndarray  # of each class: groups of one size that are worth as much
    taken: dict[str, tuple[np.ndarray, np.ndarray]]  # from a metric by a wrong group: as its own class, as the answer

    @classmethod
    def of(cls, true: sparse.csr_array) -> "_Design":
        """From the photos of each group (rows) by class."""
        stratum = np.asarray(true.argmax(axis=1)).ravel()
        worth, classes = _worth(true), true.shape[1]
        faultless, step = np.tile(worth, (classes, 3)), STEP * np.eye(classes)
        nothing = np.zeros_like(step)
        most, missed, mistaken = (
            metrics_of_counts(faultless + change, classes)
            for change in (0.0, np.hstack([-step, -step, nothing]), np.hstack([nothing, step, nothing]))
        )
        taken = {name: ((most[name] - missed[name]) / STEP, (most[name] - mistaken[name]) / STEP) for name in most}
        return cls(stratum, np.bincount(stratum, minlength=classes), worth, taken)

    def moments(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """By class, what a wrong group takes from a metric: the mean, and the mean square, over all wrong answers."""
        known = self.worth > 0
        missed, mistaken = (np.where(known, each, 0.0) for each in self.taken[name])
        if known.sum() == 1:
            return missed, missed**2
        others = known & ~np.eye(len(known), dtype=bool)  # a wrong answer is any other class alike
        taken, answers = missed[:, None] + mistaken, np.maximum(others.sum(axis=1), 1)
        return (others * taken).sum(axis=1) / answers, (others * taken**2).sum(axis=1) / answers

    def photos(self, name: str) -> float:
        """The number of independent photos that a metric is worth; of one that no wrong answer moves, all groups'."""
        mean, square = ((self.worth * moment).sum() for moment in self.moments(name))
        return mean / square if square > 0 else self.worth.sum()

    def variance(self, name: str, effects: np.ndarray, alone: float) -> float:
        """Of a metric, by the scatter of the groups' effects on it within classes.

        Of few groups the scatter says little, and of a single one nothing: in each class the variance of one more
        group weighs in, as it is expected of a metric with the variance `alone`.
        """
        groups = np.maximum(self.groups, 1)
        mean = np.bincount(self.stratum, effects, len(groups)) / groups
        squares = np.bincount(self.stratum, (effects - mean[self.stratum]) ** 2, len(groups))
        parts = self.worth * self.moments(name)[1]
        return squares.sum() + alone * (parts / groups).sum() / max(parts.sum(), 1e-12)


def _worth(photos: sparse.csr_array) -> np.ndarray:
    """For each column, how many groups of one size are worth as much as those there are (Kish)."""
    squares = np.asarray(photos.power(2).sum(axis=0)).ravel()
    return np.asarray(photos.sum(axis=0)).ravel() ** 2 / np.maximum(squares, 1e-12)


def _ends_of_ratios(part: sparse.csr_array, whole: sparse.csr_array) -> np.ndarray:
    """The two ends for each column of the ratio of two sums over groups."""
    sums, groups = np.asarray(whole.sum(axis=0)).ravel(), np.asarray((whole > 0).sum(axis=0)).ravel()
    known = sums > 0
    sums = np.maximum(sums, 1)
    value = np.asarray(part.sum(axis=0)).ravel() / sums
    squares = [np.asarray(x.sum(axis=0)).ravel() for x in (part.power(2), part.multiply(whole), whole.power(2))]
    scatter = (squares[0] - 2 * value * squares[1] + value**2 * squares[2]) / sums**2
    alone = np.where(known, _worth(whole), 1.0)
    variance = np.where(groups > 1, scatter * groups / np.maximum(groups - 1, 1), value * (1 - value) / alone)
    photos = np.maximum(_effective(value, variance, alone), 1e-12)
    return np.where(known[:, None], share_ends(value, np.minimum(photos, sums)), np.nan)


def _interval_of_loss(losses: np.ndarray, photos: np.ndarray, classes: int, resamples: int, seed: int) -> Interval:
    """Of the mean loss, from the sums of groups.

    One more group joins the draws, of whose photos the model knows nothing: the groups that were seen may well lack
    the rare photo that is wrong and sure, from which most of a loss comes.
    """
    groups, typical = len(photos), photos.mean()
    sums = np.column_stack([np.append(losses, typical * np.log(max(classes, 2))), np.append(photos, typical)])
    totals = np.concatenate([weights @ sums for weights in drawn_weights(groups + 1, resamples, 2, seed)])
    drawn = np.log(totals[:, 0] / totals[:, 1])
    half = stdtrit(groups - 1, 1 - TAIL) * error_of_draws(drawn, groups)
    value, (low, high) = losses.sum() / photos.sum(), np.exp(drawn.mean() + np.array([-half, half]))
    return Interval(float(value), float(min(low, value)), float(max(high, value)))
