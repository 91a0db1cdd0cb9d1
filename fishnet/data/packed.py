"""A stream: photos in chunks, and the table that says where each is and what its folder's index says of it.

The table (`photos.parquet`) takes the place of looking through a folder: a stream is split, grouped and labelled as the
folder was, and no photo is read for it. Each is held against its digest whenever it is read.
"""

import hashlib
import io
import json
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fishnet.data.chunks import S3, Folder, Missing, Place, place_of
from fishnet.data.listing import FolderSource, Listing
from fishnet.errors import BadInput, WorkFailed
from fishnet.files import write_whole

if TYPE_CHECKING:
    import pandas as pd

PHOTOS = "photos.parquet"
TABLES = ("manifest.csv", "classes.csv")  # of the folder, as they are
FORMAT = b"1"
WHERE = {"chunk": "int32", "start": "int64", "size": "int64"}  # chunk -1: a photo that was refused, and is not there
FARTHEST = 2**40  # bytes
MAKE = "`fishnet pack data.root=FOLDER out=STREAM` makes one"


def chunk_name(number: int) -> str:
    """As litData calls it."""
    return f"chunk-0-{number}.bin"


def is_stream(root: str | Path) -> bool:
    """Whether a folder of this disk is a stream; an address in an object store is taken for one."""
    return str(root).startswith(S3) or (Path(root).expanduser() / PHOTOS).is_file()


def read_table(place: Place, name: str = PHOTOS) -> "pd.DataFrame | None":
    """What a stream, or a part of one that is being made, says of its photos; None where there is none."""
    import pyarrow.parquet as parquet

    from fishnet.data.index import FACTS

    try:
        data = place.read(name)
    except Missing:
        return None
    try:
        table = parquet.ParquetFile(io.BytesIO(data)).read()
        fits = (table.schema.metadata or {}).get(b"fishnet_stream") == FORMAT
        photos = table.select(["path", "class", *WHERE, *FACTS]).to_pandas() if fits else None
        if photos is not None and any(not _is_text(table[name]) for name in ("path", "class")):
            raise ValueError("names are no text")
        photos = None if photos is None else photos.astype({**WHERE, **FACTS})
        row = None if photos is None else _impossible(photos)
    except Exception as error:  # of whatever kind: it comes from elsewhere
        why = type(error).__name__
        raise BadInput(f"{place.address}: {name} is damaged ({why}): pack anew, or restore it.") from None
    if photos is None:
        raise BadInput(f"{place.address}: {name} is of another version of fishnet pack: pack anew.")
    if row is not None:
        raise BadInput(f"{place.address}: {name} is damaged (row {row}): pack anew, or restore it.")
    return photos


def _is_text(column: Any) -> bool:
    """Whether all values of an Arrow column are strings."""
    from pyarrow import types

    text = types.is_string(column.type) or types.is_large_string(column.type)
    return not len(column) or (text and not column.null_count)


def _impossible(photos: "pd.DataFrame") -> int | None:
    """The first row that `fishnet pack` cannot have written: a path that leads elsewhere, or a place that is none."""
    here = photos["start"].between(0, FARTHEST) & photos["size"].between(0, FARTHEST) & (photos["chunk"] >= -1)
    parts = photos["path"].str.split("/")
    named = parts.map(lambda parts: not {"", ".", ".."} & {*parts}) & ~photos["path"].str.contains("\0", regex=False)
    named &= ~photos["class"].str.contains("/", regex=False) & ~photos["class"].isin(["", ".", ".."])
    fits = here & named & ~photos["path"].duplicated()
    fits &= photos["sha256"].str.fullmatch("[0-9a-f]{64}") | (photos["chunk"] < 0)
    return None if fits.all() else int((~fits.to_numpy(bool)).argmax())


def write_table(place: Place, name: str, photos: "pd.DataFrame") -> None:
    """Whole or not at all."""
    import pyarrow
    import pyarrow.parquet as parquet

    file = io.BytesIO()
    table = pyarrow.Table.from_pandas(photos, preserve_index=False)
    parquet.write_table(table.replace_schema_metadata({"fishnet_stream": FORMAT}), file)
    place.write(name, file.getvalue())


class StreamSource(FolderSource):
    """The photos of a stream, none of which is a file.

    What is kept beside a folder is kept beside the stream, or, of one in an object store, in the user's cache.

    Args:
        root: the folder of the stream, or `s3://bucket/prefix`.
    """

    is_folder = False

    def __init__(self, root: str) -> None:
        self.place = place_of(root)
        super().__init__(str(self.place.path if isinstance(self.place, Folder) else _beside(self.place)))
        self.given = root

    @cached_property
    def photos(self) -> "pd.DataFrame":
        """A row a photo, by path."""
        found = read_table(self.place)
        if found is None:
            raise BadInput(f"data.root={self.given} is no stream: {MAKE}.")
        if not isinstance(self.place, Folder):
            self.root.mkdir(parents=True, exist_ok=True)
            for name in TABLES:
                try:
                    write_whole(self.root / name, self.place.read(name).decode("utf-8-sig", "replace"))
                except Missing:
                    (self.root / name).unlink(missing_ok=True)
        return found

    @cached_property
    def listing(self) -> Listing:
        photos = self.photos.assign(mtime_ns=0, ctime_ns=0)
        rows = photos[["path", "class", "size", "mtime_ns", "ctime_ns"]].itertuples(index=False, name=None)
        return Listing(self.root, sorted({*photos["class"]}), list(rows), known=photos)

    def check(self) -> None:
        if isinstance(self.place, Folder) and not is_stream(self.place.path):
            raise BadInput(f"data.root={self.given} is no stream: {MAKE}.")

    def photo(self, path: str) -> bytes:
        """A photo's bytes, which are those that were packed."""
        row = self._rows[path]
        chunk, start, size = (int(self.photos[name].to_numpy()[row]) for name in WHERE)
        try:
            data = self.place.read(chunk_name(chunk), start, size)
        except Missing:
            raise WorkFailed(
                f"{self.given}: {chunk_name(chunk)}, which holds {path}, is missing or cut short: restore it, or say "
                "`fishnet pack` again, which packs what is lost."
            ) from None
        if hashlib.sha256(data).hexdigest() != self.photos["sha256"].iat[row]:
            raise WorkFailed(
                f"{self.given}: {chunk_name(chunk)}, which holds {path}, was changed: restore it, or delete it and "
                "say `fishnet pack` again."
            )
        return data

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {path: row for row, path in enumerate(self.photos["path"])}


def _beside(place: Place) -> Path:
    """What this machine keeps of a stream elsewhere."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fishnet" / "streams"
    return cache / hashlib.sha256(place.address.encode()).hexdigest()[:16] / place.address.rpartition("/")[2]


def litdata_index(chunks: "list[tuple[str, int, int]]") -> str:
    """litData's own index: of each chunk its name, bytes and items."""
    listed: list[dict[str, Any]] = [
        {"filename": name, "chunk_bytes": size, "chunk_size": items, "dim": None} for name, size, items in chunks
    ]
    leaf = json.dumps([1, {"type": None, "context": None, "children_spec": []}])
    config = dict.fromkeys(
        ("chunk_bytes", "compression", "compression_batch_size", "compression_level", "encryption", "ipc_compression")
    )
    config |= {"chunk_size": max((items for *_, items in chunks), default=1)}  # type: ignore[dict-item]
    config |= {"data_format": ["bytes"], "data_spec": leaf, "item_loader": "PyTreeLoader", "types": "bytes"}  # type: ignore[dict-item]
    return json.dumps({"chunks": listed, "config": config}, sort_keys=True)
