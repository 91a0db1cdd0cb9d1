"""The decode cache: every photo at its working size in one memory-mapped file, so that an epoch costs a copy.

It lies beside the index and is keyed by what the photos and the settings are, so it is never wrong, only incomplete:
training, evaluation and audits of one folder share it, and a changed photo has another key.
"""

import hashlib
import json
import logging
import shutil
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from fishnet.data.index import state_folder
from fishnet.data.store import Made, Store, Stored, is_store, store_in
from fishnet.data.views import Working, working_image, working_shape
from fishnet.environment import usable_cores
from fishnet.errors import WorkFailed
from fishnet.files import LockHeld, locked
from fishnet.images import RefusedImage

PhotoOf = Callable[[str], Path | bytes]
_log = logging.getLogger("fishnet")
_VERSION = 3  # raise it when the working image changes
_KEEP_FREE = 0.05  # of the disk
_AHEAD = 8  # photos a core may have waiting


class Decoded:
    """Working images straight from their files: what a cache would hold, made again at every look."""

    def __init__(self, root: Path, table: pd.DataFrame, how: Working, photo_of: PhotoOf | None = None) -> None:
        self.root, self.how, self.photo_of = root, how, photo_of or root.joinpath
        self.paths, self.digests = table["path"].to_numpy(object), table["sha256"].to_numpy(object)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, position: int) -> np.ndarray:
        path, digest = self.root / self.paths[position], self.digests[position]
        try:
            photo = self.photo_of(self.paths[position])
            if isinstance(photo, bytes):  # of a stream, whose digests a stranger may have written
                digest = ""
            return working_image(photo, sha256=digest, how=self.how)
        except RefusedImage as error:
            raise WorkFailed(f"{path} could be read when its folder was indexed and no longer can: {error}.") from error


def cache_folder(root: Path, cache: str) -> Path:
    """Beside the index (`auto`), or the folder that `cache` names."""
    return state_folder(root) / "cache" if cache == "auto" else Path(cache).expanduser().absolute()


def stored_features(root: Path, cache: str, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray] | None:
    """Rows of the table and their features as a frozen backbone has left them in the cache; None where few are there.

    Of several backbones the one that has seen most of these photos counts, and of equal ones the last.
    """
    folders = [] if cache == "off" else sorted(cache_folder(root, cache).glob("features/*"), key=_changed, reverse=True)
    keys, best = table["sha256"].tolist(), None
    for store in filter(None, map(store_in, folders)):
        if '"view": "plain"' in store.about:
            rows = np.flatnonzero(store.holds(keys))
            best = (rows, store) if best is None or len(rows) > len(best[0]) else best
    if best is None or len(best[0]) < len(keys) / 2:
        return None
    rows, store = best
    stored = store.read([keys[row] for row in rows])
    return rows, np.stack([stored[position].ravel() for position in range(len(rows))])


def _changed(folder: Path) -> float:
    return folder.stat().st_mtime


def working_images(
    root: Path, table: pd.DataFrame, how: Working, *, cache: str, limit: float, progress: bool = True,
    photo_of: PhotoOf | None = None,
) -> Decoded | Stored:  # fmt: skip
    """The working images of the table; from the `cache` if `limit` GB have room for them. `photo_of` gives a photo, or
    its bytes, by its path, where that is no file below `root`."""
    decoded = Decoded(root, table, how, photo_of)
    if cache == "off":
        return decoded
    folder = cache_folder(root, cache)
    about = {"side": how.side, "interpolation": how.interpolation, "version": _VERSION}
    about |= {} if how.fit == "crop" else {"fit": how.fit}
    name = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:8]
    store = Store(folder / f"{how.side}px-{name}", dtype="uint8", about=about)
    keys, sizes = table["sha256"].tolist(), table[["width", "height"]].to_numpy().tolist()
    shapes = np.array([working_shape(width, height, how) for width, height in sizes], dtype=np.int32)

    def make(position: int) -> tuple[int, np.ndarray]:
        image = decoded[position]
        if image.shape != tuple(shapes[position]):
            raise WorkFailed(f"{decoded.paths[position]} was changed while its folder was being read: start again.")
        return position, image

    try:
        folder.mkdir(parents=True, exist_ok=True)
        why_not = _no_room(store, keys, shapes, limit)
        if not why_not:
            store.fill(keys, shapes, partial(_on_all_cores, make), label="decoding photos once", progress=progress)
            return store.read(keys, shapes)
    except OSError as error:
        why_not = f"{error.strerror or error}"
    _log.warning("No decode cache in %s (%s): photos are decoded each time they are needed.", folder, why_not)
    return decoded


def _on_all_cores(make: Callable[[int], tuple[int, np.ndarray]], positions: np.ndarray) -> Made:
    """Decoders let go of Python's lock, so threads do; torch must not share each photo out once more."""
    cores, before = usable_cores(), torch.get_num_threads()
    torch.set_num_threads(1)
    pool, waiting = ThreadPoolExecutor(cores, thread_name_prefix="fishnet-decode"), deque[Future]()
    try:
        for position in positions.tolist():
            waiting.append(pool.submit(make, position))
            if len(waiting) >= _AHEAD * cores:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)


def _no_room(store: Store, keys: Sequence[str], shapes: np.ndarray, limit: float) -> str:
    """Why the cache cannot take what is missing; older caches in the same folder go first, where that helps."""
    wanted, here = _bytes_of(shapes[store.missing(keys)]), _bytes_in(store.folder)
    if not wanted:
        return ""
    stale = []
    if here + wanted > limit * 1e9:  # much of what is here may be of photos that have changed or gone
        stale, here = [store.folder], 0
        wanted = _bytes_of(shapes[np.unique(np.array(keys), return_index=True)[1]])
    if here + wanted > limit * 1e9:
        return f"it would take {(here + wanted) / 1e9:.1f} GB, more than data.cache_limit={limit:g}"
    disk = shutil.disk_usage(store.folder.parent)
    free = disk.free - _KEEP_FREE * disk.total
    beside = (*store.folder.parent.glob("*px-*"), *store.folder.parent.glob("features/*"))
    older = [folder for folder in beside if folder != store.folder and is_store(folder)]  # whatever else is not ours
    older.sort(key=lambda folder: folder.stat().st_mtime)
    if wanted > free + sum(map(_bytes_in, stale + older)):
        return f"it would take {wanted / 1e9:.1f} GB, and the disk has {disk.free / 1e9:.1f} GB left"
    freed = sum(map(_remove, stale))
    surplus = max(here + wanted + sum(map(_bytes_in, older)) - limit * 1e9, wanted - free - freed)
    while older and surplus > 0:
        surplus -= _remove(older.pop(0))
    return "other caches in that place are in use" if surplus > 0 else ""


def _remove(folder: Path) -> int:
    """The bytes that removing a cache has freed; one that is just being made is left alone."""
    freed = _bytes_in(folder)  # the lock goes with it: filelock takes no lock of an unlinked file, and tries again
    with suppress(LockHeld), locked(folder / "lock", timeout=0):
        shutil.rmtree(folder, ignore_errors=True)
        return freed
    return 0


def _bytes_of(shapes: np.ndarray) -> int:
    return int(shapes.astype(np.int64).prod(axis=1).sum())


def _bytes_in(folder: Path) -> int:
    file = folder / "data.bin"
    return file.stat().st_size if file.exists() else 0
