"""A bar a species while it works, and a table at the end."""

import textwrap

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from fishnet.collect.result import ClassResult, Result
from fishnet.collect.watcher import Watcher
from fishnet.text import counted


class Bars(Watcher):
    """What is listed, then what is kept; on stderr, and only where somebody looks."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        console = Console(stderr=True)
        self._bars = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "Bars":
        self._bars.start()
        return self

    def __exit__(self, *_) -> None:
        self._bars.stop()

    def listing(self, name: str, found: int) -> None:
        self._bars.update(self._task(name), description=f"{name}: listing, {found} found", total=None)

    def fetching(self, name: str, kept: int, wanted: int | None) -> None:
        self._bars.update(self._task(name), description=name, completed=kept, total=wanted)

    def fetched(self, name: str, kept: bool) -> None:
        if kept:
            self._bars.update(self._task(name), advance=1)

    def _task(self, name: str) -> TaskID:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=None)
        return self._tasks[name]


def table(result: Result) -> str:
    """Found, kept, refused and why, a line a class."""
    wide = max([len(one.folder) for one in result.classes] + [5])
    lines = [f"{'class':{wide}s}  {'found':>6s}  {'kept':>6s}  {'refused':>7s}"]
    for one in result.classes:
        lines.append(f"{one.folder:{wide}s}  {one.found:6d}  {one.kept:6d}  {one.refused:7d}")
        lines += [textwrap.indent(line, "    ") for line in _said(one)]
    kept = sum(one.kept for one in result.classes)
    lines.append(f"{result.root}: {counted(kept, 'photo')} in {counted(len(result.classes), 'class folder')}")
    if any(one.refused for one in result.classes):
        lines.append(f"every photo that is not there, with its reason: {result.refused}")
    if result.failed:
        lines.append(f"{counted(result.failed, 'photo')} could not be fetched now: the same command tries again.")
    return "\n".join(lines)


def _said(one: ClassResult) -> list[str]:
    reasons = sorted(_grouped(one.reasons).items(), key=lambda pair: (-pair[1], pair[0]))
    shown = [f"{count} × {reason}" for reason, count in reasons[:6]]
    if len(reasons) > len(shown):
        shown.append(f"and {sum(count for _, count in reasons[6:])} for other reasons")
    return [*shown, *([one.told] if one.told else [])]


def _grouped(reasons: dict[str, int]) -> dict[str, int]:
    """Copies name the photo they are a copy of; here they are one kind."""
    grouped: dict[str, int] = {}
    for reason, count in reasons.items():
        kind = "the same bytes as another" if reason.startswith("the same bytes as ") else reason
        grouped[kind] = grouped.get(kind, 0) + count
    return grouped
