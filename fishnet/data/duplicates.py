"""Which photos show the same picture: equal bytes, or perceptual hashes a few bits apart.

Near copies on both sides of a split make a test score meaningless, so this must find them among 100,000
photos without comparing all pairs, and must not join photos that merely resemble each other.
"""

from functools import cache
from itertools import combinations, pairwise

import numpy as np
from PIL import Image

# Hashes have 32 of 64 bits set, so distances are even. At 4, all of 200 photos met their re-encoded, halved
# and thumbnail copies again, 94 % a copy cropped by 2 %, and no two different photos met; of 1053 crops of
# 149 fish, 6 % of the pairs that met were different fish. At 6 that is 24 %, at 8 45 %, and one chain takes
# in a fifth of the data.
DISTANCE = 4
FLAT = 0  # the hash of a picture without structure: its bits would be noise
_SIDE, _KEPT = 32, 8
_FLAT_SPREAD = 2.0  # grey levels, standard deviation
_MOST_NEIGHBOURS = 512


def phash(image: Image.Image) -> int:
    """64 bits equal to `imagehash.phash`, without its imports; FLAT for a picture of one tone."""
    grey = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    pixels = np.asarray(grey, dtype=np.float64)
    if pixels.std() < _FLAT_SPREAD:
        return FLAT
    waves = _cosines() @ pixels @ _cosines().T
    bits = np.packbits((waves > np.median(waves)).ravel())
    return int.from_bytes(bits.tobytes(), "big")


@cache
def _cosines() -> np.ndarray:
    wave, pixel = np.mgrid[:_KEPT, :_SIDE]
    return 2 * np.cos(np.pi * wave * (2 * pixel + 1) / (2 * _SIDE))


def near_duplicate_clusters(hashes: np.ndarray, *, distance: int = DISTANCE) -> np.ndarray:
    """One cluster number a photo; photos linked by steps of at most `distance` bits share it.

    Flat pictures stay alone: only equal bytes say that they are the same.
    """
    unique, place = np.unique(np.asarray(hashes, dtype=np.uint64), return_inverse=True)
    left, right = near_pairs(unique[unique != FLAT], distance)
    shift = int(len(unique) > 0 and unique[0] == FLAT)
    clusters = linked(len(unique), left + shift, right + shift)[place]
    flat = np.asarray(hashes) == FLAT
    clusters[flat] = len(unique) + np.arange(flat.sum())
    return first_seen(clusters)


def near_pairs(hashes: np.ndarray, distance: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of pairs at most `distance` bits apart, each at least once.

    The 64 bits are cut into distance + 2 blocks. A near pair differs in at most `distance` of them, so it
    agrees on two whole blocks: only photos that share two blocks are compared. A crowd that shares two blocks
    is compared with its 512 nearest in numeric order, which keeps the time linear for hashes that are far
    from random.
    """
    if len(hashes) < 2 or distance < 1:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    found = [_pairs_of_key(hashes, mask, distance) for mask in _masks(distance + 2)]
    left, right = (np.concatenate(side) for side in zip(*found, strict=True))
    return left, right


def _masks(blocks: int) -> list[np.uint64]:
    edges = np.linspace(0, 64, blocks + 1).round().astype(int).tolist()
    singles = [(1 << high) - (1 << low) for low, high in pairwise(edges)]
    return [np.uint64(a | b) for a, b in combinations(singles, 2)]


def _pairs_of_key(hashes: np.ndarray, mask: np.uint64, distance: int) -> tuple[np.ndarray, np.ndarray]:
    keys = hashes & mask
    order = np.lexsort((hashes, keys))
    keys, values = keys[order], hashes[order]
    left, right = [], []
    start = np.arange(len(hashes))
    for step in range(1, _MOST_NEIGHBOURS + 1):
        start = start[: np.searchsorted(start, len(hashes) - step)]
        start = start[keys[start] == keys[start + step]]
        if not len(start):
            break
        near = start[np.bitwise_count(values[start] ^ values[start + step]) <= distance]
        left.append(order[near])
        right.append(order[near + step])
    empty = np.empty(0, np.int64)
    return np.concatenate([empty, *left]), np.concatenate([empty, *right])


def linked(count: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """One number for each set of things that links join: a plain union-find, for links are few."""
    parent = list(range(count))
    apart = left != right
    for a, b in zip(left[apart].tolist(), right[apart].tolist(), strict=True):
        a, b = _head(parent, a), _head(parent, b)
        parent[max(a, b)] = min(a, b)
    return np.array([_head(parent, one) for one in range(count)], np.int64)


def _head(parent: list[int], one: int) -> int:
    while parent[one] != one:
        parent[one] = parent[parent[one]]
        one = parent[one]
    return one


def merged(*labels: np.ndarray) -> np.ndarray:
    """The finest grouping in which things that share any one label are together."""
    left, right = [], []
    for label in labels:
        _, first, place = np.unique(label, return_index=True, return_inverse=True)
        left.append(np.arange(len(place)))
        right.append(first[place])
    return first_seen(linked(len(labels[0]), np.concatenate(left), np.concatenate(right)))


def first_seen(labels: np.ndarray) -> np.ndarray:
    """The same grouping, numbered 0, 1, 2 … in order of appearance."""
    _, first, place = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[place]
