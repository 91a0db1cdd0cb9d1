"""Which photos train, which validate, which test: a pure function of the table.

No group is ever cut, each class keeps its share in each part, and the answer depends on the seed and the
photos alone: not on the order of rows, nor on the version of a random generator.

Groups are assigned by one greedy rule for fractions and for folds. scikit-learn's StratifiedGroupKFold makes equal
folds only and takes minutes for 100,000 groups; the parts made here differ from the wanted shares by less than the
largest group.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from fishnet.errors import BadInput
from fishnet.files import replacing
from fishnet.text import counted

_log = logging.getLogger(__name__)
PARTS = ("train", "val", "test")


def split(
    table: pd.DataFrame, *, val: float = 0.15, test: float = 0.15, folds: int | None = None, fold: int | None = None,
    seed: int = 0,
) -> pd.Series:  # fmt: skip
    """The word train, val or test for each row.

    With `folds`, the test part is fold number `fold` (from 0), `val` is a share of what remains, `test` is not used.
    """
    check_shares(val, test, folds, fold)
    sizes = {str(name): count for name, count in table.groupby("class")["group"].nunique().items()}
    _check_sizes(sizes, lambda name: _size(table, name), folds)
    groups, counts, paths = _group_counts(table)
    order = _group_order(counts, paths, f"{seed}")
    if folds is None:
        parts = assign_groups(counts, order, [1 - val - test, val, test])
    else:
        least = 2 if folds == 2 else 1  # what remains, here one fold, must itself be parted into train and val
        tested = assign_groups(counts, order, [1 / folds] * folds, least=least) == fold
        own = _group_order(counts, paths, f"{seed}/{fold}")  # else all folds would validate on mostly the same photos
        number = np.cumsum(~tested) - 1  # of a group among those that are not tested
        parts = np.full(len(tested), 2)
        parts[~tested] = assign_groups(counts[~tested], number[own[~tested[own]]], [1 - val, val])
    assignment = pd.Series(np.array(PARTS, dtype=object)[parts[groups]], index=table.index, name="split")
    check_parts(table, assignment)
    return assignment


def split_digest(table: pd.DataFrame, assignment: pd.Series) -> str:
    """Equal digests: the same photos, byte for byte, in the same parts."""
    rows = sorted(zip(table["path"], table["sha256"], assignment, strict=True))
    return hashlib.sha256("".join("\0".join(row) + "\n" for row in rows).encode()).hexdigest()


# ---- what cannot be split


def check_shares(val: float, test: float, folds: int | None, fold: int | None) -> None:
    """Refuse shares and fold numbers that no table can be split by."""
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
        given = " is missing" if fold is None else f"={fold} is out of range"
        raise BadInput(f"data.fold{given}: it counts from 0 to {folds - 1}.")


def check_counts(photos: dict[str, int], folds: int | None) -> None:
    """Refuse classes too small for any split before a photo is read: a class never has more groups than photos."""
    _check_sizes(photos, lambda name: counted(photos[name], "photo"), folds)


def _check_sizes(groups: dict[str, int], size_of: Callable[[str], str], folds: int | None) -> None:
    needed, purpose = 3, "train, val and test"
    if folds is not None:
        needed, purpose = max(folds, 4 if folds == 2 else 3), f"{folds} folds with validation"
    small = [name for name, count in groups.items() if count < needed]
    if small:
        others = len(small) - 1
        more = f" ({others} more {'class is' if others == 1 else 'classes are'} as small)" if others else ""
        raise BadInput(
            f"The class {small[0]!r} has {size_of(small[0])}{more}; {purpose} need at least {needed} groups "
            "of each, for a group is never cut: add photos, or leave it out of data.classes."
        )


def check_parts(table: pd.DataFrame, assignment: pd.Series) -> None:
    """Every class must occur in every part: a score over classes that were never trained or tested says nothing."""
    counts = pd.crosstab(table["class"], assignment).reindex(columns=PARTS, fill_value=0)
    for name, row in counts.iterrows():
        if missing := " and ".join(row.index[row == 0]):
            raise BadInput(
                f"The class {name!r} ({_size(table, name)}) gets no photo in {missing}: add photos, "
                "change data.val or data.test, or leave it out of data.classes."
            )


def _size(table: pd.DataFrame, name: object) -> str:
    rows = table[table["class"] == name]
    return f"{counted(len(rows), 'photo')} in {counted(rows['group'].nunique(), 'group')}"


# ---- groups into parts


def _group_counts(table: pd.DataFrame) -> tuple[np.ndarray, csr_matrix, list[str]]:
    """Each row's group number, the groups' counts by class, and the first path of each."""
    first = table[["group", "path"]].sort_values("path").drop_duplicates("group")
    groups = pd.Index(first["group"]).get_indexer(pd.Index(table["group"]))
    labels = pd.factorize(table["class"], sort=True)[0]
    counts = csr_matrix((np.ones(len(table), np.int64), (groups, labels)), shape=(len(first), labels.max() + 1))
    return groups, counts, first["path"].tolist()


def _group_order(counts: csr_matrix, paths: list[str], word: str) -> np.ndarray:
    """Large groups first, equal ones by lots that hang on this word and the photos alone."""
    digests = b"".join(hashlib.sha256(f"{word}/{path}".encode()).digest()[:8] for path in paths)
    lots = np.frombuffer(digests, ">u8").astype(np.uint64)
    return np.lexsort((lots, -np.asarray(counts.sum(axis=1)).ravel()))


def assign_groups(counts: csr_matrix, order: np.ndarray, shares: Sequence[float], *, least: int = 1) -> np.ndarray:
    """A part number for each group; `counts` is groups by classes, `order` says who is first.

    Each group goes where it lessens the squared distance from the wanted counts most; when that is equal, to the part
    that is least full. Afterwards a part with fewer than `least` groups of a class gets the smallest of another part.
    """
    classes, numbers, starts = (array.tolist() for array in (counts.indices, counts.data, counts.indptr))
    totals = np.asarray(counts.sum(axis=0)).ravel().tolist()
    lacking, filled = [[share * total for total in totals] for share in shares], [0.0 for _ in shares]
    parts = np.zeros(counts.shape[0], np.int64)
    for group in order.tolist():
        entries = range(starts[group], starts[group + 1])
        row = [(classes[entry], numbers[entry]) for entry in entries]
        costs = [
            (round(sum(n * (n - 2 * lacking[part][c]) / totals[c] for c, n in row), 9), filled[part], part)
            for part in range(len(shares))
        ]
        parts[group] = part = min(costs)[2]
        filled[part] += sum(n for _, n in row) / shares[part]
        for c, n in row:
            lacking[part][c] -= n
    _fill_gaps(counts, parts, order, len(shares), least)
    return parts


def _fill_gaps(counts: csr_matrix, parts: np.ndarray, order: np.ndarray, many: int, least: int) -> None:
    """Move groups, the smallest first, so that each of `many` parts holds `least` groups of each class where that can
    be."""
    held = np.zeros((many, counts.shape[1]), np.int64)  # groups
    np.add.at(held, (np.repeat(parts, np.diff(counts.indptr)), counts.indices), 1)
    by_class, place = counts.tocsc(), np.argsort(order)
    for part, c in np.argwhere(held < least).tolist():
        holders = by_class.indices[by_class.indptr[c] : by_class.indptr[c + 1]]
        for group in holders[np.argsort(-place[holders])].tolist():
            donor = parts[group]
            own = counts.indices[counts.indptr[group] : counts.indptr[group + 1]]
            if held[part, c] < least and donor != part and (held[donor, own] > least).all():
                parts[group] = part
                held[donor, own] -= 1
                held[part, own] += 1


# ---- a split on disk


def save_split(table: pd.DataFrame, assignment: pd.Series, path: Path | str) -> None:
    """A table that `load_split` (and so `data.split_file`) reads again, so that runs can be compared."""
    rows = table[["path", "sha256", "class", "group"]].assign(split=assignment).sort_values("path")
    with replacing(Path(path)) as temporary:
        rows.to_csv(temporary, index=False, lineterminator="\n")


def load_split(path: Path | str, table: pd.DataFrame) -> pd.Series:
    """The saved part of each row, by path or by its bytes if it was moved; a photo without a part is an error."""
    saved = _read_split(Path(path))
    part = table["path"].map(saved.drop_duplicates("path").set_index("path")["split"])
    present = saved["path"].isin(table["path"])
    if "sha256" in saved:
        by_bytes = saved[saved["sha256"] != ""].drop_duplicates("sha256").set_index("sha256")["split"]
        part = part.fillna(table["sha256"].map(by_bytes))
        present |= saved["sha256"].isin(table["sha256"])
    if len(missing := table.loc[part.isna(), "path"]):
        raise BadInput(
            f"{len(missing)} of {len(table)} photos are not in the split {path} (such as {missing.iloc[0]}): "
            "make a new split, or give the folder and classes for which it was made."
        )
    if not present.all():
        _log.warning("Not in the folder, of the split %s: %s.", path, counted(int((~present).sum()), "photo"))
    cut = part.groupby(table["group"]).nunique() > 1
    if cut.any():
        example = table.loc[table["group"] == cut.index[cut][0], "path"].iloc[0]
        raise BadInput(
            f"The split {path} cuts {int(cut.sum())} groups that must stay together (such as that of {example}): "
            "make a new split, or state the grouping for which it was made (data.group, data.duplicates)."
        )
    check_parts(table, part)
    return part.rename("split")


def _read_split(path: Path) -> pd.DataFrame:
    try:
        saved = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise BadInput(f"There is no split file {path}: check data.split_file.") from None
    except (ValueError, OSError) as error:  # pandas' parser and Unicode errors are ValueErrors
        raise BadInput(f"{path} cannot be read as a split, a UTF-8 table with commas.") from error
    if not {"path", "split"} <= set(saved.columns):
        raise BadInput(f"{path} is not a split: it needs the columns path and split.")
    if strange := sorted(set(saved["split"]) - set(PARTS)):
        raise BadInput(f"{path} has the part {strange[0]!r}; parts are train, val and test.")
    return saved
