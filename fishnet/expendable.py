"""Processes that decode photos and may die of them: a decoder that crashes or never ends costs a photo, no more.

They are plain ones with two pipes: neither fork, which is unsafe beside threads and CUDA, nor multiprocessing's spawn,
which would run the user's script a second time.
"""

import atexit
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import fishnet
from fishnet.environment import most_megapixels
from fishnet.errors import WorkFailed

CPU_SECONDS = 20  # a photo; the largest that the loader admits takes about two
_A_COPY = 13  # bytes a pixel
_SLACK = 256 * 2**20  # the file, which is held twice, and what libraries take
_TRIAL = "from fishnet.images import main; main()"


class Child:
    """A process that answers paths, in their order, by what the function says that its code hands to `answer_lines`.

    Args:
        code: Python.
    """

    def __init__(self, code: str) -> None:
        package = str(Path(fishnet.__file__).parent.parent)
        known = os.environ.get("PYTHONPATH")
        environment = os.environ | {
            "PYTHONPATH": package + os.pathsep + known if known else package,
            "PYTHONIOENCODING": "utf-8",
            "OPENBLAS_NUM_THREADS": "1",  # the hash multiplies matrices of 32: threads only cost time
        }
        command, pipe = [sys.executable, "-P", "-c", code], subprocess.PIPE
        self._process = subprocess.Popen(  # of a group of its own: Ctrl-C is for the parent, which closes the pipe
            command, stdin=pipe, stdout=pipe, env=environment, text=True, encoding="utf-8", process_group=0
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._to, self._from = self._process.stdin, self._process.stdout
        if self._from.readline() != "ready\n":
            self.end()
            raise WorkFailed("No process to read photos could be started; the error above says why.")

    def ask(self, paths: Sequence[str]) -> Iterator[Any]:
        """Answers, up to the path of which the process dies."""
        with suppress(BrokenPipeError):  # it died; reading its answers tells how far it came
            self._to.write("".join(json.dumps(path) + "\n" for path in paths))
            self._to.flush()
        for _ in paths:
            if not (line := self._from.readline()):
                return
            yield json.loads(line)

    def cause_of_death(self) -> tuple[str, bool]:
        """Why it died, and whether that may have been somebody else's doing rather than the photo's."""
        code = self._process.wait()
        self.end()
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        reason = "decoding took too long" if code == -signal.SIGXCPU else f"the decoder died ({how})"
        return reason, code in (-signal.SIGTERM, -signal.SIGKILL)

    def kill(self) -> None:
        """From any thread: whoever waits for an answer gets none."""
        self._process.kill()

    def end(self) -> None:
        """Kill it and close what led to it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._to, self._from):
            with suppress(BrokenPipeError):
                pipe.close()


# ---- bytes that no other check has been over


class _Trials:
    """The child in which this process has foreign bytes decoded for the first time, once there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._megapixels = 0

    def refusal(self, data: bytes) -> str:
        with self._lock, _in_memory(data) as path:
            if self._megapixels != most_megapixels():  # its bound of memory is that of another largest photo
                self.end()
            if self._child is None:
                self._child, self._megapixels = Child(_TRIAL), most_megapixels()
            try:
                for reason in self._child.ask([path]):
                    return reason
            except BaseException:  # its answer, still to come, would be taken for that of the next photo
                self.end()
                raise
            reason, _ = self._child.cause_of_death()
            self._child = None
            return reason

    def end(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


_trials = _Trials()
atexit.register(lambda: _trials.end())


def _forget() -> None:
    """In a fork: the child answers the process that has started it."""
    global _trials
    _trials = _Trials()


os.register_at_fork(after_in_child=_forget)


def refusal_of(data: bytes) -> str:
    """Why a photo cannot be decoded, found out in a process that may die of it; empty where it can be."""
    return _trials.refusal(data)


@contextmanager
def _in_memory(data: bytes) -> Iterator[str]:
    """The path of a file with these bytes that is on no disk."""
    number = os.memfd_create("photo")
    try:
        with open(number, "wb", closefd=False) as file:
            file.write(data)
        yield f"/proc/{os.getpid()}/fd/{number}"
    finally:
        os.close(number)


# ---- in the child


def answer_lines(answer: Callable[[str], Any]) -> None:
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
        print(json.dumps(answer(json.loads(line))), flush=True)


def address_space() -> int:
    """The bytes of memory that this process has reserved."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def decoding_memory(megapixels: int) -> int:
    """The bytes that decoding the largest photo may take beyond what a process holds before.

    Measured: three copies of four bytes a pixel and, with transparency, a mask: 61 million pixels take 690 to 750 MB,
    100 million 1,170 to 1,260. The file is held twice.
    """
    return _A_COPY * megapixels * 1_000_000 + _SLACK
