"""Reads many photos on all cores, each decoded in a child process, and goes on when a child dies.

A decoder that crashes or never ends costs one photo: a thread for each child hands out paths a few at a time, and
when the pipe breaks, the first photo without an answer is refused with the signal's meaning, and a fresh child takes
those after it.
"""

import hashlib
import queue
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from PIL import Image

from fishnet.environment import usable_cores
from fishnet.expendable import Child, answer_lines
from fishnet.headers import NoDecoder, TooLarge
from fishnet.images import TOO_MUCH_MEMORY, RefusedImage, UnreadableFile, load_image, read_bytes

FLAT = 0  # the hash of a picture without structure: its bits would be noise
_HASH_SIDE, _HASH_WAVES = 32, 8
_DECODED_SIDE = 256  # eight times what the hash looks at: smaller decodings move its bits
_TONES_SIDE = 64  # enough to count tones
_FLAT_SPREAD = 2.0  # grey levels, standard deviation
_CHILD = "from fishnet.data.scan import main; main()"
_AT_ONCE = 16  # paths
_MOST_CHILDREN = 16  # beyond, the disk is the limit


def scan(paths: Sequence[str], *, workers: int | None = None) -> Iterator[tuple[str, dict]]:
    """Each path with what `read_photo` says of it, in order of completion."""
    tasks: queue.SimpleQueue = queue.SimpleQueue()
    results: queue.SimpleQueue = queue.SimpleQueue()
    for start in range(0, len(paths), _AT_ONCE):
        tasks.put(paths[start : start + _AT_ONCE])
    most = workers or min(usable_cores(), _MOST_CHILDREN)
    readers = [_Reader(tasks, results) for _ in range(min(most, max(1, tasks.qsize())))]
    try:
        for reader in readers:
            reader.start()
        for _ in paths:
            result = results.get()
            if isinstance(result, BaseException):
                raise result
            yield result
    finally:
        for reader in readers:
            reader.stop()


class _Reader(threading.Thread):
    """Owns one child process and replaces it when it dies."""

    def __init__(self, tasks: queue.SimpleQueue, results: queue.SimpleQueue) -> None:
        super().__init__(daemon=True)
        self._tasks, self._results = tasks, results
        self._child: Child | None = None
        self._stopped = False

    def run(self) -> None:
        try:
            while not self._stopped:
                self._read(deque(self._tasks.get_nowait()))
        except queue.Empty:
            pass
        except Exception as error:
            if not self._stopped:
                self._results.put(error)

    def stop(self) -> None:
        self._stopped = True
        if (child := self._child) is not None:
            child.kill()
            self.join()
            child.end()

    def _read(self, pending: deque) -> None:
        while pending and not self._stopped:
            child = self._child = self._child or Child(_CHILD)
            for answer in child.ask([*pending]):
                self._results.put((pending.popleft(), answer))
            if pending:
                self._child = None
                reason, again = child.cause_of_death()
                self._results.put((pending.popleft(), {"reason": reason, "again": again}))


# ---- in the child


def main() -> None:
    """What a child does."""
    answer_lines(read_photo)


def read_photo(path: str) -> dict:
    """What the index keeps of one photo, or the reason for its refusal and whether to try it `again` next time."""
    try:
        data = read_bytes(path)
        image = load_image(data, min_side=_DECODED_SIDE, guarded=False)
    except RefusedImage as refusal:
        return {"reason": str(refusal), "again": isinstance(refusal, (UnreadableFile, TooLarge, NoDecoder))}
    except MemoryError:
        return {"reason": TOO_MUCH_MEMORY, "again": False}
    width, height = image.info["full_size"]
    digest = hashlib.sha256(data).hexdigest()
    taken = image.info["taken"]
    facts = {"sha256": digest, "phash": phash(image), "width": width, "height": height, "reason": ""}
    facts |= {"exif_time": taken.taken, "exif_camera": taken.camera}
    facts |= {"grey_rest": image.info["grey_rest"]}
    return facts | {"file_format": image.info["format"], "plain_share": plain_share(image)}


def phash(image: Image.Image) -> int:
    """64 bits equal to `imagehash.phash`, without its imports; FLAT for a picture of one tone."""
    grey = image.convert("L").resize((_HASH_SIDE, _HASH_SIDE), Image.Resampling.LANCZOS)
    pixels = np.asarray(grey, dtype=np.float64)
    if pixels.std() < _FLAT_SPREAD:
        return FLAT
    waves = _cosines() @ pixels @ _cosines().T
    return int.from_bytes(np.packbits((waves > np.median(waves)).ravel()).tobytes(), "big")


def plain_share(image: Image.Image) -> float:
    """The share of the picture that has its most frequent tone: near 1 for a line of text on paper, low for a photo."""
    grey = image.convert("L").resize((_TONES_SIDE, _TONES_SIDE), Image.Resampling.NEAREST)
    near = np.convolve(grey.histogram(), np.ones(3), "same")  # compression moves a tone by one
    return round(float(near.max()) / _TONES_SIDE**2, 4)


@cache
def _cosines() -> np.ndarray:
    wave, pixel = np.mgrid[:_HASH_WAVES, :_HASH_SIDE]
    return 2 * np.cos(np.pi * wave * (2 * pixel + 1) / (2 * _HASH_SIDE))
