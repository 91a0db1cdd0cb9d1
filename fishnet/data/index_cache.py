"""What is known of each photo: read once, kept in a file, not read again while size and time are the same.

The file lies in `.<folder>.fishnet/` beside the folder, or in the user's cache where that cannot be written. It is
replaced in one step and saved every few seconds, so a killed indexing goes on where it was; a lock makes a
second process wait for the first one's results instead of reading all again.
"""

import hashlib
import logging
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd

from fishnet.data.listing import Listing
from fishnet.data.scan import scan
from fishnet.data.store import with_bar
from fishnet.files import locked, replacing

_log = logging.getLogger(__name__)
_STATE = ("size", "mtime_ns", "ctime_ns")  # ctime: tools that edit may put mtime back
_FACTS = {"sha256": "object", "phash": "uint64", "width": "int32", "height": "int32", "reason": "object"}
_FILE = "index.parquet"
_VERSION = b"2"  # raise it when the loader's verdicts or the hash change
_SAVE_EVERY = 20.0  # seconds


def known_photos(
    listing: Listing, *, wanted: np.ndarray, workers: int | None = None, progress: bool = True
) -> pd.DataFrame:
    """One row for each wanted photo: path, class, what was read of it, and the reason where it was refused."""
    photos = _matched(listing)
    if (wanted & ~photos["done"]).any():
        waiting = f"Another process is reading the photos of {listing.root}: waiting for it."
        with locked(state_folder(listing.root) / "index.lock", waiting=waiting):
            photos = _matched(listing)
            _read_missing(photos, wanted & ~photos["done"], listing.root, workers, progress)
    return photos.loc[wanted, ["path", "class", *_FACTS]].reset_index(drop=True)


def state_folder(root: Path) -> Path:
    """Beside the folder (inside, it would pass for a class), or in the user's cache where that cannot be written."""
    beside, outside = _state_folders(root)
    try:
        beside.mkdir(exist_ok=True)
        probe = beside / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
        return beside
    except OSError:
        outside.mkdir(parents=True, exist_ok=True)
        return outside


def _state_folders(root: Path) -> tuple[Path, Path]:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fishnet" / "index"
    return root.with_name(f".{root.name}.fishnet"), cache / hashlib.sha256(os.fsencode(root)).hexdigest()[:16]


def _matched(listing: Listing) -> pd.DataFrame:
    """The listing with what is known of each unchanged photo; `done` says which those are."""
    listed = pd.DataFrame(listing.photos, columns=["path", "class", *_STATE])
    facts = {name: np.full(len(listed), "" if kind == "object" else 0, kind) for name, kind in _FACTS.items()}
    done = np.zeros(len(listed), bool)
    for folder in _state_folders(listing.root):
        known = _load(folder / _FILE)
        if known is None or known.empty:
            continue
        row = pd.Index(known["path"]).get_indexer(pd.Index(listed["path"]))
        same = (row >= 0) & ~done
        for name in _STATE:
            same &= known[name].to_numpy()[row] == listed[name].to_numpy()
        for name, values in facts.items():
            values[same] = known[name].to_numpy()[row[same]]
        done |= same
    return listed.assign(**facts, done=done)


def _read_missing(photos: pd.DataFrame, missing: np.ndarray, root: Path, workers: int | None, progress: bool) -> None:
    """Fills the rows of photos not read before, and saves what will stay true."""
    folder, saved = state_folder(root), time.monotonic()
    row_of = {str(root / path): row for row, path in photos.loc[missing, "path"].items()}
    columns = {name: photos[name].to_numpy(copy=True) for name in (*_FACTS, "done")}
    results = scan(list(row_of), workers=workers)
    try:
        for path, facts in with_bar(results, len(row_of), "reading photos", progress):
            row = row_of[path]
            for name in _FACTS:
                columns[name][row] = facts.get(name, columns[name][row])
            columns["done"][row] = not facts.get("again", False)
            if time.monotonic() - saved > _SAVE_EVERY:
                _save(photos.assign(**columns), folder)
                saved = time.monotonic()
    finally:
        for name, values in columns.items():
            photos[name] = values
        _save(photos, folder)


def _save(photos: pd.DataFrame, folder: Path) -> None:
    import pyarrow
    import pyarrow.parquet as parquet

    done = photos.loc[photos["done"], ["path", *_STATE, *_FACTS]]
    if done.empty:
        return
    table = pyarrow.Table.from_pandas(done, preserve_index=False).replace_schema_metadata({"fishnet": _VERSION})
    with replacing(folder / _FILE, alone=True) as temporary:
        parquet.write_table(table, temporary)


def _load(file: Path) -> pd.DataFrame | None:
    import pyarrow.parquet as parquet

    try:
        table = parquet.ParquetFile(file).read()
        if (table.schema.metadata or {}).get(b"fishnet") == _VERSION:
            return table.select(["path", *_STATE, *_FACTS]).to_pandas()
    except FileNotFoundError:
        pass
    except Exception as error:  # whatever is wrong with it, it can be made again
        _log.warning("The index %s is damaged (%s) and is made again.", file, type(error).__name__)
    return None
