"""Runs the list of checks over a folder; the audit adds its own to the list."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fishnet.data.check.findings import BLOCKS, NOTES, WARNS, Check, Finding, Folder
from fishnet.data.check.folder import balance, groups, hidden_conditions
from fishnet.data.check.photos import broken, changed, duplicated, in_two_classes, licences, tiny
from fishnet.data.index import build_index
from fishnet.data.manifest import read_manifest

CHECKS: list[Check] = [
    *(broken, in_two_classes, duplicated, tiny, licences, changed),
    *(groups, balance, hidden_conditions),
]
WEIGHTS = [BLOCKS, WARNS, NOTES]


def look(root: str, settings: dict, *, progress: bool = True) -> Folder:
    """The folder as training would index it, but with every refusal looked at instead of stumbled over."""
    index = build_index(
        root,
        manifest=settings["manifest"],
        classes=settings["classes"],
        positive=settings["positive"],
        duplicates="ignore",
        max_refused=1.0,
        progress=progress,
    )
    file = Path(settings["manifest"]).expanduser() if settings["manifest"] else index.root / "manifest.csv"
    manifest = read_manifest(file) if file.exists() else pd.DataFrame()
    return Folder(index.root, index.table, index.refused, index.classes, manifest, settings)


def check(folder: Folder, checks: Sequence[Check] = tuple(CHECKS)) -> list[Finding]:
    """The gravest first, each in the order of the list."""
    found = [finding for one in checks for finding in one(folder)]
    return sorted(found, key=lambda finding: WEIGHTS.index(finding.weight))


def blocks(found: list[Finding]) -> bool:
    return any(finding.weight == BLOCKS for finding in found)
