"""Which photos train, which validate, which test: a pure function of the table.

No group is ever cut, each class keeps its share in each part, and the answer depends on the seed and the photos alone:
not on the order of rows, nor on the version of a random generator.
"""

import numpy as np
import pandas as pd

PARTS = ("train", "val", "test")


def split(
    table: pd.DataFrame,
    *,
    val: float = 0.15,
    test: float = 0.15,
    folds: int | None = None,
    fold: int | None = None,
    seed: int = 0,
) -> pd.Series:
    """ "train", "val" or "test" for each row.

    With `folds`, the test part is fold number `fold` (from 0) and `val` is a share of the rest; `test` is not used.
    """
    _check_numbers(val, test, folds, fold)
    counts = _counts(table)
    _check_groups(table, counts, max(3, folds or 0), folds)
    order = _order(table, counts, seed)
    if folds is None:
        parts = _dealt(counts, order, [1 - val - test, val, test])
    else:
        tested = _dealt(counts, order, [1 / folds] * folds) == fold
        parts = np.where(tested, 2, 0)
        rest = counts.to_numpy() * ~tested[:, None]
        parts[~tested] = _dealt(counts[~tested], order[np.isin(order, np.flatnonzero(~tested))], [1 - val, val])
        del rest
    part_of = pd.Series(np.array(PARTS, dtype=object)[parts], index=counts.index)
    assignment = table["group"].map(part_of).rename("split")
    _check_parts(table, assignment)
    return assignment
