"""How often the page shows a difference that is there: `python -m experiments.studies.power --csv power.csv`.

Two arms of different skill, as `arms.py` draws them, compared as a study compares them: before (means of folds; on one
split Student's t alone) and after (photo by photo). The last rows are of arms that differ by what the page calls
detectable: it promises to show those with a probability of 80 %. Three minutes on one core.
"""

import argparse
import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fishnet.measure.significance import ALARMS, Difference, over_folds

from .arms import Answers, drawn

SKILLS = {(0.93, 0.63): 54, (0.8, 0.7): 200}
HEADER = ["better", "worse", "photos", "photos a group", "folds", "seeds", "trainings scatter by", "stages"]
HEADER += ["shown before", "shown after", "detectable, median"]


def of_means(answers: Answers, folds: int) -> Difference | None:
    """As it was judged before."""
    if folds == 1:
        return answers.difference(0, 1)._replace(exact=0.0)
    first, second = answers.of_folds()
    return over_folds(list(first - second), 1 / (folds - 1))


def shown(difference: Difference | None) -> bool:
    return difference is not None and difference.value > 0 and difference.p < ALARMS


def row(skills: tuple[float, float], photos: int, stages: int, **how: float) -> list[object]:
    """The share of stages in which the better arm is called better."""
    given = {"size": 1, "folds": 1, "seeds": 1, "scatter": 0.0, **how}
    before, after, detectable = [], [], []
    for number in range(stages):
        answers = drawn(np.random.default_rng(number), skills, photos, **given)
        before.append(shown(of_means(answers, given["folds"])))
        difference = answers.difference(0, 1)
        after.append(shown(difference))
        detectable.append(difference.detectable())
    kind = [*(f"{skill:.3g}" for skill in skills), photos, *(given[key] for key in ("size", "folds", "seeds"))]
    shares = [f"{np.mean(before):.3f}", f"{np.mean(after):.3f}", f"{np.median(detectable):.3f}"]
    return [*kind, f"{0.3 * given['scatter']:.3g}", stages, *shares]


def measured(stages: int) -> Iterator[list[object]]:
    for skills, photos in SKILLS.items():
        for folds in (1, 3, 5):
            for seeds in (1, 3):
                for scatter in (0.0, 0.1) if folds > 1 else (0.0,):
                    yield row(skills, photos, stages, folds=folds, seeds=seeds, scatter=scatter)
        yield row(skills, photos, stages, size=4)
        yield row(skills, photos, stages, size=4, folds=5, scatter=0.1)
    for photos, folds in ((54, 1), (200, 1), (200, 5), (1000, 5)):
        alike = row((0.8, 0.8), photos, max(20, stages // 10), folds=folds)
        yield row((0.8, 0.8 - float(str(alike[-1]))), photos, stages, folds=folds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=400)
    parser.add_argument("--csv", type=Path)
    given = parser.parse_args()
    writer = csv.writer(given.csv.open("w", newline="") if given.csv else sys.stdout, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(measured(given.repeats))


if __name__ == "__main__":
    main()
