"""The tables beside the photos: the manifest that every other verb reads, the classes' names, and what is missing."""

import csv
import hashlib
import logging
import os
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path

from fishnet.cells import defused_row
from fishnet.collect.ledger import COPY, DELETED, FAILED, KEPT, REFUSED, WITHDRAWN, Ledger
from fishnet.files import replacing

log = logging.getLogger("fishnet")

COLUMNS = [
    *("path", "class", "sha256", "source", "photo_id", "observation_id", "observer", "licence", "attribution", "url"),
    *("taken_on", "lat", "lon", "fetched_at"),
]
MANIFEST, CLASSES, NOT_KEPT = "manifest.csv", "classes.csv", "not_kept.csv"


def write_tables(ledger: Ledger, root: Path, source: str) -> None:
    """Write the manifest, the classes, and what is not kept; a manifest that a person has edited is renamed first."""
    file = root / MANIFEST
    ours = (ledger.note("manifest"), ledger.note("manifest_before"))
    if file.exists() and hashlib.sha256(file.read_bytes()).hexdigest() not in ours:
        aside = next(path for n in count(1) if not (path := file.with_name(f"manifest.edited-{n}.csv")).exists())
        os.replace(file, aside)
        log.warning("%s had been changed by hand: that one is %s now", file, aside.name)
    ledger.write_note("manifest", _write(file, COLUMNS, _manifest_rows(ledger, source), ledger))
    classes = ledger.classes().items()
    names = [(folder, taxon.identity, taxon.name, taxon.rank, taxon.common_name) for folder, taxon in classes]
    _write(root / CLASSES, ["class", "taxon_id", "name", "rank", "common_name"], names)
    keys = ("folder", "photo_id", "url", "fate", "reason")
    lost = ([row[key] for key in keys] for row in ledger.photos(REFUSED, FAILED, COPY, DELETED, WITHDRAWN))
    _write(ledger.file.with_name(NOT_KEPT), ["class", *keys[1:]], lost)


def _manifest_rows(ledger: Ledger, source: str) -> Iterator[list[str]]:
    """A row for each kept photo, by class and number, with the observers and attributions of its copies too."""
    copies = ledger.copies()
    rows = sorted(ledger.photos(KEPT), key=lambda row: (row["folder"], len(row["photo_id"]), row["photo_id"]))
    for row in rows:
        same_bytes = [row, *copies.get((row["folder"], row["sha256"]), [])]
        values = {**row, "path": f"{row['folder']}/{row['file']}", "class": row["folder"], "source": source}
        for name in ("attribution", "observer"):
            values[name] = " | ".join(dict.fromkeys(owner[name] for owner in same_bytes if owner[name]))
        yield [values[name] for name in COLUMNS]


def _write(file: Path, columns: list[str], rows: Iterable, ledger: Ledger | None = None) -> str:
    """Write a table, whole or not at all; returns its digest, which a `ledger` notes before the table is in place."""
    with replacing(file, alone=True) as hidden:
        with open(hidden, "w", newline="", encoding="utf-8") as out:
            table = csv.writer(out)
            table.writerow(columns)
            table.writerows(map(defused_row, rows))
        digest = hashlib.sha256(hidden.read_bytes()).hexdigest()
        if ledger is not None:  # whichever of the two is there after a kill is ours
            ledger.write_note("manifest_before", ledger.note("manifest"))
            ledger.write_note("manifest", digest)
    return digest
