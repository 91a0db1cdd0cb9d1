"""The ways in which a command ends early.

Bad input is the user's to mend: one sentence, exit status 2. A failure of the work itself is exit status 1.
Everything else is a defect of ours and keeps its traceback.
"""

import errno
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType


class BadInput(Exception):
    """Something the user gave is wrong; the message says what, and what to do."""

    status = 2


class WorkFailed(Exception):
    """The input was right, but the work could not be finished; what was made before is intact."""

    status = 1


def disk_trouble(error: OSError, file: Path | None = None) -> WorkFailed | None:
    """A full disk (or quota, or size limit) in one sentence, which names the file; None for any other error."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return None
    return WorkFailed(
        f"{file or error.filename or 'a file'} could not be written ({error.strerror}): is the disk full? "
        "What was there is intact."
    )


class Interrupted(BaseException):
    """A signal ended the work; a training has left a checkpoint. Exit status 128 + signal, and a sweep ends with it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by signal {number}")
        self.signal = number


@contextmanager
def interrupted_by(*numbers: int) -> Iterator[None]:
    """These signals end the block as Ctrl-C does, with Interrupted; one that is ignored (nohup) stays ignored."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Interrupted(number)

    watched = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in watched}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
