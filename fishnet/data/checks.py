"""What is wrong with a folder before an hour is spent training on it: a list of checks, each a function of its own.

A check sees the folder as training would index it, but with every refusal looked at instead of stumbled over. Who has
more to check (the audit, a verb) adds to the list.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from fishnet.data.duplicates import copies
from fishnet.data.index import build_index, check_classes, check_labels, chosen_folders, examples_of, grouped
from fishnet.data.listing import list_photos
from fishnet.data.manifest import comparable, in_their_spelling, read_manifest
from fishnet.data.splits import load_split, split
from fishnet.errors import BadInput
from fishnet.text import counted

TINY = 64  # pixels of the shorter side: enlarged three times or more for a network of 224
LOPSIDED = 10  # times as many photos in the largest class as in the smallest
Weight = Literal["blocks", "warns", "notes"]
WEIGHTS: tuple[Weight, ...] = ("blocks", "warns", "notes")  # the gravest first


@dataclass(frozen=True)
class Folder:
    """What a check sees."""

    root: Path
    table: pd.DataFrame  # the index without any grouping by copies
    refused: pd.DataFrame  # path and reason of photos that cannot be used
    classes: list[str]  # in the order of their labels
    folders: list[str]  # those that are looked at
    manifest: pd.DataFrame  # the rows on these photos; empty where there is no manifest
    settings: dict[str, Any]  # those of the data module


@dataclass(frozen=True)
class Finding:
    """What a check has found; `photos` are shown on the sheet, the worst first, each with what is wrong with it."""

    check: str
    weight: Weight
    text: str
    photos: list[tuple[str, str]] = field(default_factory=list)


Check = Callable[[Folder], Iterator[Finding]]


def read_folder(root: str, settings: dict[str, Any], *, progress: bool = True) -> Folder:
    """The folder as the checks see it."""
    listing = list_photos(root)
    same = {name: settings[name] for name in ("manifest", "classes", "positive")}
    index = build_index(
        root, **same, group="none", duplicates="ignore", progress=progress, listing=listing, forgiving=True
    )
    chosen = chosen_folders(listing.classes, settings["classes"], fewest=1)
    file = Path(settings["manifest"]).expanduser() if settings["manifest"] else index.root / "manifest.csv"
    manifest = pd.DataFrame()
    if file.exists():
        rows = in_their_spelling(read_manifest(file), [*index.table["path"], *index.refused["path"]])
        unread = [comparable(name) for name in {*listing.classes} - {*chosen}]
        manifest = rows[~rows["path"].map(comparable).str.split("/").str[0].isin(unread)]
    return Folder(index.root, index.table, index.refused, index.classes, chosen, manifest, settings)


def check(folder: Folder, checks: Sequence[Check] | None = None) -> list[Finding]:
    """The gravest first, each in the order of the list; of a folder without a usable photo only why it has none."""
    checks = (CHECKS if checks is None else checks) if len(folder.table) else (broken, complete)
    findings = (finding for function in checks for finding in function(folder))
    return sorted(findings, key=lambda finding: WEIGHTS.index(finding.weight))


def blocks(findings: list[Finding]) -> bool:
    """Whether training would refuse the folder."""
    return any(finding.weight == "blocks" for finding in findings)


# ---- single photos, and pairs of them


def broken(folder: Folder) -> Iterator[Finding]:
    """Photos that no verb will use; too many of them stop a training."""
    if count := len(folder.refused):
        total = count + len(folder.table)
        text = f"{counted(count, 'photo')} of {total} not usable ({examples_of(folder.refused)})"
        yield Finding("broken", "blocks" if count > folder.settings["max_refused"] * total else "warns", text)


def duplicated(folder: Folder) -> Iterator[Finding]:
    """Equal bytes or near copies within a class: they are kept on one side of a split, and count as one."""
    table = folder.table.assign(picture=copies(folder.table))
    exact = table.duplicated(["sha256", "class"])
    near = table.duplicated(["picture", "class"]) & ~exact
    if exact.any():
        text = f"{counted(int(exact.sum()), 'photo')} with the bytes of another of the class"
        yield Finding("duplicated", "warns", text, [(path, "a copy") for path in table["path"][exact]])
    if near.any():
        parted = folder.settings["duplicates"] == "ignore"
        kept = "data.duplicates=ignore may part them" if parted else "no split parts them"
        text = f"{counted(int(near.sum()), 'photo')} nearly the same as another of the class; {kept}"
        yield Finding("duplicated", "notes", text, [(path, "a near copy") for path in table["path"][near]])


def in_two_classes(folder: Folder) -> Iterator[Finding]:
    """The same picture under two labels: one of the labels is wrong, or the picture shows both."""
    table = folder.table.assign(picture=copies(folder.table))
    several = table[table.groupby("picture")["class"].transform("nunique") > 1]
    if len(several):
        classes = several.groupby("picture")["class"].transform(lambda names: " / ".join(sorted(set(names))))
        exact = int((several.groupby("sha256")["class"].nunique() > 1).sum())
        pictures = counted(several["picture"].nunique(), "picture")
        text = f"{pictures} in two classes or more ({counted(len(several), 'photo')}, {exact} with equal bytes)"
        order = several.assign(classes=classes).sort_values(["picture", "path"])
        yield Finding("label conflict", "warns", text, list(zip(order["path"], order["classes"], strict=True)))


def tiny(folder: Folder) -> Iterator[Finding]:
    """Photos that a network would mostly see enlarged."""
    table = folder.table.assign(shorter=folder.table[["width", "height"]].min(axis=1))
    small = table[table["shorter"] < TINY].sort_values("shorter", kind="stable")
    if len(small):
        sides = small[["path", "width", "height"]].to_numpy()
        photos = [(path, f"{width} x {height}") for path, width, height in sides]
        yield Finding("tiny", "warns", f"{counted(len(small), 'photo')} smaller than {TINY} pixels", photos)


def licences(folder: Folder) -> Iterator[Finding]:
    """A photo without a licence may be trained on here and there, but not be shown or passed on."""
    if folder.manifest.empty or "licence" not in folder.manifest:
        yield Finding("licences", "notes", "there is no manifest with licences: who may see these photos is unknown")
        return
    known = folder.manifest.drop_duplicates("path").set_index("path")["licence"]
    stated = folder.table["path"].map(known).fillna("")
    missing = stated.isin(["", "unknown"]).to_numpy(dtype=bool)
    if missing.any():
        example = folder.table.loc[missing, "path"].iloc[0]
        text = f"{counted(int(missing.sum()), 'photo')} without a licence (such as {example})"
        yield Finding("licences", "warns", text)
    if closed := int((stated == "all-rights-reserved").sum()):
        text = f"{counted(closed, 'photo')} with all rights reserved: not to be shown or passed on"
        yield Finding("licences", "warns", text)
    if counts := [f"{name} {count}" for name, count in stated[~missing].value_counts().items()]:
        yield Finding("licences", "notes", ", ".join(counts))


def changed(folder: Folder) -> Iterator[Finding]:
    """Photos that are not what the manifest says was collected."""
    if folder.manifest.empty or "path" not in folder.manifest:
        return
    now = folder.table.set_index("path")["sha256"]
    stated = folder.manifest.drop_duplicates("path").set_index("path")
    missing = stated.index[~stated.index.isin([*now.index, *folder.refused["path"]])]
    unknown = now.index[~now.index.isin(stated.index)]
    if "sha256" in stated:
        digests = stated["sha256"][stated.index.intersection(now.index)]
        if other := [str(path) for path, digest in digests.items() if digest not in ("", now.at[path])]:
            text = f"{counted(len(other), 'photo')} with other bytes than were collected"
            yield Finding("changed", "warns", text, [(path, "changed since") for path in other])
    for paths, what in ((missing, "of the manifest not there"), (unknown, "not in the manifest")):
        if len(paths):
            yield Finding("changed", "notes", f"{counted(len(paths), 'photo')} {what} (such as {paths[0]})")


# ---- the folder as a whole


def complete(folder: Folder) -> Iterator[Finding]:
    """A classifier needs two classes, and of each a photo."""
    of_folders = folder.table.assign(**{"class": folder.table["path"].str.split("/").str[0]})
    try:
        chosen_folders(folder.folders, None)
        check_classes(of_folders, folder.folders, folder.refused)
    except BadInput as error:
        yield Finding("classes", "blocks", str(error))


def groups(folder: Folder) -> Iterator[Finding]:
    """What must not be split, and whether a split can do without: as training does it, with the same settings."""
    settings = folder.settings
    if folder.table["label"].nunique() < max(2, len(folder.classes)):
        return  # no split can be made, and `complete` says why
    try:
        table, warnings = grouped(folder.table, settings["group"], settings["duplicates"])
        check_labels(table, folder.classes)
    except BadInput as error:
        yield Finding("groups", "blocks", str(error))
        return
    sizes = table.groupby("group").size()
    yield Finding("groups", "notes", f"{len(sizes)} groups of {len(table)} photos, the largest of {int(sizes.max())}")
    for warning in warnings:
        yield Finding("groups", "warns", warning)
    try:
        if settings["split_file"]:
            load_split(Path(settings["split_file"]).expanduser(), table)
        else:
            split(table, **{name: settings[name] for name in ("val", "test", "folds", "fold", "seed")})
    except BadInput as error:
        yield Finding("groups", "blocks", str(error))


def balance(folder: Folder) -> Iterator[Finding]:
    """How unequal the classes are in size."""
    counts = folder.table["class"].value_counts()
    times = counts.iloc[0] / counts.iloc[-1]
    text = f"{counts.iloc[-1]} ({counts.index[-1]}) to {counts.iloc[0]} ({counts.index[0]}) photos a class"
    if times >= LOPSIDED:
        text += f", {times:.0f} times as many: data.balance=weights or sampler helps"
    yield Finding("balance", "warns" if times >= LOPSIDED else "notes", text)


def hidden_conditions(folder: Folder) -> Iterator[Finding]:
    """Classes whose photos differ in size or source can be told apart without looking at an animal."""
    pixels = folder.table["width"] * folder.table["height"]
    sizes = pixels.groupby(folder.table["class"]).median()
    if len(sizes) > 1 and sizes.max() >= 4 * sizes.min():
        text = f"the median photo of {sizes.idxmax()} has {sizes.max() / sizes.min():.0f} times the pixels of "
        yield Finding("balance", "warns", f"{text}{sizes.idxmin()}'s: size alone would tell them apart")


CHECKS: tuple[Check, ...] = (
    *(broken, in_two_classes, duplicated, tiny, licences, changed),
    *(complete, groups, balance, hidden_conditions),
)
