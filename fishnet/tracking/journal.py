"""Everything that a run reports is first a line in a local file: the queue of what waits for the store.

Training only appends a line (tens of microseconds); another thread reads the lines, sends them, and moves a cursor.
So memory holds nothing, a lost server loses nothing, and a killed process leaves what it had not sent.
Sending a line twice is harmless: metrics carry their time, and the store ignores an exact repeat.
"""

import json
import math
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from fishnet.files import LockHeld, locked

from .names import safe_key
from .process import SILENT_FOR, Writer, this_process

FOLDER = "undelivered"
OFFLINE = Path("offline") / "journal.jsonl"  # of a run that another process sends, in the run's folder

Record = dict[
    str, Any
]  # a line: its `kind` (run, params, tags, metrics, artifacts, text, dataset, note, status) and content


class Journal:
    """The lines of a run, owned by one process at a time; `LockHeld` is raised where another one owns them.

    Args:
        path: the file; beside it lie its lock, its cursor (`.sent`) and what the store has refused (`.refused.jsonl`).
        owner: the first line of a new file, which says where its lines belong: `run_id` and the store's `uri`.
    """

    def __init__(self, path: Path, *, owner: dict[str, str] | None = None) -> None:
        self.path = path
        self.lost = 0
        self.refused = 0
        self._torn = False  # the last line was cut by a full disk: the next one must not be part of it
        self._mutex = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock_file = Path(f"{path}.lock")
        self._lock = ExitStack()
        self._lock.enter_context(locked(self._lock_file, timeout=0))
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        size = os.fstat(self._file).st_size
        self._cursor = path.with_suffix(".sent")
        try:
            self.sent = min(int(self._cursor.read_text()), size)
        except (OSError, ValueError):
            self.sent = 0
        if size and not path.read_bytes().endswith(b"\n"):  # a line that a kill has cut
            os.write(self._file, b"\n")
        if owner is not None and not size:
            self.append({"kind": "run", **owner})

    @property
    def empty(self) -> bool:
        """Whether all lines were sent."""
        return self.sent >= os.fstat(self._file).st_size

    def append(self, record: Record) -> None:
        """Never raises: a full disk must not end a training that could still end well; what is lost is counted."""
        line = (json.dumps(record, default=str) + "\n").encode()
        with self._mutex:
            try:
                whole = os.write(self._file, b"\n" + line if self._torn else line) >= len(line)
                self.lost, self._torn = self.lost + (not whole), not whole
            except OSError:
                self.lost += 1

    def touch(self) -> None:
        """Give a sign of life to those who cannot see the process that writes."""
        with suppress(OSError):
            os.utime(self.path)

    def waiting(self, limit: int = 500) -> tuple[list[Record], int]:
        """The next records, at most `limit` of them, and the offset in the file after the last one."""
        records: list[Record] = []
        offset = self.sent
        with self.path.open("rb") as lines:
            lines.seek(self.sent)
            for line in lines:
                if not line.endswith(b"\n") or len(records) == limit:
                    break
                offset += len(line)
                record = _parsed(line)
                if record is not None and record["kind"] != "run":
                    records.append(record)
        return records, offset

    def advance(self, offset: int) -> None:
        """Remember that all lines before `offset` were sent."""
        self.sent = offset
        temporary = self._cursor.with_suffix(".sent.new")
        temporary.write_text(str(offset))
        os.replace(temporary, self._cursor)

    def refuse(self, record: Record, reason: str) -> None:
        """Put aside, with the reason, what the store will never accept: it blocks nothing and is not gone."""
        self.refused += 1
        with self.path.with_suffix(".refused.jsonl").open("a") as refused:
            refused.write(json.dumps({**record, "reason": reason}) + "\n")

    def close(self) -> None:
        """Leave no file behind when all was sent.

        The lock file goes while it is still held: nobody waits for it (`timeout=0`), and filelock does not take a lock
        on a file that was unlinked meanwhile.
        """
        done = self.empty
        os.close(self._file)
        if done:
            for path in (self.path, self._cursor, self._lock_file):
                path.unlink(missing_ok=True)
        self._lock.close()
        if done:
            with suppress(OSError):  # the folder holds other files
                self.path.parent.rmdir()


def open_journal(folder: Path, run_id: str, uri: str) -> Journal:
    """The journal of a run that this process sends to the store at `uri`."""
    owner = {"run_id": run_id, "uri": uri, "process": this_process().to_tag()}
    return Journal(folder / FOLDER / f"{run_id}.jsonl", owner=owner)


def left_journals(root: Path, depth: int = 4) -> Iterator[Journal]:
    """The journals below `root` that no living process owns; the depth keeps the search out of photo folders.

    A lock of another host may not be seen here (some shared folders have none): a journal that was begun there is left
    alone until it has been silent for long.
    """
    for level in range(depth + 1):
        for path in sorted(root.glob("*/" * level + f"{FOLDER}/*.jsonl")):
            if not path.name.endswith(".refused.jsonl") and not _is_written_elsewhere(path):
                with suppress(LockHeld):
                    yield Journal(path)


def _is_written_elsewhere(path: Path) -> bool:
    """Whether a process that nothing is known of here may still write it."""
    try:
        with path.open("rb") as lines:
            first = _parsed(lines.readline()) or {}
        silent = time.time() - path.stat().st_mtime
    except OSError:  # delivered, and gone
        return False
    writer = Writer.from_tag(str(first.get("process", "")))
    return writer is not None and writer.alive() is None and silent < SILENT_FOR


def owner_of(journal: Journal) -> dict[str, str] | None:
    """The run, the store and the first writer of a journal; None where its first line does not say them."""
    with journal.path.open("rb") as lines:
        first = _parsed(lines.readline())
    return first if first is not None and first["kind"] == "run" else None


def offline_records(folder: Path, *kinds: str) -> Iterator[Record]:
    """What an offline run in this folder has reported so far; records of all kinds if none is named."""
    path = folder / OFFLINE
    if path.is_file():
        with path.open("rb") as lines:
            for line in lines:
                record = _parsed(line)
                if record is not None and (record["kind"] in kinds if kinds else record["kind"] != "run"):
                    yield record


def tally(records: list[Record]) -> str:
    """How much that is, in words: `213 metric values and 2 artifacts`."""
    counts: Counter[tuple[str, str]] = Counter()
    for record in records:
        if record["kind"] == "metrics":
            counts["metric value", "metric values"] += len(record["values"])
        elif record["kind"] in ("artifacts", "text"):
            counts["artifact", "artifacts"] += 1
        else:
            counts["other entry", "other entries"] += 1
    return " and ".join(f"{n} {single if n == 1 else plural}" for (single, plural), n in counts.items()) or "nothing"


def _parsed(line: bytes) -> Record | None:
    """None for a line that a full disk or a kill has cut short."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "kind" in record else None


def finite(values: Mapping[str, Any]) -> tuple[dict[str, float], list[str]]:
    """Metrics as plain floats, and the keys of the infinite ones: MLflow would show 1.8e308, so they become NaN.

    Seven digits, which is what a float32 holds: MLflow shows all it is given, and 0.1818182 reads in a column.
    """
    plain: dict[str, float] = {}
    infinite = []
    for key, value in values.items():
        number = float(value)
        name = safe_key(key)
        if math.isinf(number):
            infinite.append(name)
            number = math.nan
        plain[name] = float(f"{number:.7g}") if abs(number) < 1e6 else number
    return plain, infinite
