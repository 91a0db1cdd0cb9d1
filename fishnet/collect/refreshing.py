"""Asks the source again about every photo that was kept: licences are withdrawn, photos are deleted, and both count."""

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from sqlite3 import Row

from fishnet.collect.collection_folder import recover, remove
from fishnet.collect.ledger import COPY, KEPT, WITHDRAWN, Ledger
from fishnet.collect.photo import Photo
from fishnet.collect.progress import Bars
from fishnet.collect.sources.source import Source
from fishnet.errors import WorkFailed

MOST_AT_ONCE, ENOUGH_TO_DOUBT = 0.5, 20
DELETED_THERE = "deleted at the source"


async def refresh(
    root: Path, ledger: Ledger, source: Source, bars: Bars, *, drop_many: bool = False
) -> list[tuple[str, str, str]]:
    """Drop photos that the source does not have any more, or not under an accepted licence, and update the others.

    Nothing is dropped before all are asked for. Returns file, photo id and reason of each photo that was dropped.
    """
    recover(root, ledger)  # a refresh that was killed may have left the files of what it had dropped
    rows = list(ledger.photos(KEPT, COPY))
    verdicts: list[tuple[Row, Photo | None]] = []
    for folder, taxon in ledger.classes().items():
        known = {row["photo_id"]: row for row in rows if row["folder"] == folder}
        today: dict[str, Photo] = {}
        if known:
            bars.fetching(folder, 0, len(known))
            photos = [Photo(**{field.name: row[field.name] for field in fields(Photo)}) for row in known.values()]
            async for portion in source.today(taxon, photos):
                today |= {photo.photo_id: photo for photo in portion}
                bars.fetching(folder, len(today.keys() & known), len(known))
        verdicts += [(row, today.get(photo_id)) for photo_id, row in known.items()]
    dropped = [(row, photo) for row, photo in verdicts if photo is None or not source.accepts(photo)]
    if len(dropped) > max(ENOUGH_TO_DOUBT, MOST_AT_ONCE * len(rows)) and not drop_many:
        raise WorkFailed(
            f"{len(dropped)} of {len(rows)} photos would have to go, which looks like a source that is ill rather than "
            "like withdrawn licences; nothing was dropped. If it is right, say drop_many=true."
        )
    for row, photo in verdicts:
        if photo is not None and source.accepts(photo):
            ledger.update(row["folder"], replace(photo, url=row["url"]))
    return list(_drop(root, ledger, dropped))


def _drop(root: Path, ledger: Ledger, dropped: list[tuple[Row, Photo | None]]) -> Iterator[tuple[str, str, str]]:
    """With a kept photo its file goes, unless somebody else's copy of the same bytes stays: then the file is theirs."""
    gone = {(row["folder"], row["photo_id"]) for row, _ in dropped}
    copies = ledger.copies()
    for row, photo in dropped:
        reason = DELETED_THERE if photo is None else f"its licence is now {photo.licence}"
        path = f"{row['folder']}/{row['file']}"
        same_bytes = copies.get((row["folder"], row["sha256"]), [])
        heir = next((copy for copy in same_bytes if (copy["folder"], copy["photo_id"]) not in gone), None)
        if row["fate"] == KEPT and heir:
            ledger.inherited(row, reason, heir)
            reason += f"; the file is kept as {heir['photo_id']}"
        else:
            ledger.ended(row["folder"], row["photo_id"], WITHDRAWN, reason)
            if row["fate"] == KEPT:
                remove(root, path)
        yield path, row["photo_id"], reason
