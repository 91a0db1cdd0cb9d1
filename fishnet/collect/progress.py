"""What a user sees of a collection: a bar for each class while it works, and a table at the end."""

import logging
import textwrap
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from fishnet.collect.fetching import ATTEMPTS
from fishnet.collect.ledger import FAILED, FATES, KEPT, WAITING, Ledger
from fishnet.collect.manifest import NOT_KEPT
from fishnet.errors import WorkFailed
from fishnet.text import counted

log = logging.getLogger("fishnet")

MOST_REASONS = 6


class Bars(Progress):
    """A bar for each class folder and each table that is fetched or converted, where stderr is a terminal."""

    def __init__(self, *, shown: bool = True) -> None:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        console = Console(stderr=True)
        super().__init__(*columns, console=console, transient=True, disable=not (shown and console.is_terminal))
        self._by_name: dict[str, TaskID] = {}
        self._failing: set[str] = set()  # hosts of which a line says that they do not answer

    def listing(self, name: str, count: int) -> None:
        """So many photos have been listed, and there may be more."""
        self.update(self._task(name), description=f"{name}: listing, {count} found", total=None)

    def fetching(self, name: str, done: int, total: int | None) -> None:
        """So many of all photos (or MB) are there; `total` is None if it is unknown."""
        self.update(self._task(name), description=name, completed=done, total=total)

    def fetched(self, name: str) -> None:
        self.update(self._task(name), advance=1)

    def trying(self, host: str, reason: str, attempt: int) -> None:
        """A host does not answer: once a line with the reason, and each attempt in a row of the display."""
        if host not in self._failing:
            self._failing.add(host)
            log.warning(
                "%s: %s; it is asked again, %d times in all, each time after a longer pause", host, reason, ATTEMPTS
            )
        self.update(self._task(host), description=f"{host}: attempt", completed=attempt, total=ATTEMPTS)

    def answered(self, host: str) -> None:
        if host in self._failing:
            self._failing.discard(host)
            self.remove_task(self._by_name.pop(host))
            log.info("%s answers again", host)

    def _task(self, name: str) -> TaskID:
        if name not in self._by_name:
            self._by_name[name] = self.add_task(name, total=None)
        return self._by_name[name]


@dataclass(frozen=True)
class ClassResult:
    """How many photos of a class were listed, kept and refused, and for which reasons; `note` is the source's."""

    folder: str
    name: str
    listed: int
    kept: int
    refused: int
    reasons: dict[str, int]
    note: str


@dataclass(frozen=True)
class Result:
    """What came of a command."""

    root: Path
    classes: list[ClassResult]  # all that the folder holds
    requested: frozenset[str]  # the folders of those that this command was to collect
    not_kept: Path  # the table of photos that were not kept
    failed: int  # how many photos could not be fetched now

    def check(self) -> None:
        """Raise WorkFailed if a requested class has no photo, whether none was listed or none could be kept."""
        missing = []
        for row in self.classes:
            if row.folder not in self.requested or row.kept:
                continue
            if row.listed:
                reason, photos = next(iter(row.reasons), "unknown"), counted(row.listed, "photo")
                missing.append(f"of {row.name}, none of {photos} could be kept (most often: {reason})")
            else:
                why = f"nothing was found of {row.name} with these filters (licences, quality, place, dates)"
                missing.append(f"{why}: {row.note}" if row.note else why)
        if missing:
            raise WorkFailed(f"{'; '.join(missing)}.")


def result_of(ledger: Ledger, root: Path, requested: frozenset[str]) -> Result:
    lost = [fate for fate in FATES if fate not in (WAITING, KEPT)]
    classes = [
        ClassResult(
            folder, taxon.name, listed=ledger.count(folder, *FATES), kept=ledger.count(folder, KEPT),
            refused=ledger.count(folder, *lost), reasons=ledger.reasons(folder), note=ledger.note_of_class(folder),
        )
        for folder, taxon in ledger.classes().items()
    ]  # fmt: skip
    failed = sum(ledger.count(row.folder, FAILED) for row in classes)
    return Result(root, classes, requested, ledger.file.with_name(NOT_KEPT), failed)


def table(result: Result) -> str:
    """Found, kept, refused and why, a line for each class."""
    width = max([len(row.folder) for row in result.classes] + [5])
    lines = [f"{'class':{width}s}  {'found':>6s}  {'kept':>6s}  {'refused':>7s}"]
    for row in result.classes:
        lines.append(f"{row.folder:{width}s}  {row.listed:6d}  {row.kept:6d}  {row.refused:7d}")
        lines += [textwrap.indent(line, "    ") for line in _remarks(row)]
    kept = sum(row.kept for row in result.classes)
    lines.append(f"{result.root}: {counted(kept, 'photo')} in {counted(len(result.classes), 'class folder')}")
    if any(row.refused for row in result.classes):
        lines.append(f"every photo that is not there, with its reason: {result.not_kept}")
    if result.failed:
        lines.append(f"{counted(result.failed, 'photo')} could not be fetched now: the same command tries again.")
    return "\n".join(lines)


def _remarks(row: ClassResult) -> list[str]:
    """The most frequent reasons and the note; copies, each of which names its photo, count as one kind."""
    kinds: Counter[str] = Counter()
    for reason, count in row.reasons.items():
        kinds["the same bytes as another" if reason.startswith("the same bytes as ") else reason] += count
    reasons = sorted(kinds.items(), key=lambda pair: (-pair[1], pair[0]))
    lines = [f"{count} × {reason}" for reason, count in reasons[:MOST_REASONS]]
    if len(reasons) > MOST_REASONS:
        lines.append(f"and {sum(count for _, count in reasons[MOST_REASONS:])} for other reasons")
    return [*lines, *filter(None, [row.note])]
