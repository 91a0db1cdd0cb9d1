"""Arrays by photo digest in one memory-mapped file: written once, never half there.

`data.bin` holds the arrays one behind the other, `rows.npy` says where. A row is written down only after its bytes
have reached the disk, so a killed process loses what it had not written down and nothing else; the next one goes on
from there. What does not fit together (a file cut short, other settings) is made anew.
"""

import json
import logging
import mmap
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from fishnet.errors import WorkFailed
from fishnet.files import locked, replacing
from fishnet.progress import with_progress

_log = logging.getLogger("fishnet")
_ROW = np.dtype([("key", "S80"), ("offset", "<i8"), ("shape", "<i4", (3,))])
_WRITE_DOWN_EVERY = 10.0  # seconds

Made = Iterator[tuple[int, np.ndarray]]  # positions with their arrays, in any order


class Stored:
    """Arrays of some keys, in their order, read through the page cache; it may be pickled for another process."""

    def __init__(self, file: Path, dtype: np.dtype, offsets: np.ndarray, shapes: np.ndarray) -> None:
        self.file, self.dtype = file, dtype
        self.offsets, self.shapes = offsets.tolist(), [*map(tuple, shapes.tolist())]  # plain numbers: used often
        with open(file, "rb") as opened:
            self._bytes = memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, position: int) -> np.ndarray:
        return np.ndarray(self.shapes[position], self.dtype, self._bytes, self.offsets[position])

    def __reduce__(self) -> tuple:
        return Stored, (self.file, self.dtype, np.array(self.offsets), np.array(self.shapes))


class Store:
    """A folder of arrays of one kind, made when the first array is kept; arrays of other settings are thrown away."""

    def __init__(self, folder: Path, *, dtype: str, about: dict[str, Any]) -> None:
        self.folder, self.dtype = folder, np.dtype(dtype)
        self.about = json.dumps({**about, "dtype": dtype}, sort_keys=True)
        self.data, self.rows, self.made_by = folder / "data.bin", folder / "rows.npy", folder / "about.json"

    def missing(self, keys: Sequence[str]) -> np.ndarray:
        """Positions of the keys (each digest once) that are not here yet."""
        known = set(self._known()["key"].tolist())
        first = {key.encode(): len(keys) - 1 - back for back, key in enumerate(reversed(keys))}
        return np.array(sorted(position for key, position in first.items() if key not in known), dtype=np.int64)

    def holds(self, keys: Sequence[str]) -> np.ndarray:
        """Whether the array of each key is here."""
        known = set(self._known()["key"].tolist())
        return np.array([key.encode() in known for key in keys], bool)

    def read(self, keys: Sequence[str], shapes: np.ndarray | None = None) -> Stored:
        """The arrays of these keys, all of which are here (with these shapes); else the store is damaged."""
        known = self._known()
        order = np.argsort(known["key"])
        wanted = np.array([key.encode() for key in keys], dtype=_ROW["key"])
        number = order[np.minimum(np.searchsorted(known["key"], wanted, sorter=order), len(known) - 1)]
        shapes = known["shape"][number] if shapes is None else shapes
        if not (np.array_equal(known["key"][number], wanted) and np.array_equal(known["shape"][number], shapes)):
            raise WorkFailed(f"The cache in {self.folder} is damaged: delete it and start again.")
        return Stored(self.data, self.dtype, known["offset"][number], known["shape"][number])

    def fill(
        self, keys: Sequence[str], shapes: np.ndarray, make: Callable[[np.ndarray], Made], *, label: str,
        progress: bool = True,
    ) -> None:  # fmt: skip
        """Keep the arrays that are missing, as `make` yields them; of two processes, one works and the other waits."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / "lock", waiting=f"{label}: another process is at it; waiting for it."):
            missing = self.missing(keys)
            if len(missing):
                made = with_progress(make(missing), len(missing), label, shown=progress)
                self._write((keys[position], array.reshape(shapes[position])) for position, array in made)

    def _write(self, made: Iterator[tuple[str, np.ndarray]]) -> None:
        known = self._known()
        end = _end(known, self.dtype)
        new: list[tuple[bytes, int, tuple[int, ...]]] = []  # rows whose bytes may not have reached the disk
        with replacing(self.made_by, alone=True) as temporary:
            temporary.write_text(self.about)
        file = os.open(self.data, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            os.ftruncate(file, end)  # what an earlier process had not written down
            written_down = time.monotonic()
            for key, array in made:
                row = (key.encode(), end, array.shape)
                left = memoryview(np.ascontiguousarray(array, dtype=self.dtype).tobytes())
                while left:
                    count = os.pwrite(file, left, end)
                    left, end = left[count:], end + count
                new.append(row)
                if time.monotonic() - written_down > _WRITE_DOWN_EVERY:
                    known, new = self._write_down(file, known, new), []
                    written_down = time.monotonic()
        finally:
            try:
                known = self._write_down(file, known, new)
            finally:  # a full disk is given back what cannot be used
                os.ftruncate(file, _end(known, self.dtype))
                os.close(file)

    def _write_down(self, file: int, known: np.ndarray, new: list[tuple]) -> np.ndarray:
        if not new:
            return known
        os.fsync(file)
        known = np.concatenate([known, np.array(new, dtype=_ROW)])
        with replacing(self.rows, alone=True) as temporary, open(temporary, "wb") as rows:
            np.save(rows, known)
        return known

    def _known(self) -> np.ndarray:
        """The rows written down; none where they do not fit the settings or the data, which is said once."""
        if not self.rows.exists():
            return np.zeros(0, _ROW)
        rows = _read_rows(self.rows)
        if rows is None:
            wrong = "it is damaged"
        elif not (self.made_by.exists() and self.data.exists()):
            wrong = "a part of it is missing"
        elif self.made_by.read_text(errors="replace") != self.about:
            wrong = "it was made by other settings"
        elif self.data.stat().st_size < _end(rows, self.dtype):
            wrong = "it is cut short"
        else:
            return rows
        _log.warning("The cache in %s cannot be used (%s): it is made again.", self.folder, wrong)
        for file in (self.rows, self.data):  # unlinked, not cut short: another process may have them mapped
            file.unlink(missing_ok=True)
        return np.zeros(0, _ROW)


class SharedStore:
    """Arrays of one kind that several processes keep: each fills a store of its own, for a store is filled by a single
    process at a time, and who reads, reads all of them.

    Args:
        folder: the store of a process that works alone; in it lie those of the others, `NAME-1-of-2` and the like.
        dtype: of the arrays.
        about: as in `Store`.
    """

    def __init__(self, folder: Path, *, dtype: str, about: dict[str, Any]) -> None:
        self.folder, self.dtype, self.about = folder, np.dtype(dtype), about

    def own(self, name: str = "") -> Store:
        """The store that one process fills."""
        return Store(self.folder / name, dtype=self.dtype.name, about=self.about)

    def holds(self, keys: Sequence[str]) -> np.ndarray:
        """Whether the array of each key is in any of them."""
        return np.any([store.holds(keys) for store in self._stores()], axis=0)

    def read(self, keys: Sequence[str]) -> list[np.ndarray]:
        """The arrays of these keys, mapped and not read; all of them are held."""
        arrays, left = [np.zeros(0, self.dtype)] * len(keys), np.ones(len(keys), bool)
        for store in self._stores():
            found = np.flatnonzero(left & store.holds(keys)).tolist()
            if found:
                stored = store.read([keys[position] for position in found])
                for number, position in enumerate(found):
                    arrays[position] = stored[number]
                left[found] = False
        if left.any():
            raise WorkFailed(f"What was kept in {self.folder} has been deleted meanwhile: start again.")
        return arrays

    def _stores(self) -> list[Store]:
        others = sorted(path.name for path in self.folder.glob("*-of-*") if path.is_dir())
        return [self.own(name) for name in ("", *others)]


def is_store(folder: Path) -> bool:
    """Whether a Store has made this folder."""
    return store_in(folder) is not None


def store_in(folder: Path) -> Store | None:
    """The store that has made this folder, with the settings by which it was made."""
    with suppress(OSError, ValueError):
        about = json.loads((folder / "about.json").read_text())
        if isinstance(about, dict) and "dtype" in about and (folder / "data.bin").is_file():
            return Store(folder, dtype=about.pop("dtype"), about=about)
    return None


def _read_rows(file: Path) -> np.ndarray | None:
    """None where these are no rows, whatever they are."""
    try:
        rows = np.load(file, allow_pickle=False)
        sound = rows.dtype == _ROW and rows.ndim == 1 and (rows["offset"] >= 0).all() and (rows["shape"] > 0).all()
    except OSError:
        raise
    except Exception:
        return None
    return rows if sound else None


def _end(rows: np.ndarray, dtype: np.dtype) -> int:
    """Where the last array of these rows ends, in bytes."""
    sizes = rows["shape"].astype(np.int64).prod(axis=1) * dtype.itemsize
    return int((rows["offset"] + sizes).max(initial=0))
