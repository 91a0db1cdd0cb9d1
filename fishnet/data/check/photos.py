"""Checks that look at single photos and pairs of them."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from fishnet.data.check.findings import BLOCKS, NOTES, WARNS, Finding, Folder
from fishnet.data.groups import copies
from fishnet.text import counted

TINY = 64  # pixels of the shorter side: enlarged three times or more for a network of 224


def broken(folder: Folder) -> Iterator[Finding]:
    """Photos that no verb will use; too many of them stop a training."""
    count = len(folder.refused)
    if not count:
        return
    total = count + len(folder.table)
    most = folder.settings["max_refused"]
    listed = [f"{path}: {reason}" for path, reason in folder.refused[["path", "reason"]].head(3).to_numpy()]
    said = f"{counted(count, 'photo')} of {total} not usable ({'; '.join(listed)})"
    yield Finding("broken", BLOCKS if count > most * total else WARNS, said)


def duplicated(folder: Folder) -> Iterator[Finding]:
    """Equal bytes or near copies within a class: they are kept on one side of a split, and count as one."""
    table = folder.table.assign(picture=copies(folder.table))
    exact = table.duplicated(["sha256", "class"])
    near = table.duplicated(["picture", "class"]) & ~exact
    if exact.any():
        said = f"{counted(int(exact.sum()), 'photo')} with the bytes of another of the class"
        yield Finding("duplicated", WARNS, said, _shown(table[exact], "a copy"))
    if near.any():
        parted = folder.settings["duplicates"] == "ignore"
        kept = "data.duplicates=ignore may part them" if parted else "no split parts them"
        said = f"{counted(int(near.sum()), 'photo')} nearly the same as another of the class; {kept}"
        yield Finding("duplicated", NOTES, said, _shown(table[near], "a near copy"))


def in_two_classes(folder: Folder) -> Iterator[Finding]:
    """The same picture under two labels: one of the labels is wrong, or the picture shows both."""
    table = folder.table.assign(picture=copies(folder.table))
    several = table[table.groupby("picture")["class"].transform("nunique") > 1]
    if len(several):
        places = several.groupby("picture")["class"].transform(lambda names: " / ".join(sorted(set(names))))
        exact = int((several.groupby("sha256")["class"].nunique() > 1).sum())
        pictures = counted(several["picture"].nunique(), "picture")
        said = f"{pictures} in two classes or more ({counted(len(several), 'photo')}, {exact} with equal bytes)"
        order = several.assign(place=places).sort_values(["picture", "path"])
        yield Finding("label conflict", WARNS, said, list(zip(order["path"], order["place"], strict=True)))


def tiny(folder: Folder) -> Iterator[Finding]:
    table = folder.table.assign(shorter=folder.table[["width", "height"]].min(axis=1))
    small = table[table["shorter"] < TINY].sort_values("shorter", kind="stable")
    if len(small):
        sizes = zip(small["width"], small["height"], strict=True)
        shown = [(path, f"{wide} x {high}") for path, (wide, high) in zip(small["path"], sizes, strict=True)]
        yield Finding("tiny", WARNS, f"{counted(len(small), 'photo')} smaller than {TINY} pixels", shown)


def changed(folder: Folder) -> Iterator[Finding]:
    """Photos that are not what the manifest says was collected."""
    rows = folder.manifest
    if rows.empty or "path" not in rows:
        return
    now = folder.table.set_index("path")["sha256"]
    refused = set(folder.refused["path"])
    stated = rows.drop_duplicates("path").set_index("path")
    missing = [path for path in stated.index if path not in now.index and path not in refused]
    unknown = [path for path in now.index if path not in stated.index]
    if "sha256" in stated:
        both = stated.index.intersection(now.index)
        other = [path for path in both if stated.at[path, "sha256"] not in ("", now.at[path])]
        if other:
            said = f"{counted(len(other), 'photo')} with other bytes than were collected"
            yield Finding("changed", WARNS, said, [(path, "changed since") for path in other])
    if missing:
        yield Finding(
            "changed", NOTES, f"{counted(len(missing), 'photo')} of the manifest not there (such as {missing[0]})"
        )
    if unknown:
        yield Finding("changed", NOTES, f"{counted(len(unknown), 'photo')} not in the manifest (such as {unknown[0]})")


def licences(folder: Folder) -> Iterator[Finding]:
    """A photo without a licence may be trained on here and there, but not be shown or passed on."""
    rows = folder.table
    if folder.manifest.empty or "licence" not in folder.manifest:
        yield Finding("licences", NOTES, "there is no manifest with licences: who may see these photos is unknown")
        return
    known = folder.manifest.drop_duplicates("path").set_index("path")["licence"]
    stated = rows["path"].map(known).fillna("")
    missing = stated.isin(["", "unknown"]).to_numpy(dtype=bool)
    if missing.any():
        said = f"{counted(int(missing.sum()), 'photo')} without a licence"
        yield Finding("licences", WARNS, f"{said} (such as {rows.loc[missing, 'path'].iloc[0]})")
    closed = (stated == "all-rights-reserved").to_numpy(dtype=bool)
    if closed.any():
        said = f"{counted(int(closed.sum()), 'photo')} with all rights reserved: not to be shown or passed on"
        yield Finding("licences", WARNS, said)
    counts = stated[~missing].value_counts()
    if len(counts):
        yield Finding("licences", NOTES, ", ".join(f"{name} {count}" for name, count in counts.items()))


def _shown(rows: pd.DataFrame, what: str) -> list[tuple[str, str]]:
    return [(path, what) for path in np.asarray(rows["path"])]
