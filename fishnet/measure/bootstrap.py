"""How sure the metrics are: 95 % intervals by drawing groups again, not photos.

Photos of one group (the same fish, the same observation) are near copies: drawing them one by one would pretend that
there are more independent photos than there are, and give intervals that are too narrow.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import sparse

from .calibration import log_loss
from .metrics import METRICS, ClassCounts
from .predictions import Predictions

MEMORY = 2_000_000  # numbers in one chunk of draws


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
    """Each metric with its percentile interval; the bounds are NaN where a single group leaves nothing to draw from."""
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    totals = _totals(predictions, group, classes, temperature)
    count = totals.shape[0]
    point = _values(totals.sum(axis=0).reshape(1, -1), classes)
    if count < 2 or not resamples:
        return {name: Interval(float(value[0]), np.nan, np.nan) for name, value in point.items()}
    drawn = [_values(draws @ totals, classes) for draws in _draws(count, resamples, totals.shape[1], seed)]
    result = {}
    for name, value in point.items():
        low, high = np.percentile(np.concatenate([values[name] for values in drawn]), [2.5, 97.5])
        result[name] = Interval(float(value[0]), float(low), float(high))
    return result


def difference(
    label: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    groups: np.ndarray,
    classes: int,
    *,
    metric: str,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, np.ndarray]:
    """By how much a metric is higher for the first predictions than for the second, on all photos and in each draw.

    The same groups are drawn for both: what is hard for one model is mostly hard for the other, and that part of the
    uncertainty cancels. Predictions are class numbers, a row a training; the mean of the metric over trainings counts.
    """
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    both = []
    for trainings in (np.atleast_2d(first), np.atleast_2d(second)):
        points, drawn = [], []
        for predicted in trainings:
            certain = Predictions(np.arange(len(label)), label, np.eye(classes)[predicted])
            totals = _totals(certain, group, classes, 1.0)
            draws = _draws(totals.shape[0], resamples, totals.shape[1], seed)
            points.append(_values(totals.sum(axis=0).reshape(1, -1), classes)[metric][0])
            drawn.append(np.concatenate([_values(part @ totals, classes)[metric] for part in draws]))
        both.append((np.mean(points), np.mean(drawn, axis=0)))
    (value, draws_of_first), (other, draws_of_second) = both
    return float(value - other), draws_of_first - draws_of_second


def _totals(predictions: Predictions, group: np.ndarray, classes: int, temperature: float) -> sparse.csr_array:
    """A row a group: per class the photos right, predicted and true; then photos, loss and loss at the temperature."""
    photos, label, predicted = len(predictions), predictions.label, predictions.predicted
    right = np.flatnonzero(label == predicted)
    all_rows = np.arange(photos)
    rows = [right, *[all_rows] * 5]
    columns = [label[right], classes + predicted, 2 * classes + label]
    columns += [np.full(photos, 3 * classes + extra) for extra in range(3)]
    values = [np.ones(len(rows[part])) for part in range(4)]
    values += [log_loss(predictions.logits, label, scale) for scale in (1.0, temperature)]
    position = (group[np.concatenate(rows)], np.concatenate(columns))
    shape = (int(group.max()) + 1, 3 * classes + 3)
    return sparse.csr_array((np.concatenate(values), position), shape=shape)


def _draws(groups: int, resamples: int, width: int, seed: int) -> Iterator[np.ndarray]:
    """How often each group is drawn, a row a resample, in chunks that fit in memory."""
    rng = np.random.default_rng(seed)
    chunk = max(1, MEMORY // max(groups, width))
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        yield np.stack([np.bincount(rng.integers(0, groups, groups), minlength=groups) for _ in range(size)])


def _values(totals: np.ndarray, classes: int) -> dict[str, np.ndarray]:
    """Every metric of each row of totals: those of METRICS that follow from counts, and the two mean losses."""
    counts = ClassCounts(*(totals[:, part * classes : (part + 1) * classes] for part in range(3)))
    photos, loss, scaled = totals[:, 3 * classes :].T
    values = {metric.name: metric.of_counts(counts) for metric in METRICS if metric.of_counts}
    return values | {"loss": loss / photos, "loss_scaled": scaled / photos}
