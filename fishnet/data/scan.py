"""Reads many photos on all cores, each decoded in a child process, and goes on when a child dies.

A decoder that crashes or never ends costs one photo: a thread for each child hands out paths a few at a time, and
when the pipe breaks, the first photo without an answer is refused with the signal's meaning, and a fresh child takes
those after it. The children are plain ones with two pipes: neither fork, which is unsafe beside threads and CUDA, nor
multiprocessing's spawn, which would run the user's script a second time.
"""

import hashlib
import json
import os
import queue
import resource
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

import fishnet
from fishnet.environment import most_megapixels, usable_cores
from fishnet.errors import WorkFailed
from fishnet.headers import TooLarge
from fishnet.images import RefusedImage, UnreadableFile, decoding_memory, load_image, read_bytes

FLAT = 0  # the hash of a picture without structure: its bits would be noise
CPU_SECONDS = 20  # a photo; the largest that the loader admits takes about two
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
        self._child: subprocess.Popen | None = None
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
            _close(child)

    def _read(self, pending: deque) -> None:
        while pending and not self._stopped:
            child = self._child = self._child or _start()
            assert child.stdin is not None and child.stdout is not None
            with suppress(BrokenPipeError):  # it died; reading its answers tells how far it came
                child.stdin.write("".join(json.dumps(path) + "\n" for path in pending))
                child.stdin.flush()
            while pending and (line := child.stdout.readline()):
                self._results.put((pending.popleft(), json.loads(line)))
            if pending:
                self._child = None
                self._results.put((pending.popleft(), _cause_of_death(child)))
                _close(child)


def _start() -> subprocess.Popen:
    package = str(Path(fishnet.__file__).parent.parent)
    known = os.environ.get("PYTHONPATH")
    environment = os.environ | {
        "PYTHONPATH": package + os.pathsep + known if known else package,
        "PYTHONIOENCODING": "utf-8",
        "OPENBLAS_NUM_THREADS": "1",  # the hash multiplies matrices of 32: threads only cost time
    }
    command, pipe = [sys.executable, "-P", "-c", _CHILD], subprocess.PIPE
    child = subprocess.Popen(  # of a group of its own: Ctrl-C is for the parent, which closes the pipe
        command, stdin=pipe, stdout=pipe, env=environment, text=True, encoding="utf-8", process_group=0
    )
    assert child.stdout is not None
    if child.stdout.readline() != "ready\n":
        child.kill()
        raise WorkFailed("No process to read photos could be started; the error above says why.")
    return child


def _close(child: subprocess.Popen) -> None:
    child.wait()
    for pipe in (child.stdin, child.stdout):
        with suppress(BrokenPipeError):
            pipe.close()  # type: ignore[union-attr]


def _cause_of_death(child: subprocess.Popen) -> dict:
    code = child.wait()
    how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
    reason = "decoding took too long" if code == -signal.SIGXCPU else f"the decoder died ({how})"
    return {"reason": reason, "again": code in (-signal.SIGTERM, -signal.SIGKILL)}


# ---- in the child


def main() -> None:
    """Answer each line (a path in JSON) by a line, until the pipe closes; each photo has `CPU_SECONDS`.

    A parent that was killed reads no answer any more: the first one ends this process, without a word.
    """
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    warnings.simplefilter("ignore")
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    most = address_space() + decoding_memory(most_megapixels())
    resource.setrlimit(resource.RLIMIT_AS, (most if hard < 0 else min(most, hard), hard))
    print("ready", flush=True)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    for line in sys.stdin:
        soft = int(time.process_time()) + CPU_SECONDS + 1
        resource.setrlimit(resource.RLIMIT_CPU, (soft if hard < 0 else min(soft, hard), hard))
        print(json.dumps(read_photo(json.loads(line))), flush=True)


def address_space() -> int:
    """The bytes of memory that this process has reserved."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def read_photo(path: str) -> dict:
    """What the index keeps of one photo, or the reason for its refusal and whether to try it `again` next time."""
    try:
        data = read_bytes(path)
        image = load_image(data, min_side=_DECODED_SIDE)
    except RefusedImage as refusal:
        return {"reason": str(refusal), "again": isinstance(refusal, (UnreadableFile, TooLarge))}
    except MemoryError:
        return {"reason": "decoding it takes too much memory", "again": False}
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
