"""How long work shows itself: bars in a single display on a terminal, a line every half minute elsewhere.

All bars of a process are rows of the same display, and the program's log lines are written above it: two displays, or a
line written beside one, would leave text glued together.
"""

import itertools
import logging
import os
import shutil
import stat
import sys
import textwrap
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

log = logging.getLogger("fishnet")

EVERY = 30.0  # seconds between lines, where there is no terminal
EVERY_SHARED = 10.0  # where several processes have one
_BETWEEN_WORDS: dict[str, Any] = {
    "break_long_words": False, "break_on_hyphens": False, "drop_whitespace": True, "replace_whitespace": False,
}  # fmt: skip
_Item = TypeVar("_Item")


class Lines(logging.StreamHandler):
    """Log lines on what `sys.stderr` is at that moment: while bars are shown, that is the space above them."""

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None:
        """The stream that a handler is made with is not kept."""

    def emit(self, record: logging.LogRecord) -> None:
        _Shared.written = time.monotonic()
        super().emit(record)

    def format(self, record: logging.LogRecord) -> str:
        """Broken between words, where a terminal would break it anywhere; elsewhere as it is."""
        return for_terminal(super().format(record), self.stream)


def leave_terminal() -> None:
    """Write to nowhere what would go to a terminal that was closed: each line would be an error of its own."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        with suppress(OSError):  # a stream that was closed before
            about = os.fstat(stream)
            if stat.S_ISCHR(about.st_mode) and about.st_rdev != os.fstat(nowhere).st_rdev:
                os.dup2(nowhere, stream)
    os.close(nowhere)


def for_terminal(text: str, stream: TextIO, indent: int = 0) -> str:
    """Broken between words where `stream` is a terminal, so that it does not break them; elsewhere as it is.

    Args:
        text: lines.
        stream: where they will be written.
        indent: columns in front of what does not fit a line.
    """
    if not stream.isatty():
        return text
    fit = textwrap.TextWrapper(shutil.get_terminal_size().columns, subsequent_indent=" " * indent, **_BETWEEN_WORDS)
    return "\n".join(itertools.chain.from_iterable(fit.wrap(line) or [""] for line in text.splitlines()))


@contextmanager
def shared_terminal(name: str) -> Iterator[None]:
    """Several processes write to this terminal at once: work is shown by lines, for bars would be drawn over.

    Where this one has written none for a while, importing what it needs, a line says that it is at work.

    Args:
        name: of what this process does.
    """
    _Shared.alone, ended = False, threading.Event()
    begin = _Shared.written = time.monotonic()

    def speak() -> None:
        while not ended.wait(EVERY_SHARED / 20):
            if time.monotonic() - _Shared.written >= EVERY_SHARED:
                log.info("%s: at work for %s", name, duration(time.monotonic() - begin))

    speaking = threading.Thread(target=speak, daemon=True)
    speaking.start()
    try:
        yield
    finally:
        ended.set()
        speaking.join()


class Work:
    """A piece of work that is under way.

    Args:
        label: what is done.
        total: how many steps there are; None where that is not known.
    """

    def __init__(self, label: str, total: int | None) -> None:
        self.label, self.total, self.note = label, total, ""
        self.done = self._first = 0
        self._started = self._written = time.monotonic()

    def begin_at(self, done: int) -> None:
        """So many steps were done before, and say nothing of the time that the others take."""
        self.done = self._first = done

    def advance(self, steps: int = 1, note: str | None = None) -> None:
        self.update(self.done + steps, note)

    def update(self, done: int, note: str | None = None) -> None:
        """So many steps are done; `note` is shown beside them."""
        self.done, self.note = done, self.note if note is None else note
        now = time.monotonic()
        if now - self._written >= (EVERY if _Shared.alone else EVERY_SHARED):
            self._written = now
            log.info("%s", self._line(now))

    def _line(self, now: float) -> str:
        parts = [f"{self.label}: {self.done}" + (f" of {self.total}" if self.total else "")]
        if self.total and self.done > self._first:
            left = (now - self._started) / (self.done - self._first) * (self.total - self.done)
            parts.append(f"{duration(left)} left")
        return ", ".join([*parts, *filter(None, [self.note])])


class ShownWork(Work):
    """The same as a row of the display."""

    def __init__(self, label: str, total: int | None, rows: "Progress") -> None:
        super().__init__(label, total)
        self._rows = rows
        self._row: TaskID = rows.add_task(label, total=total, note="")

    def begin_at(self, done: int) -> None:
        super().begin_at(done)
        self._rows.reset(self._row, completed=done, total=self.total)

    def update(self, done: int, note: str | None = None) -> None:
        self.done, self.note = done, self.note if note is None else note
        self._rows.update(self._row, completed=done, note=self.note)

    def remove(self) -> None:
        self._rows.remove_task(self._row)


@contextmanager
def working(label: str, total: int | None, *, shown: bool = True) -> Iterator[Work]:
    """Show a piece of work until the block ends.

    Args:
        label: what is done, in a word or two.
        total: how many steps; None where that is not known.
        shown: without, nothing is shown, and no line is written.
    """
    if not shown or not sys.stderr.isatty() or not _Shared.alone:
        work = Work(label, total)
        if not shown:
            work._written = float("inf")
        yield work
        return
    with _display() as rows:
        work = ShownWork(label, total, rows)
        try:
            yield work
        finally:
            work.remove()


def with_progress(items: Iterable[_Item], total: int | None, label: str, *, shown: bool = True) -> Iterator[_Item]:
    """The items, each a step of the work; it is done when they have all been taken."""
    with working(label, total, shown=shown) as work:
        for item in items:
            yield item
            work.advance()


def duration(seconds: float) -> str:
    """A time as people say it: 40 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes and hours < 10 else f"{hours} h"


class _Shared:
    """The display of this process, and how many pieces of work are on it."""

    rows: "Progress | None" = None
    users = 0
    alone = True  # whether no other process draws on this terminal
    written = 0.0  # when the last line was


@contextmanager
def _display() -> Iterator["Progress"]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    if _Shared.rows is None:
        columns = (
            TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[note]}"),
        )  # fmt: skip
        _Shared.rows = Progress(
            *columns, console=Console(stderr=True), transient=True,
            redirect_stdout=sys.stdout.isatty(),  # what goes to a file or a pipe still does
        )  # fmt: skip
        _Shared.rows.start()
    _Shared.users += 1
    try:
        yield _Shared.rows
    finally:
        _Shared.users -= 1
        if _Shared.users == 0:
            rows, _Shared.rows = _Shared.rows, None
            rows.stop()


def _leave_to_parent() -> None:
    """A forked process has no thread that draws; what it writes goes to the streams themselves."""
    if _Shared.rows is not None:
        _Shared.rows, _Shared.users = None, 0
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__  # type: ignore[assignment]


os.register_at_fork(after_in_child=_leave_to_parent)
