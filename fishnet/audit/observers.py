"""How much of a class's recall hangs on the photos of one person: the closed form of leaving each observer out in turn.

A person's photos share a camera, a place and a habit. If a class is recognised in them only as long as others of the
same person are known, it is the person that is recognised. So a linear head on stored features is asked for each photo
twice: without this photo (or its group), and without all photos of its observer. The head is a ridge regression on the
classes, for which both are exact without fitting it again: with H the matrix from labels to answers, the answers of
photos B to a head that has not seen them differ from their labels by (1 - H_BB)^-1 times what they differ by now.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.linalg import cho_factor, cho_solve, solve

PENALTY = 0.3  # of a variance of 1: within a point of the best for frames of river fish, left out by frame or by fish
COLUMNS = ("class", "observer", "photos", "share", "recall", "recall_without", "hangs")


def observer_shares(
    features: np.ndarray, labels: np.ndarray, observers: np.ndarray, *, groups: np.ndarray | None = None,
    penalty: float = PENALTY,
) -> pd.DataFrame:  # fmt: skip
    """A row for each class and observer, with COLUMNS, those first on whom most hangs.

    `recall` is of this observer's photos of the class, each unknown to the head but its observer's others known;
    `recall_without` of the same photos to a head that knows none of this observer; `hangs` is by how much the recall of
    the whole class would sink, `share` of the class's photos being this observer's. A sum over observers is the gap
    between a split by photo and a split by observer.

    Args:
        features: (photos, numbers), as stored by a backbone.
        labels: The class of each photo, a number or a name.
        observers: Who took it, as text; empty where that is unknown: such a photo counts as a person's only one.
        groups: What is left out together for `recall`, such as photos of one animal; by default each photo alone.
        penalty: Of the ridge; the features are brought to variance 1.
    """
    names, label = np.unique(labels, return_inverse=True)
    person = pd.Series(np.asarray(observers, object)).fillna("").astype(str)
    alone = np.arange(len(label)) if groups is None else np.unique(groups, return_inverse=True)[1]
    known = (person != "").to_numpy()
    together = np.where(known, pd.factorize(person)[0], len(label) + np.arange(len(label)))
    head = Head.fitted(features, label, penalty)
    photos = pd.DataFrame({"class": names[label], "observer": person, "label": label})
    for column, blocks in (("recall", alone), ("recall_without", together)):
        answers = head.without(blocks)
        photos[column] = (answers.argmax(axis=1) == label) & np.isfinite(answers[:, 0])
    rows = (
        photos[known]
        .groupby(["class", "observer"], sort=False)
        .agg(photos=("label", "size"), recall=("recall", "mean"), recall_without=("recall_without", "mean"))
    )
    rows = rows.reset_index()
    rows["share"] = rows["photos"] / rows["class"].map(photos["class"].value_counts())
    rows["hangs"] = rows["share"] * (rows["recall"] - rows["recall_without"])
    return rows.sort_values(["hangs", "share"], ascending=False, kind="stable", ignore_index=True)[list(COLUMNS)]


@dataclass(frozen=True)
class Head:
    """A ridge regression of the classes (0 and 1) on standardised features and a free constant, classes weighing alike.

    Args:
        inputs: (photos, numbers + 1), times the root of each photo's weight.
        targets: (photos, classes), times the same.
        roots: these roots.
        normal: what the fitted numbers are multiplied by in its normal equations.
    """

    inputs: np.ndarray
    targets: np.ndarray
    roots: np.ndarray
    normal: np.ndarray

    @classmethod
    def fitted(cls, features: np.ndarray, label: np.ndarray, penalty: float) -> "Head":
        counts = np.bincount(label)
        weights = 1 / (len(counts) * counts[label])
        centred = features - weights @ features
        spread = np.sqrt(weights @ centred**2)
        columns = np.column_stack([centred / np.where(spread > 0, spread, 1), np.ones(len(label))])
        roots = np.sqrt(weights)[:, None]
        inputs = columns * roots
        ridge = np.append(np.full(features.shape[1], penalty), 0.0)
        return cls(inputs, np.eye(len(counts))[label] * roots, roots, inputs.T @ inputs + np.diag(ridge))

    def without(self, blocks: np.ndarray) -> np.ndarray:
        """The answers (photos, classes) on the photos of each block, by a head fitted to all others.

        A small block costs a system of its own size, a large one the normal equations without it. Who leaves out all
        photos has no head, and no answers: NaN.
        """
        factor = cho_factor(self.normal)
        moved = cho_solve(factor, self.inputs.T)  # H = inputs @ moved
        missed = self.targets - self.inputs @ (moved @ self.targets)
        order = np.argsort(blocks, kind="stable")
        starts = np.flatnonzero(np.diff(blocks[order], prepend=-1))
        alone = 1 - np.einsum("ij,ji->i", self.inputs, moved)
        result = self.targets - missed / alone[:, None]
        for rows in np.split(order, starts[1:]):
            if len(rows) == len(order):
                result[rows] = np.nan
            elif len(rows) > len(self.normal):
                result[rows] = self.inputs[rows] @ self._refitted(rows)
            elif len(rows) > 1:
                rest = np.eye(len(rows)) - self.inputs[rows] @ moved[:, rows]
                result[rows] = self.targets[rows] - solve(rest, missed[rows], assume_a="pos")
        return result / self.roots

    def _refitted(self, rows: np.ndarray) -> np.ndarray:
        """What the features are multiplied by, from the normal equations without these rows."""
        inputs, targets = self.inputs[rows], self.targets[rows]
        return solve(self.normal - inputs.T @ inputs, self.inputs.T @ self.targets - inputs.T @ targets, assume_a="pos")
