"""A linear head on stored features, and its answers to photos that it does not know: leaving out in closed form.

The head is a ridge regression of the classes, for which leaving photos out is exact without fitting it again: with H
the matrix from labels to answers, the answers of photos B to a head that has not seen them differ from their labels by
(1 - H_BB)^-1 times what they differ by now.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve

PENALTY = 0.3  # of a variance of 1: within a point of the best for frames of river fish, left out by frame or by fish
MOST = 5000  # photos, with which the head takes seconds


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
