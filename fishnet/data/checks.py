"""What is wrong with a folder before an hour is spent training on it: a list of checks, each a function of its own.

A check sees the folder as training would index it, but with every refusal looked at instead of stumbled over. Who has
more to check (the audit, a verb) adds to the list.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fishnet.data.conditions import hidden_conditions, leak
from fishnet.data.duplicates import copies
from fishnet.data.findings import WEIGHTS, Check, Finding, Folder
from fishnet.data.index import build_index, check_classes, check_labels, chosen_folders, examples_of, grouped, too_many
from fishnet.data.listing import folder_source
from fishnet.data.manifest import comparable, in_their_spelling, read_manifest
from fishnet.data.naming import naming_of
from fishnet.data.same_photo import Pair
from fishnet.data.splits import load_split, split
from fishnet.data.subjects import look_of, typed
from fishnet.errors import BadInput
from fishnet.images import CUT
from fishnet.text import counted

LONG = 0.25  # of a photo's length that a square out of its middle leaves out
FEW_LONG = 0.05  # of the photos: fewer long ones are not worth a word
TINY = 64  # pixels of the shorter side: enlarged three times or more for a network of 224
LOPSIDED = 10  # times as many photos in the largest class as in the smallest
PLAIN = 0.6  # of a picture in one tone: no photo of three folders of photos has more than 0.56
RARE = 0.1  # of a class: more pictures of that kind than this are what the class looks like


def read_folder(root: str, settings: dict[str, Any], *, progress: bool = True) -> Folder:
    """The folder as the checks see it."""
    source = folder_source(root, settings["classes"])
    listing = source.listing
    settings = settings | {
        "classes": settings["classes"] and [source.typed(name) for name in settings["classes"]],
        "positive": settings["positive"] and source.typed(settings["positive"]),
    }
    same = {name: settings[name] for name in ("manifest", "curation", "classes", "positive")}
    index = build_index(
        listing.root, **same, group="none", duplicates="ignore", progress=progress, listing=listing, forgiving=True
    )
    chosen = chosen_folders(listing.classes, settings["classes"], fewest=1)
    file = Path(settings["manifest"]).expanduser() if settings["manifest"] else index.root / "manifest.csv"
    manifest = pd.DataFrame()
    if file.exists():
        rows = in_their_spelling(read_manifest(file), [*index.table["path"], *index.refused["path"]])
        unread = [comparable(name) for name in {*listing.classes} - {*chosen}]
        manifest = rows[~rows["path"].map(comparable).str.split("/").str[0].isin(unread)]
    return Folder(
        index.root, index.table, index.refused, index.classes, chosen, manifest, settings, listing.warnings(), progress
    )


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
        stops = too_many(count, len(folder.table), folder.settings["max_refused"])
        yield Finding("broken", "blocks" if stops else "warns", text)


def cut(folder: Folder) -> Iterator[Finding]:
    """JPEGs whose lower part is missing, though their files end as whole ones do."""
    found = folder.table[folder.table["grey_rest"] >= CUT]
    if len(found):
        text = counted(len(found), "JPEG ends in a grey rest", "JPEGs end in a grey rest")
        text += ": data are missing, though the file was closed like a whole one; copy it anew, or leave it out"
        shown = [(path, f"{share:.0%} grey") for path, share in zip(found["path"], found["grey_rest"], strict=True)]
        yield Finding("cut", "warns", text, shown)


def left_out(folder: Folder) -> Iterator[Finding]:
    """Files that no verb looks at, and class folders that look alike."""
    for sentence in folder.left_out:
        yield Finding("left out", "notes", sentence)


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
    """Equal bytes under two labels: one of the labels is wrong, or the picture shows both."""
    several = folder.table[folder.table.groupby("sha256")["class"].transform("nunique") > 1]
    if len(several):
        order = several.sort_values(["sha256", "path"])
        pictures = counted(several["sha256"].nunique(), "picture")
        text = (
            f"{pictures} in two classes or more with equal bytes ({counted(len(several), 'photo')}): a label is wrong"
        )
        yield Finding("label conflict", "warns", text, [(path, "equal bytes") for path in order["path"]])


def look_alike(folder: Folder) -> Iterator[Finding]:
    """Near copies under two labels, the nearest first: one picture, or two that only look alike."""
    table = folder.table.assign(picture=copies(folder.table), row=np.arange(len(folder.table)))
    crossing = table[table.groupby("picture")["class"].transform("nunique") > 1].drop_duplicates(["sha256", "class"])
    both = crossing.merge(crossing, on="picture", suffixes=("", "_other"))
    both = both[(both["row"] < both["row_other"]) & (both["class"] != both["class_other"])]
    bits = np.bitwise_count(both["phash"].to_numpy(np.uint64) ^ both["phash_other"].to_numpy(np.uint64))
    both = both.assign(bits=bits)[both["sha256"] != both["sha256_other"]].sort_values(["bits", "row", "row_other"])
    if len(both):
        pairs = zip(both["path"], both["path_other"], both["bits"].tolist(), strict=True)
        shown = [(path, f"{bits} bits of 64 apart") for *pair, bits in pairs for path in pair]
        text = counted(len(both), "pair of photos in two classes looks", "pairs of photos in two classes look")
        text += " alike: compare them, the nearest first"
        yield Finding("look-alikes", "warns", text, shown)


def same_photo(folder: Folder) -> Iterator[Finding]:
    """Crops and other versions of one photo, and scenes photographed twice, where features are in the cache."""
    versions = sorted((pair for pair in folder.pairs if pair.one_photo), key=lambda pair: -pair.alike)
    scenes = sorted((pair for pair in folder.pairs if pair.one_scene), key=lambda pair: -pair.points)
    classes = folder.table["class"].tolist()
    if versions:
        crossing = sum(classes[pair.left] != classes[pair.right] for pair in versions)
        kept = (
            "data.duplicates=ignore parts them" if folder.settings["duplicates"] == "ignore" else "they stay together"
        )
        text = counted(len(versions), "pair of files shows one photo", "pairs of files show one photo")
        text += f", {crossing} of them in two classes; {kept}"
        yield Finding("same photo", "warns", text, _side_by_side(folder, versions))
    if scenes:
        text = (
            counted(len(scenes), "pair of photos shows", "pairs of photos show")
            + " one place or animal, perhaps; nothing keeps them together"
        )
        yield Finding("same scene", "notes", text, _side_by_side(folder, scenes))


def _side_by_side(folder: Folder, pairs: Sequence[Pair]) -> list[tuple[str, str]]:
    paths = folder.table["path"].tolist()
    return [(paths[row], f"{pair.points} points in common") for pair in pairs for row in (pair.left, pair.right)]


def placeholders(folder: Folder) -> Iterator[Finding]:
    """Pictures that are mostly one tone and rare in their class, such as `image not found`."""
    table = folder.table
    plain = table["plain_share"] >= PLAIN
    rare = plain.groupby(table["class"]).transform("mean") <= RARE
    odd = table[plain & rare].sort_values(["plain_share", "path"], ascending=[False, True])
    if len(odd):
        photos = [
            (path, f"{share:.0%} of one tone") for path, share in zip(odd["path"], odd["plain_share"], strict=True)
        ]
        text = f"{counted(len(odd), 'picture')} mostly of one tone, unlike the class: placeholders, text or drawings?"
        yield Finding("placeholder", "warns", text, photos)


def tiny(folder: Folder) -> Iterator[Finding]:
    """Photos that a network would mostly see enlarged."""
    table = folder.table.assign(shorter=folder.table[["width", "height"]].min(axis=1))
    small = table[table["shorter"] < TINY].sort_values("shorter", kind="stable")
    if len(small):
        sides = small[["path", "width", "height"]].to_numpy()
        photos = [(path, f"{width} x {height}") for path, width, height in sides]
        yield Finding("tiny", "warns", f"{counted(len(small), 'photo')} smaller than {TINY} pixels", photos)


def is_long(table: pd.DataFrame) -> "pd.Series[bool]":
    """Of each photo, whether a square out of its middle leaves out more than a quarter of its length."""
    sides = table[["width", "height"]]
    return sides.min(axis=1) < (1 - LONG) * sides.max(axis=1)


def long_photos(folder: Folder) -> Iterator[Finding]:
    """Photos of which a network sees the middle alone, where they are cropped."""
    table = folder.table[is_long(folder.table)]
    share = len(table) / len(folder.table)
    if share >= FEW_LONG:
        sides = table.assign(ratio=table["width"] / table["height"]).sort_values("ratio", kind="stable")
        photos = [
            (path, f"{width} x {height}") for path, width, height in sides[["path", "width", "height"]].to_numpy()
        ]
        text = f"{share:.0%} of the photos lose more than a quarter of their length to a square out of their middle"
        yield Finding(
            "long", "notes", f"{text}: model.fit=squash shows them whole, model.fit=pad on a plain ground", photos
        )


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
        table, warnings = grouped(folder.table, settings["group"], settings["duplicates"], folder.root)
        check_labels(table, folder.classes)
    except BadInput as error:
        yield Finding("groups", "blocks", str(error))
        return
    sizes = table.groupby("group").size()
    groups, photos = counted(len(sizes), "group"), counted(len(table), "photo")
    yield Finding("groups", "notes", f"{groups} of {photos}, the largest of {int(sizes.max())}")
    for warning in warnings:
        yield Finding("groups", "warns", warning)
    naming = naming_of(folder.table) if settings["group"] in ("auto", "none", None) else None
    if naming and not naming.sure:
        yield Finding("groups", "notes", f"perhaps {look_of(naming)}; if they are, say {typed(naming.pattern)}")
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


CHECKS: tuple[Check, ...] = (
    *(broken, cut, left_out, in_two_classes, look_alike, same_photo, duplicated, placeholders, tiny, long_photos),
    *(licences, changed, complete, groups, leak, balance, hidden_conditions),
)
