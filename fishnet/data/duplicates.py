"""Copies of one picture, and groupings that are merged.

Copies have equal bytes, or perceptual hashes a few bits apart. Near copies on both sides of a split make a test
score meaningless, so they must be found among 100,000 photos without comparing all pairs, and photos that merely
resemble each other must not be joined.
"""

from itertools import combinations, pairwise

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fishnet.data.scan import FLAT

# Hashes have 32 of 64 bits set, so distances are even. At 4, all of 200 photos met their re-encoded, halved
# and thumbnail copies again, 94 % a copy cropped by 2 %, and no two different photos met; of 1053 crops of
# 149 fish, 6 % of the pairs that met were different fish. At 6 that is 24 %, at 8 45 %, and one chain takes
# in a fifth of the data.
DISTANCE = 4
_MOST_NEIGHBOURS = 512


def near_duplicate_clusters(hashes: np.ndarray, *, distance: int = DISTANCE) -> np.ndarray:
    """A cluster number for each photo, joined by steps of at most `distance` bits; flat pictures stay alone."""
    unique, number = np.unique(np.asarray(hashes, dtype=np.uint64), return_inverse=True)
    left, right = near_pairs(unique[unique != FLAT], distance)
    shift = int(len(unique) > 0 and unique[0] == FLAT)
    clusters = linked(len(unique), left + shift, right + shift)[number].astype(np.int64)
    flat = np.asarray(hashes) == FLAT
    clusters[flat] = len(unique) + np.arange(flat.sum())
    return first_seen(clusters)


def near_pairs(hashes: np.ndarray, distance: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of pairs at most `distance` bits apart, each at least once.

    The 64 bits are cut into distance + 2 blocks. A near pair differs in at most `distance` of them, so it agrees on two
    whole blocks, and only photos that do are compared. Those of a crowd that shares two blocks are compared with 512
    nearest ones in numeric order, which keeps the time linear for hashes that are far from random.
    """
    if len(hashes) < 2 or distance < 1:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    edges = np.linspace(0, 64, distance + 3).round().astype(int).tolist()
    blocks = [(1 << high) - (1 << low) for low, high in pairwise(edges)]
    pairs = [_pairs_of_key(hashes, np.uint64(a | b), distance) for a, b in combinations(blocks, 2)]
    left, right = np.concatenate(pairs, axis=1)
    return left, right


def _pairs_of_key(hashes: np.ndarray, mask: np.uint64, distance: int) -> np.ndarray:
    """Near pairs (2, n) among the hashes that agree on the bits of `mask`."""
    order = np.lexsort((hashes, hashes & mask))
    values = hashes[order]
    keys, start, pairs = values & mask, np.arange(len(hashes)), [np.empty((2, 0), np.int64)]
    for step in range(1, _MOST_NEIGHBOURS + 1):
        start = start[: np.searchsorted(start, len(hashes) - step)]
        start = start[keys[start] == keys[start + step]]
        if not len(start):
            break
        near = start[np.bitwise_count(values[start] ^ values[start + step]) <= distance]
        pairs.append(order[np.stack([near, near + step])])
    return np.concatenate(pairs, axis=1)


def linked(count: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """One number for each set of things that links join."""
    links = coo_array((np.ones(len(left), bool), (left, right)), shape=(count, count))
    return connected_components(links, directed=False)[1]


def merged(*labels: np.ndarray) -> np.ndarray:
    """The finest grouping in which things that share any one label are together."""
    first_with_same = []
    for label in labels:
        _, first, number = np.unique(label, return_index=True, return_inverse=True)
        first_with_same.append(first[number])
    things = np.tile(np.arange(len(labels[0])), len(labels))
    return first_seen(linked(len(labels[0]), things, np.concatenate(first_with_same)))


def first_seen(labels: np.ndarray) -> np.ndarray:
    """The same grouping, numbered 0, 1, 2 … in order of appearance."""
    return pd.factorize(labels)[0].astype(np.int64)


def copies(table: pd.DataFrame) -> np.ndarray:
    """A number for each cluster of exact and near copies."""
    hashes = table["phash"].to_numpy(np.uint64)
    return merged(table["sha256"].to_numpy(dtype=object), near_duplicate_clusters(hashes))
