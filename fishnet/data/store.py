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
from pathlib import Path
from typing import Any

import numpy as np

from fishnet.errors import WorkFailed
from fishnet.files import locked, replacing

_log = logging.getLogger("fishnet")
_ROW = np.dtype([("key", "S80"), ("offset", "<i8"), ("shape", "<i4", (3,))])
_WRITE_DOWN_EVERY = 10.0  # seconds

Made = Iterator[tuple[int, np.ndarray]]  # positions with their arrays, in any order


class Stored:
    """Arrays of some keys, in their order, read through the page cache; it may be pickled for another process."""

    def __init__(self, file: Path, dtype: np.dtype, offsets: np.ndarray, shapes: np.ndarray) -> None:
        self.file, self.dtype = file, dtype
        self.offsets, self.shapes = (
            offsets.tolist(),
            list(map(tuple, shapes.tolist())),
        )  # plain numbers: looked at often
        self._bytes = mapped(file)

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, position: int) -> np.ndarray:
        return np.ndarray(self.shapes[position], self.dtype, self._bytes, self.offsets[position])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_bytes"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._bytes = mapped(self.file)


def mapped(file: Path) -> memoryview:
    """The bytes of a file through the page cache, read only."""
    with open(file, "rb") as opened:
        return memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))


class Store:
    """A folder of arrays of one kind; `about` says which settings they were made by."""

    def __init__(self, folder: Path, *, dtype: str, about: dict[str, Any]) -> None:
        self.folder, self.dtype = folder, np.dtype(dtype)
        self.about = json.dumps({**about, "dtype": dtype}, sort_keys=True)
        self.data, self.rows, self.made_by = folder / "data.bin", folder / "rows.npy", folder / "about.json"

    def missing(self, keys: Sequence[str]) -> np.ndarray:
        """Positions of the keys (each digest once) that are not here yet."""
        known = set(self._known()["key"].tolist())
        first: dict[bytes, int] = {}
        for position, key in enumerate(keys):
            first.setdefault(key.encode(), position)
        return np.array(sorted(place for key, place in first.items() if key not in known), dtype=np.int64)

    def read(self, keys: Sequence[str], shapes: np.ndarray) -> Stored:
        """The arrays of these keys, all of which are here; what has another shape was written by a broken hand."""
        known = self._known()
        order = np.argsort(known["key"])
        wanted = np.array([key.encode() for key in keys], dtype=_ROW["key"])
        at = np.searchsorted(known["key"], wanted, sorter=order)
        place = order[np.minimum(at, len(known) - 1)]
        if not (np.array_equal(known["key"][place], wanted) and np.array_equal(known["shape"][place], shapes)):
            raise WorkFailed(f"The cache in {self.folder} is damaged: delete it and start again.")
        return Stored(self.data, self.dtype, known["offset"][place], known["shape"][place])

    def forget(self) -> None:
        """Start empty. Files are unlinked, not cut short: another process may have them mapped."""
        for file in (self.rows, self.data):
            file.unlink(missing_ok=True)

    def fill(
        self,
        keys: Sequence[str],
        shapes: np.ndarray,
        make: Callable[[np.ndarray], Made],
        *,
        label: str,
        progress: bool = True,
    ) -> None:
        """Keep what `make` yields for the missing positions; of two processes with one wish one works, one waits."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / "lock", waiting=f"{label}: another process is at it; waiting for it."):
            missing = self.missing(keys)
            if len(missing):
                filling = _Filling(self, self._known(), [keys[place] for place in missing], shapes[missing])
                filling.run(_with_bar(make(missing), len(missing), label, progress), missing)

    def _known(self) -> np.ndarray:
        """The rows written down; none where they do not fit the settings or the data, which is said once."""
        if not self.rows.exists():
            return np.zeros(0, _ROW)
        rows = _rows_in(self.rows)
        wrong = "it is damaged" if rows is None else self._wrong(rows)
        if rows is None or wrong:
            _log.warning("The cache in %s cannot be used (%s): it is made again.", self.folder, wrong)
            self.forget()
            return np.zeros(0, _ROW)
        return rows

    def _wrong(self, rows: np.ndarray) -> str:
        if not (self.made_by.exists() and self.data.exists()):
            return "a part of it is missing"
        if self.made_by.read_text(errors="replace") != self.about:
            return "it was made by other settings"
        return "it is cut short" if self.data.stat().st_size < _end(rows, self.dtype) else ""


def is_store(folder: Path) -> bool:
    """Whether a Store has made this folder."""
    try:
        about = json.loads((folder / "about.json").read_text())
    except (OSError, ValueError):
        return False
    return isinstance(about, dict) and "dtype" in about and (folder / "data.bin").is_file()


def _rows_in(file: Path) -> np.ndarray | None:
    """None where these are no rows, whatever they are."""
    try:
        rows = np.load(file, allow_pickle=False)
        sound = rows.dtype == _ROW and rows.ndim == 1 and (rows["offset"] >= 0).all() and (rows["shape"] > 0).all()
    except OSError:
        raise
    except Exception:
        return None
    return rows if sound else None


def _sizes(rows: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return rows["shape"].astype(np.int64).prod(axis=1) * dtype.itemsize


def _end(rows: np.ndarray, dtype: np.dtype) -> int:
    return int((rows["offset"] + _sizes(rows, dtype)).max()) if len(rows) else 0


def _with_bar(made: Made, count: int, label: str, shown: bool) -> Made:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    look = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*look, console=Console(stderr=True), disable=not shown) as bar:
        yield from bar.track(made, total=count)


class _Filling:
    """One pass over what is missing: every array has its place before the first one is made."""

    def __init__(self, store: Store, known: np.ndarray, keys: Sequence[str], shapes: np.ndarray) -> None:
        self.store, self.known, self.start = store, known, _end(known, store.dtype)
        self.new = np.zeros(len(keys), _ROW)
        self.new["key"] = [key.encode() for key in keys]
        self.new["shape"] = shapes
        sizes = _sizes(self.new, store.dtype)
        self.new["offset"] = self.start + np.cumsum(sizes) - sizes
        self.done: list[int] = []

    def run(self, made: Made, missing: np.ndarray) -> None:
        with replacing(self.store.made_by, alone=True) as temporary:
            temporary.write_text(self.store.about)
        file = os.open(self.store.data, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            os.ftruncate(file, self.start)  # what an earlier process had not written down
            self._write(file, made, {int(position): number for number, position in enumerate(missing)})
        finally:
            try:
                self._write_down(file)
            finally:  # a full disk is given back what cannot be used
                os.ftruncate(file, _end(self.known, self.store.dtype))
                os.close(file)

    def _write(self, file: int, made: Made, number_of: dict[int, int]) -> None:
        written = time.monotonic()
        for position, array in made:
            number = number_of[position]
            expected = tuple(self.new["shape"][number].tolist())
            if array.size != np.prod(expected):
                raise ValueError(f"an array of {array.shape} came where {expected} was to be")
            self._write_one(file, np.ascontiguousarray(array, dtype=self.store.dtype), int(self.new["offset"][number]))
            self.done.append(number)
            if time.monotonic() - written > _WRITE_DOWN_EVERY:
                self._write_down(file)
                written = time.monotonic()

    @staticmethod
    def _write_one(file: int, array: np.ndarray, offset: int) -> None:
        left = memoryview(array.tobytes())
        while left:
            count = os.pwrite(file, left, offset)
            left, offset = left[count:], offset + count

    def _write_down(self, file: int) -> None:
        if not self.done:
            return
        os.fsync(file)
        known = np.concatenate([self.known, self.new[np.array(self.done)]])
        with replacing(self.store.rows, alone=True) as temporary, open(temporary, "wb") as rows:
            np.save(rows, known)
        self.known, self.done = known, []
