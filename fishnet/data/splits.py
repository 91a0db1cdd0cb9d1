"""Which photos train, which validate, which test: a pure function of the table.

No group is ever cut, each class keeps its share in each part, and the answer depends on the seed and the
photos alone: not on the order of rows, nor on the version of a random generator.
"""

import hashlib

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from fishnet.data.dealing import dealt
from fishnet.errors import BadInput
from fishnet.text import counted

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
    """The word train, val or test for each row.

    With `folds`, the test part is fold number `fold` (from 0), `val` is a share of the rest, and `test` is
    not used.
    """
    _check_numbers(val, test, folds, fold)
    _check_groups(table, folds)
    groups, counts, paths = _dealing(table)
    order = _order(counts, paths, f"{seed}")
    if folds is None:
        parts = dealt(counts, order, [1 - val - test, val, test])
    else:
        least = 2 if folds == 2 else 1  # the rest, here one fold, must itself be dealt to train and val
        tested = dealt(counts, order, [1 / folds] * folds, least=least) == fold
        own = _order(counts, paths, f"{seed}/{fold}")  # else all folds would validate on mostly the same photos
        rest = own[~tested[own]]
        place = np.cumsum(~tested) - 1
        parts = np.full(len(tested), 2)
        parts[~tested] = dealt(counts[~tested], place[rest], [1 - val, val])
    assignment = pd.Series(np.array(PARTS, dtype=object)[parts[groups]], index=table.index, name="split")
    check_parts(table, assignment)
    return assignment


def split_digest(table: pd.DataFrame, assignment: pd.Series) -> str:
    """Equal digests: the same photos, byte for byte, in the same parts."""
    rows = sorted(zip(table["path"], table["sha256"], assignment, strict=True))
    return hashlib.sha256("".join("\0".join(row) + "\n" for row in rows).encode()).hexdigest()


def check_parts(table: pd.DataFrame, assignment: pd.Series) -> None:
    """Every class must occur in every part: a score over classes never seen or asked says nothing."""
    counts = pd.crosstab(table["class"], assignment).reindex(columns=PARTS, fill_value=0)
    for name, row in counts.iterrows():
        if (row == 0).any():
            missing = " and ".join(row.index[row == 0])
            raise BadInput(
                f"The class {name!r} ({_size(table, name)}) gets no photo in {missing}: add photos, "
                "change data.val or data.test, or leave it out of data.classes."
            )


def _check_numbers(val: float, test: float, folds: int | None, fold: int | None) -> None:
    shares = {"val": val} if folds is not None else {"val": val, "test": test}
    for name, share in shares.items():
        if not 0 < share < 1:
            raise BadInput(f"data.{name}={share:g} must lie between 0 and 1, both excluded.")
    if sum(shares.values()) >= 1:
        raise BadInput(f"data.val={val:g} and data.test={test:g} leave nothing to train on.")
    if folds is None and fold is not None:
        raise BadInput(f"data.fold={fold} needs data.folds, the number of folds.")
    if folds is not None and folds < 2:
        raise BadInput(f"data.folds={folds} must be at least 2 (null for a plain split).")
    if folds is not None and (fold is None or not 0 <= fold < folds):
        given = "is missing" if fold is None else f"={fold} is out of range"
        raise BadInput(f"data.fold{' ' if fold is None else ''}{given}: it counts from 0 to {folds - 1}.")


def _check_groups(table: pd.DataFrame, folds: int | None) -> None:
    needed, purpose = _needed(folds)
    groups = table.groupby("class")["group"].nunique()
    small = groups[groups < needed]
    if len(small):
        name = small.index[0]
        raise _too_few(name, _size(table, name), len(small) - 1, needed, purpose)


def check_counts(photos: dict[str, int], folds: int | None) -> None:
    """The same from the number of photos alone: a class never has more groups than photos."""
    needed, purpose = _needed(folds)
    small = [name for name, count in photos.items() if count < needed]
    if small:
        raise _too_few(small[0], counted(photos[small[0]], "photo"), len(small) - 1, needed, purpose)


def _needed(folds: int | None) -> tuple[int, str]:
    """How many groups each class must have, and what for."""
    if folds is None:
        return 3, "train, val and test"
    return max(folds, 4 if folds == 2 else 3), f"{folds} folds with validation"


def _too_few(name: object, size: str, others: int, needed: int, purpose: str) -> BadInput:
    more = f" ({others} more {'class is' if others == 1 else 'classes are'} as small)" if others else ""
    return BadInput(
        f"The class {name!r} has {size}{more}; {purpose} need at least {needed} groups "
        "of each, for a group is never cut: add photos, or leave it out of data.classes."
    )


def _size(table: pd.DataFrame, name: object) -> str:
    rows = table[table["class"] == name]
    return f"{counted(len(rows), 'photo')} in {counted(rows['group'].nunique(), 'group')}"


def _dealing(table: pd.DataFrame) -> tuple[np.ndarray, csr_matrix, list[str]]:
    """Each row's group number, the groups' counts by class, and the first path of each."""
    by_path = np.argsort(table["path"].to_numpy(dtype=object))
    sorted_groups, names = pd.factorize(table["group"].to_numpy()[by_path])
    groups = np.empty_like(sorted_groups)
    groups[by_path] = sorted_groups
    labels = pd.factorize(table["class"], sort=True)[0]
    ones = np.ones(len(table), np.int64)
    counts = csr_matrix((ones, (groups, labels)), shape=(len(names), labels.max() + 1))
    first = np.unique(sorted_groups, return_index=True)[1]
    return groups, counts, table["path"].to_numpy(dtype=object)[by_path][first].tolist()


def _order(counts: csr_matrix, paths: list[str], word: str) -> np.ndarray:
    """Groups as they are dealt: large ones first, equal ones by lots that hang on this word and the photos alone."""
    lots = [hashlib.sha256(f"{word}/{path}".encode()).digest() for path in paths]
    sizes = np.asarray(counts.sum(axis=1)).ravel().tolist()
    return np.array(sorted(range(len(paths)), key=lambda group: (-sizes[group], lots[group])))
