"""The tables beside the photos: the manifest that every other verb reads, the classes' real names, the refused."""

import csv
import hashlib
import logging
import os
from collections.abc import Iterable
from pathlib import Path

from fishnet.collect.copies import copies_of
from fishnet.collect.ledger import COPY, DELETED, FAILED, KEPT, REFUSED, WITHDRAWN, Ledger
from fishnet.files import replacing

log = logging.getLogger("fishnet")

COLUMNS = [
    *("path", "class", "sha256", "source", "photo_id", "observation_id", "observer", "licence", "attribution", "url"),
    *("taken_on", "lat", "lon", "fetched_at"),
]
MANIFEST, CLASSES, NOT_KEPT = "manifest.csv", "classes.csv", "not_kept.csv"


def write_tables(ledger: Ledger, root: Path, source: str) -> None:
    """Manifest, classes and refused photos as they are now; a manifest that a person has edited is put aside first."""
    put_aside(ledger, root / MANIFEST)
    rows = _manifest_rows(ledger, source)
    ledger.write_note("manifest", _replace(root / MANIFEST, COLUMNS, rows, before=ledger))
    names = [(folder, one.identity, one.name, one.rank, one.common_name) for folder, one in ledger.classes().items()]
    _replace(root / CLASSES, ["class", "taxon_id", "name", "rank", "common_name"], names)
    _write_not_kept(ledger)


def _write_not_kept(ledger: Ledger) -> None:
    """Every photo that was found and is not there, with the reason; beside the ledger."""
    named = ("folder", "photo_id", "url", "fate", "reason")
    lost = ledger.photos(REFUSED, FAILED, COPY, DELETED, WITHDRAWN)
    rows = ([row[name] for name in named] for row in lost)
    _replace(ledger.file.with_name(NOT_KEPT), ["class", *named[1:]], rows)


def put_aside(ledger: Ledger, file: Path) -> None:
    """A user's own changes are kept under another name."""
    if not file.exists():
        return
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if digest in (ledger.note("manifest"), ledger.note("manifest_before")):
        return
    number = 1
    while (aside := file.with_name(f"manifest.edited-{number}.csv")).exists():
        number += 1
    os.replace(file, aside)
    log.warning("%s had been changed by hand: that one is %s now", file, aside.name)


def _manifest_rows(ledger: Ledger, source: str) -> Iterable[list[str]]:
    also = copies_of(ledger)
    rows = sorted(ledger.photos(KEPT), key=lambda row: (row["folder"], len(row["photo_id"]), row["photo_id"]))
    for row in rows:
        others = also.get((row["folder"], row["sha256"]), [])
        together = {name: _joined([row, *others], name) for name in ("attribution", "observer")}
        told = {"path": f"{row['folder']}/{row['file']}", "class": row["folder"], "source": source, **together}
        yield [told.get(name) or row[name] if name in told else row[name] for name in COLUMNS]


def _joined(rows: list, name: str) -> str:
    return " | ".join(dict.fromkeys(row[name] for row in rows if row[name]))


def _replace(file: Path, columns: list[str], rows: Iterable, before: Ledger | None = None) -> str:
    with replacing(file, alone=True) as hidden:
        with open(hidden, "w", newline="", encoding="utf-8") as out:
            table = csv.writer(out)
            table.writerow(columns)
            table.writerows(rows)
        digest = hashlib.sha256(hidden.read_bytes()).hexdigest()
        if before is not None:  # whichever of the two is there after a kill is ours
            before.write_note("manifest_before", before.note("manifest"))
            before.write_note("manifest", digest)
    return digest
