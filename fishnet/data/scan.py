"""Reads many photos on all cores, and goes on when a worker dies.

A thread a worker hands out paths a few at a time; when the pipe breaks, the first unanswered photo is to
blame: it is refused with the signal's meaning, and a fresh worker takes the rest.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import fishnet
from fishnet.environment import usable_cores
from fishnet.errors import WorkFailed

_WORKER = "from fishnet.data.photo_worker import main; main()"
_AT_ONCE = 16
_MOST_WORKERS = 16  # beyond, the disk is the limit


def scan(paths: Sequence[str], *, workers: int | None = None) -> Iterator[tuple[str, dict]]:
    """Each path with what `photo_worker.read_photo` says of it, in order of completion."""
    tasks: queue.SimpleQueue = queue.SimpleQueue()
    for start in range(0, len(paths), _AT_ONCE):
        tasks.put(paths[start : start + _AT_ONCE])
    results: queue.SimpleQueue = queue.SimpleQueue()
    most = workers or min(usable_cores(), _MOST_WORKERS)
    crew = [_Reader(tasks, results) for _ in range(min(most, max(1, tasks.qsize())))]
    try:
        for reader in crew:
            reader.start()
        for _ in paths:
            answer = results.get()
            if isinstance(answer, BaseException):
                raise answer
            yield answer
    finally:
        for reader in crew:
            reader.stop()


class _Reader(threading.Thread):
    """Owns one worker process and replaces it when it dies."""

    def __init__(self, tasks: queue.SimpleQueue, results: queue.SimpleQueue):
        super().__init__(daemon=True)
        self._tasks, self._results = tasks, results
        self._worker: subprocess.Popen | None = None
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
        worker = self._worker
        if worker is not None:
            worker.kill()
            self.join()
            _close(worker)

    def _read(self, pending: deque) -> None:
        while pending and not self._stopped:
            worker = self._worker = self._worker or _start()
            _send(worker, pending)
            assert worker.stdout is not None
            while pending and (line := worker.stdout.readline()):
                self._results.put((pending.popleft(), json.loads(line)))
            if pending:
                self._worker = None
                self._results.put((pending.popleft(), _death(worker)))
                _close(worker)


def _start() -> subprocess.Popen:
    package = str(Path(fishnet.__file__).parent.parent)
    known = os.environ.get("PYTHONPATH")
    environment = os.environ | {
        "PYTHONPATH": package + os.pathsep + known if known else package,
        "PYTHONIOENCODING": "utf-8",
        "OPENBLAS_NUM_THREADS": "1",  # the hash multiplies matrices of 32: threads only cost time
    }
    command = [sys.executable, "-P", "-c", _WORKER]
    pipe = subprocess.PIPE
    worker = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, text=True, encoding="utf-8")
    assert worker.stdout is not None
    if worker.stdout.readline() != "ready\n":
        worker.kill()
        raise WorkFailed("No process to read photos could be started; the error above says why.")
    return worker


def _send(worker: subprocess.Popen, paths: deque) -> None:
    assert worker.stdin is not None
    with suppress(BrokenPipeError):  # it died; reading its answers tells how far it came
        worker.stdin.write("".join(json.dumps(path) + "\n" for path in paths))
        worker.stdin.flush()


def _close(worker: subprocess.Popen) -> None:
    worker.wait()
    for pipe in (worker.stdin, worker.stdout):
        with suppress(BrokenPipeError):
            pipe.close()  # type: ignore[union-attr]


def _death(worker: subprocess.Popen) -> dict:
    code = worker.wait()
    if sys.platform != "win32" and code == -signal.SIGXCPU:
        return {"reason": "decoding took too long", "again": False}
    how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
    return {"reason": f"the decoder died ({how})", "again": code in (-signal.SIGTERM, -9)}
