"""Which host works on a training, beside its lock: on many shared folders a lock is seen on its own host only."""

import os
import time
from contextlib import suppress
from pathlib import Path

from fishnet.tracking.process import Writer, this_process

CLAIM = "host.json"
RENEW_EVERY = 20.0  # seconds
SILENT_FOR = 120.0  # seconds without a sign of life after which another host, or container, counts as dead


class Claim:
    """A file in the training's folder, made by who already holds the lock of this host."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / CLAIM
        self._renewed = time.monotonic()

    def take(self) -> bool:
        """Whether the training belongs to this host now; False while another one works on it."""
        if not self._made():
            if claimed_elsewhere(self._path.parent):
                return False
            self._path.unlink(missing_ok=True)
            return self._made()
        return True

    def _made(self) -> bool:
        try:
            with self._path.open("x", encoding="utf-8") as file:
                file.write(this_process().to_tag())
        except FileExistsError:
            return False
        return True

    def renew(self) -> None:
        """A sign of life; called often, given now and then."""
        if time.monotonic() - self._renewed >= RENEW_EVERY:
            self._renewed = time.monotonic()
            with suppress(OSError):
                os.utime(self._path)

    def give_back(self) -> None:
        self._path.unlink(missing_ok=True)


def claimed_elsewhere(folder: Path) -> str:
    """The host of a process that cannot be seen from here, has claimed the training and given a sign of life since;
    empty where there is none."""
    path = folder / CLAIM
    try:
        writer = Writer.from_tag(path.read_text(encoding="utf-8"))
        silent = time.time() - path.stat().st_mtime
    except OSError:  # there is no claim
        return ""
    if writer is None:  # it is being written, or a kill has cut it
        return "another host" if silent < 10 else ""
    return writer.host if writer.alive() is None and silent < SILENT_FOR else ""
