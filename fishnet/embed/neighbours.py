"""The nearest photos of a photo: among all others, or among those of other groups only."""

import numpy as np

STEP = 1000  # photos whose similarities are held at once


def nearest(values: np.ndarray, blocks: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the most similar photos, the nearest first, and their cosines, both (photos, count).

    Vectors are compared after their mean is taken away: what all photos have in common tells none apart. A photo with
    fewer than `count` photos outside its block has -1 in their place.

    Args:
        values: (photos, numbers).
        blocks: a number for each photo; no photo is compared to one of its own block. Photos numbered apart are
            compared to all others.
        count: neighbours of each.
    """
    centred = values - values.mean(axis=0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    count = min(count, len(values) - 1)
    positions, cosines = np.empty((len(values), count), int), np.empty((len(values), count), np.float32)
    for start in range(0, len(unit), STEP):
        rows = slice(start, start + STEP)
        alike = unit[rows] @ unit.T
        alike[blocks[rows, None] == blocks[None]] = -np.inf
        best = np.argpartition(-alike, count - 1, axis=1)[:, :count]
        best = np.take_along_axis(best, np.argsort(-np.take_along_axis(alike, best, 1), axis=1, kind="stable"), 1)
        cosines[rows] = np.take_along_axis(alike, best, 1)
        positions[rows] = np.where(np.isfinite(cosines[rows]), best, -1)
    return positions, cosines


def vote_shares(positions: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Which share of each photo's neighbours has each class, (photos, classes)."""
    known = positions >= 0
    shares = np.zeros((len(positions), classes))
    rows = np.broadcast_to(np.arange(len(positions))[:, None], positions.shape)
    np.add.at(shares, (rows[known], labels[positions[known]]), 1)
    return shares / np.maximum(known.sum(axis=1, keepdims=True), 1)
