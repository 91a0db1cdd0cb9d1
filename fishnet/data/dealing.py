"""Deals whole groups into parts so that every class comes close to its share in each.

scikit-learn's StratifiedGroupKFold deals equal folds only and takes minutes for 100,000 groups; one dealer
for fractions and folds is less to understand, and its parts differ from the wish by less than the largest
group.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_matrix


def dealt(counts: csr_matrix, order: np.ndarray, shares: Sequence[float], *, least: int = 1) -> np.ndarray:
    """A part number for each group; `counts` is groups by classes, `order` says who is first.

    Each group goes where it lessens the squared distance from the wished counts most; when that is equal, to
    the part that is least full. Afterwards a part that holds fewer than `least` groups of
    a class gets the smallest of a part that holds more.
    """
    rows = _rows(counts)
    totals = np.asarray(counts.sum(axis=0)).ravel().tolist()
    parts = range(len(shares))
    lacking = [[share * total for total in totals] for share in shares]
    filled = [0.0 for _ in parts]
    chosen = np.zeros(len(rows), np.int64)
    for group in order.tolist():
        row = rows[group]
        costs = [
            (round(sum(n * (n - 2 * lacking[part][c]) / totals[c] for c, n in row), 9), filled[part], part)
            for part in parts
        ]
        part = min(costs)[2]
        chosen[group] = part
        filled[part] += sum(n for _, n in row) / shares[part]
        for c, n in row:
            lacking[part][c] -= n
    _fill_gaps(rows, chosen, order, np.zeros((len(shares), len(totals)), np.int64), least)
    return chosen


def _rows(counts: csr_matrix) -> list[list[tuple[int, int]]]:
    starts, classes, numbers = counts.indptr.tolist(), counts.indices.tolist(), counts.data.tolist()
    return [list(zip(classes[start:end], numbers[start:end], strict=True)) for start, end in pairwise(starts)]


def _fill_gaps(
    rows: list[list[tuple[int, int]]], chosen: np.ndarray, order: np.ndarray, held: np.ndarray, least: int
) -> None:
    holders = defaultdict(list)
    for group in order.tolist():
        for c, _ in rows[group]:
            held[chosen[group], c] += 1
            holders[c].append(group)
    for part, c in np.argwhere(held < least).tolist():
        for group in reversed(holders[c]):
            donor = chosen[group]
            mine = [k for k, _ in rows[group]]
            if held[part, c] < least and donor != part and (held[donor, mine] > least).all():
                chosen[group] = part
                held[donor, mine] -= 1
                held[part, mine] += 1
