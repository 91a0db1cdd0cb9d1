"""How often a 95 % interval holds the truth: `python -m experiments.honest.coverage --csv coverage.csv --jobs 2`.

Draws test sets of a model that is right on a photo with a known probability, so that the true value of each metric is
known, and counts how often the interval holds it: before (groups drawn again, percentiles) and after
(`fishnet.measure.intervals`). Test sets have 8 to 300 groups of one photo, or of 1 to 9 photos that mostly stand or
fall together; two even classes, or five of which each is half as large as the one before; a wrong answer is any other
class. What is measured of a class is measured of the smallest one. Prints a summary a metric. Half an hour on two
cores.
"""

import argparse
import csv
import itertools
import sys
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from fishnet.measure.calibration import log_loss
from fishnet.measure.counts import counts_of_groups, metrics_of_counts
from fishnet.measure.intervals import class_intervals, intervals
from fishnet.measure.predictions import Predictions

GROUPS, SURE = (8, 15, 30, 80, 300), (0.7, 0.9, 0.95, 0.99)
CLASSES = ((2, "even"), (5, "halving"))
SPREAD = 2.0  # of the margin by which the true class leads
ALIKE = 0.5  # correlation of the margins in a group
HEADER = ["classes", "sizes", "photos a group", "groups", "right", "metric", "draws"]
HEADER += ["truth", "before", "after", "width before", "width after"]


class Cell(NamedTuple):
    """One kind of test set."""

    classes: int
    sizes: str
    several: bool  # photos a group
    groups: int
    right: float


def classes_of_groups(cell: Cell) -> np.ndarray:
    """The class of each group, every class at least once."""
    if cell.sizes == "even":
        return np.sort(np.arange(cell.groups) % cell.classes)
    shares = 0.5 ** np.arange(cell.classes)
    counts = np.maximum(1, np.floor(shares / shares.sum() * cell.groups)).astype(int)
    counts[0] += cell.groups - counts.sum()
    return np.repeat(np.arange(cell.classes), counts)


def drawn(cell: Cell, rng: np.random.Generator) -> tuple[Predictions, np.ndarray]:
    """The answers to a test set, and the group of each photo."""
    of_group = classes_of_groups(cell)
    sizes = rng.integers(1, 10, cell.groups) if cell.several else np.ones(cell.groups, int)
    group = np.repeat(np.arange(cell.groups), sizes)
    label, photos, alike = of_group[group], len(group), ALIKE if cell.several else 0.0
    chance = np.sqrt(alike) * rng.normal(size=cell.groups)[group] + np.sqrt(1 - alike) * rng.normal(size=photos)
    margin = SPREAD * (ndtri(cell.right) + chance)
    logits, rows = np.zeros((photos, cell.classes)), np.arange(photos)
    logits[rows, label] = margin
    other = (label + rng.integers(1, cell.classes, photos)) % cell.classes
    logits[rows, other] += 1e-9  # the answer where the true class does not lead
    return Predictions(rows, label, logits), group


@cache
def truth(cell: Cell) -> dict[str, float]:
    """Every metric of endless photos."""
    shares = np.bincount(classes_of_groups(cell)) / cell.groups
    right = shares * cell.right
    answered = right + (1 - cell.right) * (1 - shares) / (cell.classes - 1)
    counted = metrics_of_counts(np.hstack([right, answered, shares])[None], cell.classes)
    values = {name: float(value[0]) for name, value in counted.items()}
    margin = SPREAD * (ndtri(cell.right) + np.random.default_rng(0).normal(size=1_000_000))
    values["loss"] = float(np.log1p((cell.classes - 1) * np.exp(-margin)).mean())
    last = right[-1], answered[-1], shares[-1]
    own = {"recall": last[0] / last[2], "precision": last[0] / last[1], "f1": 2 * last[0] / (last[1] + last[2])}
    return values | {f"{name} of a class": float(value) for name, value in own.items()}


def after(predictions: Predictions, group: np.ndarray, classes: int, *, whole: bool) -> dict[str, tuple[float, float]]:
    """Without the loss and the classes, unless `whole`: half of the test sets are enough for these."""
    ends = {
        name: each[1:] for name, each in intervals(predictions, group, classes, resamples=1000 if whole else 2).items()
    }
    if not whole:
        return {name: each for name, each in ends.items() if not name.startswith("loss")}
    of_classes = class_intervals(predictions.label, predictions.predicted, group, classes)
    return ends | {f"{name} of a class": tuple(each[-1]) for name, each in of_classes.items()}


def before(
    predictions: Predictions, group: np.ndarray, classes: int, rng: np.random.Generator, resamples: int = 1000
) -> dict[str, tuple[float, float]]:
    """Percentiles over groups that were drawn with replacement."""
    counts = counts_of_groups(predictions.label, predictions.predicted, group, classes).toarray()
    losses = np.bincount(group, log_loss(predictions.logits, predictions.label))
    draws = rng.multinomial(len(losses), np.full(len(losses), 1 / len(losses)), resamples).astype(float)
    totals, photos = draws @ counts, draws @ np.bincount(group)
    values = metrics_of_counts(totals, classes) | {"loss": draws @ losses / photos}
    right, answered, true = (totals[:, part * classes + classes - 1] for part in range(3))
    own = {"recall": (right, true), "precision": (right, answered), "f1": (2 * right, answered + true)}
    for name, (part, whole) in own.items():
        values[f"{name} of a class"] = np.divide(part, whole, out=np.zeros(resamples), where=whole > 0)
    return {name: tuple(np.percentile(value, [2.5, 97.5])) for name, value in values.items()}


def measured(cell: Cell, draws: int) -> list[list[object]]:
    """A row a metric. What draws again, classes, and all intervals of before are looked at in half of the test sets."""
    rng, true = np.random.default_rng(0), truth(cell)
    held: dict[tuple[str, str], list[tuple[bool, float]]] = defaultdict(list)
    for number in range(draws):
        predictions, group = drawn(cell, rng)
        half = number < draws // 2
        ways = {"after": after(predictions, group, cell.classes, whole=half)}
        if half:
            ways["before"] = before(predictions, group, cell.classes, rng)
        for way, ends in ways.items():
            for name, (low, high) in ends.items():
                if name in true and np.isfinite(low):
                    held[way, name].append((low - 1e-9 <= true[name] <= high + 1e-9, high - low))
    rows: list[list[object]] = []
    for name, value in true.items():
        share, width = zip(*(np.mean(held[way, name], axis=0) for way in ("before", "after")), strict=True)
        kind = [cell.classes, cell.sizes, "1 to 9" if cell.several else 1, cell.groups, cell.right, name, draws]
        rows.append([*kind, f"{value:.4f}", *(f"{x:.4f}" for x in (*share, *width))])
    return rows


def summary(rows: list[list[object]]) -> Iterator[str]:
    """Of each metric the mean over all kinds of test sets, the lowest, and the share of kinds outside 0.92 to 0.98."""
    for name in dict.fromkeys(row[5] for row in rows):
        for column in ("before", "after"):
            values = np.array([float(str(row[HEADER.index(column)])) for row in rows if row[5] == name])
            outside = f"below 0.92 {np.mean(values < 0.92):.0%}, above 0.98 {np.mean(values > 0.98):.0%}"
            yield f"{name:22s} {column:7s} mean {values.mean():.3f}, lowest {values.min():.3f}, {outside}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=2000, help="test sets of each kind")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--csv", type=Path)
    given = parser.parse_args()
    cells = [Cell(*kind, *rest) for kind, *rest in itertools.product(CLASSES, (False, True), GROUPS, SURE)]
    with ProcessPoolExecutor(given.jobs) as pool:
        rows = [row for part in pool.map(measured, cells, itertools.repeat(given.draws)) for row in part]
    writer = csv.writer(given.csv.open("w", newline="") if given.csv else sys.stdout, lineterminator="\n")
    writer.writerows([HEADER, *rows])
    print(*summary(rows), sep="\n")


if __name__ == "__main__":
    main()
