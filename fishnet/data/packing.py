"""A folder of photos is packed into a stream: chunk by chunk, so that a command that was ended goes on.

Beside each new chunk lies its own table until the table of all photos is there. What a stream holds already is not
packed again: photos that were added to the folder, or another folder of other photos, come behind it.
"""

import hashlib
import io
import logging
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from fishnet.cells import defused_table, restored_table
from fishnet.data.chunks import Missing, Place, chunk_of
from fishnet.data.index import FACTS, known_photos
from fishnet.data.listing import FolderSource
from fishnet.data.packed import PHOTOS, TABLES, WHERE, chunk_name, litdata_index, read_table, write_table
from fishnet.errors import BadInput, WorkFailed
from fishnet.images import RefusedImage, read_bytes
from fishnet.progress import with_progress
from fishnet.text import counted

log = logging.getLogger("fishnet")

MEGABYTE = 2**20


class Packed(NamedTuple):
    """What a command has done: photos of the stream, those that it has added, those refused, and its chunks."""

    photos: int
    added: int
    refused: int
    chunks: int


def pack(source: FolderSource, place: Place, *, chunk_mb: int, most_refused: float = 0.1) -> Packed:
    """Pack the photos of a folder that a stream does not hold yet.

    Args:
        source: the folder.
        place: of the stream; what lies there is a stream, or nothing.
        chunk_mb: a chunk ends with the photo by which it has so many megabytes.
        most_refused: the share of the photos that may be unreadable.
    """
    before = _kept(place)
    folder = known_photos(source.listing, wanted=np.ones(len(source.listing.photos), bool))
    refused = folder["reason"] != ""
    if refused.sum() > most_refused * len(folder):
        raise WorkFailed(
            f"{int(refused.sum())} of {len(folder)} photos cannot be used, more than data.max_refused={most_refused:g} "
            f"allows (such as {folder.loc[refused, 'path'].iloc[0]}: {folder.loc[refused, 'reason'].iloc[0]})."
        )
    held = {*zip(before["path"], before["sha256"], strict=True)}
    is_new = [pair not in held for pair in zip(folder["path"], folder["sha256"], strict=True)]
    new = folder[np.array(is_new, bool) & ~refused]
    _warn_of_kept(before, folder, new)
    parts = [_placed(folder[refused], -1, [0] * int(refused.sum()), [0] * int(refused.sum())), before]
    number = int(before["chunk"].max()) + 1 if len(before) else 0
    for chunk in _chunks(source, new, chunk_mb * MEGABYTE):
        data, starts = chunk_of([photo for _, photo in chunk])
        rows = folder.loc[[row for row, _ in chunk]]
        table = _placed(rows, number, starts, [len(photo) for _, photo in chunk])
        place.write(chunk_name(number), data)
        write_table(place, _table_name(number), table)
        parts.append(table)
        number += 1
    everything = pd.concat(parts, ignore_index=True).drop_duplicates("path", keep="last")
    everything = everything.sort_values("path", ignore_index=True)
    _write_tables(source, place, everything)
    return Packed(len(everything) - int((everything["chunk"] < 0).sum()), len(new), int(refused.sum()), number)


def _kept(place: Place) -> pd.DataFrame:
    """What the stream holds, and what commands that were ended have added."""
    names = place.names()
    found = read_table(place)
    tables = [name for name in names if name.startswith("chunk-0-") and name.endswith(".parquet")]
    if found is None and not tables and any(not name.startswith((".", "chunk-0-")) for name in names):
        raise BadInput(f"out={place.address} holds other files: give a new folder, or that of a stream.")
    empty = pd.DataFrame({name: [] for name in ("path", "class", *WHERE, *FACTS)}).astype({**WHERE, **FACTS})
    parts = [empty if found is None else found, *(read_table(place, name) for name in tables)]
    photos = pd.concat([part for part in parts if part is not None], ignore_index=True)
    return _there(place, photos.drop_duplicates("path", keep="last"))


def _there(place: Place, photos: pd.DataFrame) -> pd.DataFrame:
    """The rows whose chunk is there to its end; what the others held is as if it had never been packed."""
    held = photos[photos["chunk"] >= 0]
    lost = []
    ends = (held["start"] + held["size"]).groupby(held["chunk"]).max()
    for chunk, end in zip(ends.index.tolist(), ends.tolist(), strict=True):
        try:
            place.read(chunk_name(chunk), end - 1, 1)
        except Missing:
            lost.append(chunk)
            many = counted(int((held["chunk"] == chunk).sum()), "photo")
            log.warning(
                "warning: %s is missing or cut short: of its %s, those of this folder are packed again.",
                *(chunk_name(chunk), many),
            )
    return photos[~photos["chunk"].isin(lost)]


def _warn_of_kept(before: pd.DataFrame, folder: pd.DataFrame, new: pd.DataFrame) -> None:
    """Photos of the stream that the folder has not, or not any more: whether they belong there only its owner knows."""
    held = before[before["chunk"] >= 0]
    other = held[~held["path"].isin(folder["path"])]
    if len(other):
        words = (counted(len(other), "photo"), other["path"].iloc[0])
        log.warning("warning: the stream holds %s that are not in this folder, such as %s; they stay.", *words)
    known = held.drop_duplicates("sha256").set_index("sha256")["class"]
    moved = new[new["sha256"].isin(known.index)]
    moved = moved[moved["sha256"].map(known) != moved["class"]]
    if len(moved):
        path, digest = moved[["path", "sha256"]].iloc[0]
        log.warning(
            "warning: the stream holds %s of this folder in another class too, such as %s (%s there): pack the folder "
            "into a new stream if they have moved.",
            *(counted(len(moved), "photo"), path, known[digest]),
        )


def _chunks(source: FolderSource, photos: pd.DataFrame, size: int) -> Iterator[list[tuple[int, bytes]]]:
    """Rows of photos with their bytes, as many as a chunk holds."""
    chunk: list[tuple[int, bytes]] = []
    held = 0  # bytes
    rows = zip(photos.index.tolist(), photos["path"], photos["sha256"], strict=True)
    for row, path, digest in with_progress(rows, len(photos), "packing"):
        try:
            data = read_bytes(source.root / path)
        except RefusedImage as error:
            raise WorkFailed(f"{source.root / path} was changed while it was being packed ({error}).") from None
        if hashlib.sha256(data).hexdigest() != digest:
            raise WorkFailed(f"{source.root / path} was changed while it was being packed: start again.")
        chunk.append((row, data))
        held += len(data)
        if held >= size:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk


def _placed(rows: pd.DataFrame, chunk: int, starts: list[int], sizes: list[int]) -> pd.DataFrame:
    table = rows.assign(chunk=chunk, start=starts, size=sizes)
    return table[["path", "class", *WHERE, *FACTS]].astype({**WHERE, **FACTS})


def _table_name(chunk: int) -> str:
    return f"{chunk_name(chunk).removesuffix('.bin')}.parquet"


def _write_tables(source: FolderSource, place: Place, photos: pd.DataFrame) -> None:
    """What stands beside the chunks; the table of all photos last, and then the chunks' own are taken away."""
    for name in TABLES:
        if (source.root / name).is_file():
            place.write(name, _joined(source, place, name))
    chunks = []
    for number in sorted({*photos.loc[photos["chunk"] >= 0, "chunk"].tolist()}):
        items = int.from_bytes(place.read(chunk_name(number), 0, 4), "little")
        end = int.from_bytes(place.read(chunk_name(number), 4 * (items + 1), 4), "little")
        chunks.append((chunk_name(number), end, items))
    place.write("index.json", litdata_index(chunks).encode())
    write_table(place, PHOTOS, photos)
    for name in place.names():
        if name.startswith("chunk-0-") and name.endswith(".parquet"):
            place.remove(name)


def _joined(source: FolderSource, place: Place, name: str) -> bytes:
    """The folder's table behind that of the stream, whose rows of the same photo, or class, it replaces."""
    own = (source.root / name).read_bytes()
    try:
        before = place.read(name)
    except Missing:
        return own
    if before == own:
        return own
    tables = [_table(data, f"{where}: {name}") for data, where in ((before, place.address), (own, source.root))]
    key = "path" if "path" in tables[1] else tables[1].columns[0]
    joined = pd.concat(tables, ignore_index=True).fillna("").drop_duplicates(key, keep="last")
    return defused_table(joined).to_csv(index=False).encode()


def _table(data: bytes, name: str) -> pd.DataFrame:
    try:
        return restored_table(pd.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False, encoding="utf-8-sig"))
    except Exception as error:  # of whatever kind: people edit these
        raise BadInput(f"{name} is no table with commas in UTF-8 ({type(error).__name__}): mend it.") from None
