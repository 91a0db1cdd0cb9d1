"""Runs the list of checks over a folder; the audit adds its own to the list."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fishnet.data.check.checks import balance, complete, groups, hidden_conditions
from fishnet.data.check.findings import BLOCKS, NOTES, WARNS, Check, Finding, Folder
from fishnet.data.check.photos import broken, changed, duplicated, in_two_classes, licences, tiny
from fishnet.data.index import Index, build_index, chosen_folders
from fishnet.data.listing import list_photos
from fishnet.data.manifest import comparable, in_their_spelling, read_manifest

CHECKS: list[Check] = [
    *(broken, in_two_classes, duplicated, tiny, licences, changed),
    *(complete, groups, balance, hidden_conditions),
]
WEIGHTS = [BLOCKS, WARNS, NOTES]


def look(root: str, settings: dict, *, progress: bool = True) -> Folder:
    """The folder as training would index it, but with every refusal looked at instead of stumbled over."""
    listing = list_photos(root)
    index = build_index(
        root,
        manifest=settings["manifest"],
        classes=settings["classes"],
        positive=settings["positive"],
        duplicates="ignore",
        progress=progress,
        listing=listing,
        forgiving=True,
    )
    chosen = chosen_folders(listing.classes, settings["classes"], fewest=1)
    manifest = _manifest(index, settings["manifest"], unread={*listing.classes} - {*chosen})
    return Folder(index.root, index.table, index.refused, index.classes, chosen, manifest, settings)


def _manifest(index: Index, given: str | None, unread: set[str]) -> pd.DataFrame:
    """Its rows on the classes that are looked at."""
    file = Path(given).expanduser() if given else index.root / "manifest.csv"
    if not file.exists():
        return pd.DataFrame()
    rows = in_their_spelling(read_manifest(file), [*index.table["path"], *index.refused["path"]])
    return rows[~rows["path"].map(comparable).str.split("/").str[0].isin([comparable(name) for name in unread])]


def check(folder: Folder, checks: Sequence[Check] = tuple(CHECKS)) -> list[Finding]:
    """The gravest first, each in the order of the list; of a folder without a usable photo only why it has none."""
    checks = checks if len(folder.table) else (broken, complete)
    found = [finding for one in checks for finding in one(folder)]
    return sorted(found, key=lambda finding: WEIGHTS.index(finding.weight))


def blocks(found: list[Finding]) -> bool:
    return any(finding.weight == BLOCKS for finding in found)
