"""A command on a pseudo-terminal, as a person would watch it: how long it stands still, and what it shows last."""

import codecs
import os
import pty
import select
import signal
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

COLUMNS, LINES, REMEMBERED = 100, 40, 3000
CTRL_C = b"\x03"
PATIENCE = 5.0  # seconds between a service's first sign of life and Ctrl-C


@dataclass(frozen=True)
class Watched:
    """What was seen of a command.

    Args:
        status: its exit status; minus the signal's number where it was killed.
        seconds: that it took.
        silence: the longest time in which nothing on the screen changed.
        lines: all that stood on the terminal at the end, with what had scrolled away.
    """

    status: int
    seconds: float
    silence: float
    lines: list[str]

    @property
    def last_line(self) -> str:
        return next((line.strip() for line in reversed(self.lines) if line.strip()), "")


def watch(command: str, folder: Path, environment: Mapping[str, str], *, until: str, limit: float) -> Watched:
    """Run a line of bash on a terminal of its own.

    Args:
        command: as typed.
        folder: where it is typed.
        environment: variables beside those of this process.
        until: words after which a service is at work and is ended by Ctrl-C; empty for a command that ends by itself.
        limit: seconds after which Ctrl-C is typed in any case; ten seconds later the command is killed.
    """
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execvpe("bash", ["bash", "-c", command], {**os.environ, **environment, "TERM": "xterm-256color"})
    _set_size(terminal)
    try:
        return _read(child, terminal, until, limit)
    finally:
        os.close(terminal)


def _set_size(terminal: int) -> None:
    import fcntl
    import termios

    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))


def _read(child: int, terminal: int, until: str, limit: float) -> Watched:
    import pyte

    screen = pyte.HistoryScreen(COLUMNS, LINES, history=REMEMBERED)
    stream, decoder = pyte.Stream(screen), codecs.getincrementaldecoder("utf-8")("replace")
    begin = changed = time.monotonic()
    end = begin + limit  # when Ctrl-C is typed
    silence, seen, asked = 0.0, screen.display, False
    while True:
        ready, _, _ = select.select([terminal], [], [], 0.2)
        now = time.monotonic()
        if ready:
            chunk = _chunk(terminal)
            if not chunk:
                break
            stream.feed(decoder.decode(chunk))
            shown = screen.display
            if shown != seen:
                silence, changed, seen = max(silence, now - changed), now, shown
            if until and not asked and until in "\n".join(shown):
                end, until = min(end, now + PATIENCE), ""
                changed = now + PATIENCE  # a service that waits for requests is not silent work
        if now > end:
            if asked:
                os.killpg(child, signal.SIGKILL)
            os.write(terminal, CTRL_C)
            asked, end = True, now + 10
    _, status = os.waitpid(child, 0)
    seconds = time.monotonic() - begin
    silence = max(silence, begin + seconds - changed)
    return Watched(os.waitstatus_to_exitcode(status), seconds, silence, _lines(screen))


def _chunk(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux's way to say that the other end is closed
        return b""


def _lines(screen) -> list[str]:
    above = ["".join(line[column].data for column in range(COLUMNS)) for line in screen.history.top]
    return [line.rstrip() for line in [*above, *screen.display]]
