"""Arms of a stage as numbers alone: which photos each answers rightly, in each fold and seed, and how two compare."""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from fishnet.measure.pairs import Pair
from fishnet.measure.significance import Difference, over_photos

HARD, OWN, OF_SEED = 0.5, 0.4, 0.1  # what an answer hangs on: the photo, the arm, the seed; together 1


class Answers(NamedTuple):
    """Whether each photo was answered rightly (arms, seeds, photos), and the fold and the group of each photo."""

    right: np.ndarray
    fold: np.ndarray
    group: np.ndarray

    def difference(self, first: int, second: int, metric: str = "accuracy") -> Difference:
        """As a study compares two arms; photos are of two classes in turn."""
        label = np.arange(len(self.fold)) % 2
        given = (np.where(self.right[arm], label, 1 - label) for arm in (first, second))
        first_answers, second_answers = given
        pair = Pair(label=label, first=first_answers, second=second_answers, group=self.group, classes=2, metric=metric)
        folds = len(np.unique(self.fold))
        return over_photos(pair, self.fold if folds > 1 else None, 1 / (folds - 1) if folds > 1 else 0.0)

    def of_folds(self) -> np.ndarray:
        """The accuracy of each arm in each fold, in the mean over seeds."""
        return np.array([self.right[:, :, self.fold == fold].mean(axis=(1, 2)) for fold in np.unique(self.fold)]).T

    def best(self) -> int:
        return int(self.right.mean(axis=(1, 2)).argmax())


def drawn(
    rng: np.random.Generator,
    skills: tuple[float, ...],
    photos: int,
    *,
    seeds: int = 1,
    folds: int = 1,
    size: int = 1,
    scatter: float = 0.0,
) -> Answers:
    """Answers of arms that are right with these probabilities.

    `size`: photos a group, of which half of what makes them hard is the group's. `scatter`: how far trainings differ,
    as the standard deviation of the probit (0.1 is 0.03 in accuracy at 0.75), of which one part in `folds` is common to
    all trainings of an arm, for they share training photos.
    """
    arms, groups = len(skills), photos // size
    group, shared = np.repeat(np.arange(groups), size), 0.5 if size > 1 else 0.0
    fold, count = group % folds, groups * size

    def noise(*shape: int) -> np.ndarray:
        return np.sqrt(shared) * rng.normal(size=(*shape, groups))[..., group] + np.sqrt(1 - shared) * rng.normal(
            size=(*shape, count)
        )

    trained = np.sqrt(1 - 1 / folds) * rng.normal(size=(arms, seeds, folds)) if folds > 1 else 0.0
    trained = scatter * (trained + np.sqrt(1 / folds) * rng.normal(size=(arms, 1, 1)))
    lead = ndtri(np.array(skills))[:, None, None] + np.sqrt(HARD) * noise() + np.sqrt(OWN) * noise(arms, 1)
    lead = lead + np.sqrt(OF_SEED) * noise(arms, seeds)
    return Answers(lead + (trained[:, :, fold] if folds > 1 else trained) > 0, fold, group)
