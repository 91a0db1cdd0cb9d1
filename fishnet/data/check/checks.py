"""Checks that look at the folder as a whole: groups, balance, whether a split is possible at all."""

from collections.abc import Iterator
from pathlib import Path

from fishnet.data.check.findings import BLOCKS, NOTES, WARNS, Finding, Folder
from fishnet.data.index import check_classes, check_labels, chosen_folders, grouped
from fishnet.data.split_file import load_split
from fishnet.data.splits import split
from fishnet.errors import BadInput

LOPSIDED = 10  # times as many photos in the largest class as in the smallest


def complete(folder: Folder) -> Iterator[Finding]:
    """A classifier needs two classes, and of each a photo."""
    of_folders = folder.table.assign(**{"class": folder.table["path"].str.split("/").str[0]})
    try:
        chosen_folders(folder.folders, None)
        check_classes(of_folders, folder.folders, folder.refused)
    except BadInput as error:
        yield Finding("classes", BLOCKS, str(error))


def groups(folder: Folder) -> Iterator[Finding]:
    """What must not be split, and whether a split can do without: as training does it, with the same settings."""
    settings = folder.settings
    if folder.table["label"].nunique() < max(2, len(folder.classes)):
        return  # no split can be asked for, and `complete` says why
    try:
        table, said = grouped(folder.table, settings["group"], settings["duplicates"])
        check_labels(table, folder.classes)
    except BadInput as error:
        yield Finding("groups", BLOCKS, str(error))
        return
    sizes = table.groupby("group").size()
    yield Finding("groups", NOTES, f"{len(sizes)} groups of {len(table)} photos, the largest of {int(sizes.max())}")
    for line in said:
        yield Finding("groups", WARNS, line)
    how = {name: settings[name] for name in ("val", "test", "folds", "fold", "seed")}
    try:
        if settings["split_file"]:
            load_split(Path(settings["split_file"]).expanduser(), table)
        else:
            split(table, **how)
    except BadInput as error:
        yield Finding("groups", BLOCKS, str(error))


def balance(folder: Folder) -> Iterator[Finding]:
    counts = folder.table["class"].value_counts()
    most, least = counts.index[0], counts.index[-1]
    times = counts.iloc[0] / counts.iloc[-1]
    said = f"{counts.iloc[-1]} ({least}) to {counts.iloc[0]} ({most}) photos a class"
    if times >= LOPSIDED:
        said += f", {times:.0f} times as many: data.balance=weights or sampler helps"
    yield Finding("balance", WARNS if times >= LOPSIDED else NOTES, said)


def hidden_conditions(folder: Folder) -> Iterator[Finding]:
    """Classes whose photos differ in size or source can be told apart without looking at an animal."""
    sizes = (
        folder.table.assign(pixels=folder.table["width"] * folder.table["height"]).groupby("class")["pixels"].median()
    )
    if len(sizes) > 1 and sizes.max() >= 4 * sizes.min():
        large, small = sizes.idxmax(), sizes.idxmin()
        said = f"the median photo of {large} has {sizes.max() / sizes.min():.0f} times the pixels of {small}'s"
        yield Finding("balance", WARNS, f"{said}: size alone would tell them apart")
