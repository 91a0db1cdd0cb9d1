"""A folder of photos becomes a table: one row a usable photo, with its class and its group.

Every later room speaks of photos by their row here, so the order is fixed (by path) and the whole has a
digest.
"""

import csv
import difflib
import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fishnet.data.duplicates import merged
from fishnet.data.groups import copies, stated_groups
from fishnet.data.index_cache import known_photos, state_folder
from fishnet.data.listing import Listing, list_photos
from fishnet.data.manifest import with_manifest
from fishnet.errors import BadInput, WorkFailed
from fishnet.files import replacing

DUPLICATES = ("group", "drop", "ignore")


@dataclass(frozen=True)
class Index:
    """`table` has path, label, class, sha256, phash, width, height, group and the manifest's columns."""

    root: Path
    table: pd.DataFrame
    refused: pd.DataFrame
    classes: list[str]
    digest: str
    warnings: list[str]


def build_index(
    root: Path | str,
    *,
    manifest: Path | str | None = None,
    classes: Sequence[str] | None = None,
    positive: str | None = None,
    group: str | None = None,
    duplicates: str = "group",
    max_refused: float = 0.1,
    workers: int | None = None,
    progress: bool = True,
    listing: Listing | None = None,
    fewest: int = 2,
    forgiving: bool = False,
) -> Index:
    """Reads each photo once, ever; a second call on an unchanged folder only looks at names and times.

    A model that knows its classes can be asked about a folder that holds a single one of them (`fewest=1`); who wants
    to tell what is wrong with a folder takes it as it is (`forgiving`).
    """
    _check_arguments(duplicates, max_refused)
    fewest, max_refused = (1, 1.0) if forgiving else (fewest, max_refused)
    listing = listing or list_photos(root)
    chosen = chosen_folders(listing.classes, classes, fewest)
    selected = frozenset(chosen)
    wanted = np.array([name in selected for _, name, *_ in listing.photos], bool)
    photos = known_photos(listing, wanted=wanted, workers=workers, progress=progress)
    refused = _refused(photos, listing, chosen)
    _check_refused(refused, len(photos) + len(listing.refused), max_refused, listing.root)
    table = photos[photos["reason"] == ""].drop(columns="reason").reset_index(drop=True)
    if not forgiving:
        check_classes(table, chosen, refused)
    names, table = _labelled(table, chosen, positive)
    unread = set(listing.classes) - set(chosen)
    table, said = with_manifest(table, set(refused["path"]), listing.root, manifest, unread)
    table, grouping = grouped(table, group, duplicates)
    if not forgiving:
        check_labels(table, names)
    warnings = [*listing.warnings(), *said, *grouping]
    return Index(listing.root, table, refused, names, data_digest(table), warnings)


def data_digest(table: pd.DataFrame) -> str:
    """Equal digests: the same photos, byte for byte, under the same labels."""
    columns = (table[name].tolist() for name in ("path", "sha256", "label"))
    rows = sorted(f"{path}\0{sha256}\0{label}\n" for path, sha256, label in zip(*columns, strict=True))
    return hashlib.sha256("".join(rows).encode()).hexdigest()


def _check_arguments(duplicates: str, max_refused: float) -> None:
    if duplicates not in DUPLICATES:
        raise BadInput(f"data.duplicates={duplicates!r} is not one of {', '.join(DUPLICATES)}.")
    if not 0 <= max_refused <= 1:
        raise BadInput(f"data.max_refused={max_refused} must be a share between 0 and 1.")


def class_counts(
    folders: dict[str, int], classes: Sequence[str] | None, positive: str | None, fewest: int = 2
) -> dict[str, int]:
    """Each class, in the order of the labels, with its photos: from the folders with theirs."""
    chosen = chosen_folders(list(folders), classes, fewest)
    if positive is None:
        return {name: folders[name] for name in chosen}
    one = _folder(positive, chosen)
    return {f"not {one}": sum(folders[name] for name in chosen if name != one), one: folders[one]}


def chosen_folders(found: list[str], classes: Sequence[str] | None, fewest: int = 2) -> list[str]:
    chosen = found if classes is None else sorted({_folder(name, found) for name in classes})
    if len(chosen) < fewest:
        only = f"only the class {chosen[0]!r}" if chosen else "no class"
        raise BadInput(f"There is {only} to tell apart: a classifier needs at least two class folders.")
    return chosen


def _folder(name: str, found: Sequence[str]) -> str:
    """The class as its folder spells it: accents typed in another encoding are the same name."""
    same = [one for one in found if unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", name)]
    if name in found or len(same) == 1:
        return name if name in found else same[0]
    near = difflib.get_close_matches(name, found, n=3, cutoff=0.4) or found[:5]
    raise BadInput(f"There is no class {name!r}; did you mean {' or '.join(map(repr, near))}?")


def _refused(photos: pd.DataFrame, listing: Listing, chosen: list[str]) -> pd.DataFrame:
    unnamed = [row for row in listing.refused if row[0].split("/", 1)[0] in chosen]
    broken = photos.loc[photos["reason"] != "", ["path", "reason"]]
    return pd.concat([broken, pd.DataFrame(unnamed, columns=["path", "reason"], dtype=object)], ignore_index=True)


def _check_refused(refused: pd.DataFrame, count: int, max_refused: float, root: Path) -> None:
    if not len(refused):
        return
    file = state_folder(root) / "refused.csv"
    with replacing(file) as temporary:
        refused.to_csv(temporary, index=False, quoting=csv.QUOTE_MINIMAL)
    if len(refused) > max_refused * count:
        first = "; ".join(f"{path}: {reason}" for path, reason in refused[["path", "reason"]].head(3).to_numpy())
        raise WorkFailed(
            f"{len(refused)} of {count} photos cannot be used, more than data.max_refused={max_refused:g} "
            f"allows ({first}; all are listed in {file})."
        )


def check_classes(table: pd.DataFrame, chosen: list[str], refused: pd.DataFrame) -> None:
    empty = sorted(set(chosen) - set(table["class"]))
    if empty:
        broken = refused[refused["path"].str.startswith(f"{empty[0]}/")] if len(refused) else refused
        why = (
            f" ({len(broken)} refused, such as {': '.join(broken.iloc[0][['path', 'reason']])})" if len(broken) else ""
        )
        raise BadInput(
            f"The class folder {empty[0]!r} holds no usable photo{why}: fill it, remove it, or name the "
            "others in data.classes."
        )


def _labelled(table: pd.DataFrame, chosen: list[str], positive: str | None) -> tuple[list[str], pd.DataFrame]:
    if positive is None:
        labels = {name: label for label, name in enumerate(chosen)}
        return chosen, table.assign(label=table["class"].map(labels).astype(np.int64))
    one = _folder(positive, chosen)
    names = [f"not {one}", one]
    label = (table["class"] == one).astype(np.int64)
    return names, table.assign(label=label, **{"class": [names[number] for number in label]})


def grouped(table: pd.DataFrame, group: str | None, duplicates: str) -> tuple[pd.DataFrame, list[str]]:
    stated, said = stated_groups(table, group)
    same_picture = copies(table)
    if duplicates == "ignore":
        return table.assign(group=stated), [*said, *_what_may_straddle(stated, same_picture)]
    table = table.assign(group=merged(stated, same_picture))
    if duplicates == "drop":
        table, dropped = _without_copies(table, same_picture)
        said += dropped
    return table, said


def _what_may_straddle(stated: np.ndarray, same_picture: np.ndarray) -> list[str]:
    spread = pd.Series(stated).groupby(same_picture).nunique()
    clusters = int((spread > 1).sum())
    if not clusters:
        return []
    photos = int(np.isin(same_picture, spread.index[spread > 1]).sum())
    return [
        f"data.duplicates=ignore: {photos} photos form {clusters} clusters of near copies that may straddle "
        "the split; a test score may be too good."
    ]


def _without_copies(table: pd.DataFrame, same_picture: np.ndarray) -> tuple[pd.DataFrame, list[str]]:
    """One photo of each picture and class; equal bytes under two labels all go, for one label is wrong.

    Near copies under two labels stay, in one group: across classes they are more often look-alikes than
    errors.
    """
    labels = table.groupby("sha256")["label"].transform("nunique")
    contradicted = (labels > 1).to_numpy()
    repeated = table.assign(picture=same_picture)[~contradicted].duplicated(["picture", "label"])
    kept = table[~contradicted][~repeated].reset_index(drop=True)
    said = []
    if repeated.any():
        said.append(f"data.duplicates=drop: {int(repeated.sum())} copies were left out.")
    if contradicted.any():
        example = table.loc[contradicted, "path"].iloc[0]
        said.append(
            f"data.duplicates=drop: {int(contradicted.sum())} photos lie in two classes with equal bytes and "
            f"were all left out (such as {example})."
        )
    return kept, said


def check_labels(table: pd.DataFrame, names: list[str]) -> None:
    for label, name in enumerate(names):
        if not (table["label"] == label).any():
            raise BadInput(f"The class {name!r} holds no photo that is not also in another class.")
