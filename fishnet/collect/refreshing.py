"""Asks the source again about every photo that was kept: licences are withdrawn, photos are deleted, and both count."""

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

from fishnet.collect.collecting import recover
from fishnet.collect.copies import copies_of
from fishnet.collect.ledger import COPY, KEPT, WITHDRAWN, Ledger
from fishnet.collect.photo import Photo
from fishnet.collect.photo_files import remove
from fishnet.collect.sources.source import Source
from fishnet.collect.watcher import Watcher
from fishnet.errors import WorkFailed

MOST_AT_ONCE, ENOUGH_TO_DOUBT = 0.5, 20
DELETED_THERE = "deleted at the source"


async def refresh(
    root: Path, ledger: Ledger, source: Source, watcher: Watcher, *, drop_many: bool = False
) -> list[tuple[str, str, str]]:
    """(file, photo id, reason) of what was dropped; nothing is dropped before all has been asked."""
    recover(root, ledger)  # a refresh that was killed may have left the files of what it had given up
    rows = list(ledger.photos(KEPT, COPY))
    verdicts: list[tuple] = []
    for folder, taxon in ledger.classes().items():
        known = {row["photo_id"]: row for row in rows if row["folder"] == folder}
        today: dict[str, Photo] = {}
        if known:
            watcher.fetching(folder, 0, len(known))
            async for portion in source.today(taxon, [_photo(row) for row in known.values()]):
                today |= {photo.photo_id: photo for photo in portion}
                watcher.fetching(folder, len(today.keys() & known), len(known))
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


def _drop(root: Path, ledger: Ledger, dropped: list[tuple]) -> Iterator[tuple[str, str, str]]:
    """With a kept photo its file goes, unless somebody else's copy of the same bytes stays: then the file is theirs."""
    gone = {(row["folder"], row["photo_id"]) for row, _ in dropped}
    copies = copies_of(ledger)
    for row, photo in dropped:
        reason = DELETED_THERE if photo is None else f"its licence is now {photo.licence}"
        place = f"{row['folder']}/{row['file']}"
        others = [one for one in copies.get((row["folder"], row["sha256"]), []) if _key(one) not in gone]
        if row["fate"] == KEPT and others:
            ledger.inherited(row, reason, others[0])
            reason += f"; the file is kept as {others[0]['photo_id']}"
        else:
            ledger.ended(row["folder"], row["photo_id"], WITHDRAWN, reason)
            if row["fate"] == KEPT:
                remove(root, place)
        yield place, row["photo_id"], reason


def _key(row) -> tuple[str, str]:
    return row["folder"], row["photo_id"]


def _photo(row) -> Photo:
    return Photo(**{field.name: row[field.name] for field in fields(Photo)})
