"""How often the page calls a difference real where there is none: equal arms, judged as a stage judges them."""

import argparse
import csv
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from fishnet.data.splits import split
from fishnet.measure.pairs import Pair
from fishnet.measure.significance import Difference, over_folds, over_photos, verdicts

from . import arms as of_arms


def alarms(differences: list[Difference | None]) -> int:
    """Of the best's differences from all others."""
    found = verdicts({str(number): difference for number, difference in enumerate(differences)})
    return sum(verdict.word == "behind" for verdict in found.values())


def folds(rng: np.random.Generator, arms: int, count: int, seeds: int, shared: float) -> list[Difference | None]:
    """Each arm differs from fold to fold by 0.03 (of which `shared`, as a correlation, in all folds alike, for they
    share their training photos) and from seed to seed by 0.01; the folds themselves differ by 0.05."""
    own = rng.normal(0, 0.03 * np.sqrt(1 - shared), (arms, count)) + rng.normal(0, 0.03 * np.sqrt(shared), (arms, 1))
    reached = rng.normal(0, 0.05, count) + own + rng.normal(0, 0.01, (seeds, arms, count)).mean(axis=0)
    best = reached.mean(axis=1).argmax()
    return [
        over_folds(list(reached[best] - scores), 1 / (count - 1)) for arm, scores in enumerate(reached) if arm != best
    ]


@cache
def dealt(count: int, part: str, size: int = 150) -> list[np.ndarray]:
    """The photos of that part in each fold, as a training has them: two classes of so many photos."""
    rows = [
        {"path": f"{name}/{number}", "class": name, "group": f"{name}{number}"}
        for name in "ab"
        for number in range(size)
    ]
    table = pd.DataFrame(rows)
    return [np.flatnonzero(split(table, folds=count, fold=fold) == part) for fold in range(count)]


def photos_of_folds(
    rng: np.random.Generator, arms: int, count: int, part: str, turned: float
) -> list[Difference | None]:
    """Each arm is right on three photos in four, its own; another fold's training turns a share of its answers."""
    parts = dealt(count, part)
    rows, fold = np.concatenate(parts), np.repeat(np.arange(count), [len(part) for part in parts])
    right = (rng.random((arms, 300)) < 0.75)[:, rows]
    answers = (right ^ (rng.random(right.shape) < turned)).astype(int)
    best, shared = answers.mean(axis=1).argmax(), max(1 / (count - 1), 0.15 / 0.85 if part == "val" else 0.0)
    others = [answers[[arm]] for arm in range(arms) if arm != best]
    return [over_photos(pair(answers[[best]], other, rows), fold, shared) for other in others]


def photos(rng: np.random.Generator, arms: int, count: int, seeds: int, turned: float) -> list[Difference | None]:
    """One split: each arm is right on a photo by a probability of its own, and a seed turns a share of the answers."""
    right = rng.random((arms, count)) < rng.beta(2, 0.5, (arms, count))
    answers = (right[:, None] ^ (rng.random((arms, seeds, count)) < turned)).astype(int)
    best, groups = answers.mean(axis=(1, 2)).argmax(), np.arange(count)
    return [over_photos(pair(answers[best], other, groups)) for arm, other in enumerate(answers) if arm != best]


def pair(first: np.ndarray, second: np.ndarray, groups: np.ndarray) -> Pair:
    """Of answers that are 1 where they are right."""
    label = np.ones(len(groups), int)
    return Pair(label=label, first=first, second=second, group=groups, classes=2, metric="accuracy")


def trained(
    rng: np.random.Generator, arms: int, count: int, metric: str = "accuracy", skill: float = 0.75, **how: float
) -> list[Difference | None]:
    """Arms as `arms.py` draws them: photos that are hard for all, trainings that scatter, groups of photos."""
    answers = of_arms.drawn(rng, (skill,) * arms, count, **how)
    best = answers.best()
    return [answers.difference(best, arm, metric) for arm in range(arms) if arm != best]


STAGES: dict[str, tuple[Callable, tuple, dict]] = {
    "2 arms, 5 folds, 3 seeds, no photos known, folds independent": (folds, (2, 5, 3, 0.0), {}),
    "2 arms, 5 folds, 3 seeds, no photos known, folds share their training photos": (folds, (2, 5, 3, 0.2), {}),
    "3 arms, 5 folds, no photos known, folds share their training photos": (folds, (3, 5, 1, 0.2), {}),
    "20 arms, 5 folds, no photos known, folds independent": (folds, (20, 5, 1, 0.0), {}),
    "20 arms, 5 folds, no photos known, folds share their training photos": (folds, (20, 5, 1, 0.2), {}),
    "2 arms, 3 folds as they are dealt, validation": (photos_of_folds, (2, 3, "val", 0.02), {}),
    "2 arms, 5 folds as they are dealt, validation": (photos_of_folds, (2, 5, "val", 0.02), {}),
    "2 arms, 5 folds as they are dealt, validation, networks that agree": (photos_of_folds, (2, 5, "val", 0.0), {}),
    "2 arms, 10 folds as they are dealt, validation": (photos_of_folds, (2, 10, "val", 0.02), {}),
    "2 arms, 5 folds as they are dealt, test": (photos_of_folds, (2, 5, "test", 0.02), {}),
    "2 arms, one split of 60 photos, 1 seed": (photos, (2, 60, 1, 0.0), {}),
    "2 arms, one split of 60 photos, 3 seeds": (photos, (2, 60, 3, 0.05), {}),
    "20 arms, one split of 60 photos, 1 seed": (photos, (20, 60, 1, 0.0), {}),
    "20 arms, one split of 200 photos, 3 seeds": (photos, (20, 200, 3, 0.05), {}),
    "2 arms, one split of 54 photos, 1 seed": (trained, (2, 54), {}),
    "2 arms, one split of 54 photos, macro-F1, 1 seed": (trained, (2, 54, "f1_macro"), {}),
    "2 arms, one split of 200 photos in groups of 4, 1 seed": (trained, (2, 200), {"size": 4}),
    **{
        f"2 arms, {k} folds of {count} photos{many}, trainings scatter by {0.3 * scatter:.3g}": (
            trained,
            (2, count),
            {"folds": k, "scatter": scatter, **how},
        )
        for k, scatter in ((3, 0.1), (5, 0.0), (5, 0.1), (5, 0.15))
        for count, many, how in (
            (54, "", {}),
            (300, "", {}),
            (2000, "", {}),
            (300, " in groups of 4", {"size": 4}),
            (300, ", 3 seeds", {"seeds": 3}),
        )
    },
    "2 arms, 5 folds of 300 photos, macro-F1, trainings scatter by 0.03": (
        trained,
        (2, 300, "f1_macro"),
        {"folds": 5, "scatter": 0.1},
    ),
    "20 arms, 5 folds of 300 photos, trainings scatter by 0.03": (trained, (20, 300), {"folds": 5, "scatter": 0.1}),
}


def measured(repeats: int) -> Iterator[list[str]]:
    for name, (draw, how, more) in STAGES.items():
        arms = how[0]
        stages = repeats // 5 if draw is not folds and arms > 2 else repeats  # each draws photos again for every pair
        counts = [alarms(draw(np.random.default_rng(number), *how, **more)) for number in range(stages)]
        yield [name, str(stages), f"{np.mean(np.array(counts) > 0):.4f}", f"{np.mean(counts) / (arms - 1):.4f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--csv", type=Path)
    given = parser.parse_args()
    writer = csv.writer(given.csv.open("w", newline="") if given.csv else sys.stdout, lineterminator="\n")
    writer.writerow(["stage of equal arms", "stages", "with a false alarm", "of arms called behind"])
    writer.writerows(measured(given.repeats))


if __name__ == "__main__":
    main()
