"""Everything a run reports is first a line in a local file: the queue, and what is left when the store is away.

Training only appends a line (tens of microseconds); another thread reads the lines, sends them, and moves a cursor.
So memory holds nothing, a lost server loses nothing, and a killed process leaves what it had not sent.
Sending a line twice is harmless: metrics carry their time, and the store ignores an exact repeat.
"""

import json
import os
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

FOLDER = "undelivered"


class Journal:
    """One run's lines, owned by one process at a time."""

    def __init__(self, path: Path, *, owner: dict[str, str] | None = None) -> None:
        self.path = path
        self.lost = 0
        self.refused = 0
        self._torn = False  # the last line was cut by a full disk: the next one must not be part of it
        self._mutex = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(f"{path}.lock", timeout=0)
        self._lock.acquire()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self.sent = self._read_cursor()
        self._close_torn_line()
        if owner is not None and os.fstat(self._file).st_size == 0:
            self.append({"kind": "run", **owner})

    @property
    def empty(self) -> bool:
        return self.sent >= os.fstat(self._file).st_size

    def append(self, record: dict[str, Any]) -> None:
        """Never raises: a full disk must not end a training that could still end well; what is lost is counted."""
        line = (json.dumps(record, default=str) + "\n").encode()
        with self._mutex:
            try:
                whole = os.write(self._file, b"\n" + line if self._torn else line) >= len(line)
                self.lost, self._torn = self.lost + (not whole), not whole
            except OSError:
                self.lost += 1

    def waiting(self, limit: int = 500) -> tuple[list[dict[str, Any]], int]:
        """The next records, and the place in the file after them."""
        records: list[dict[str, Any]] = []
        place = self.sent
        with self.path.open("rb") as lines:
            lines.seek(self.sent)
            for line in lines:
                if not line.endswith(b"\n") or len(records) == limit:
                    break
                place += len(line)
                record = _parsed(line)
                if record is not None and record["kind"] != "run":
                    records.append(record)
        return records, place

    def advance(self, place: int) -> None:
        self.sent = place
        cursor = self._cursor.with_suffix(".sent.new")
        cursor.write_text(str(place))
        os.replace(cursor, self._cursor)

    def refuse(self, record: dict[str, Any], reason: str) -> None:
        """What the store will never take is put aside with its reason, so that it blocks nothing and is not gone."""
        self.refused += 1
        with self.path.with_suffix(".refused.jsonl").open("a") as refused:
            refused.write(json.dumps({**record, "reason": reason}) + "\n")

    def close(self) -> None:
        """Leaves no file behind when all was sent."""
        done = self.empty
        os.close(self._file)
        if done:
            self.path.unlink(missing_ok=True)
            self._cursor.unlink(missing_ok=True)
            Path(self._lock.lock_file).unlink(missing_ok=True)
        self._lock.release()
        if done:
            _remove_if_empty(self.path.parent)

    @property
    def _cursor(self) -> Path:
        return self.path.with_suffix(".sent")

    def _read_cursor(self) -> int:
        try:
            return min(int(self._cursor.read_text()), os.fstat(self._file).st_size)
        except (OSError, ValueError):
            return 0

    def _close_torn_line(self) -> None:
        if not self.path.read_bytes().endswith(b"\n") and os.fstat(self._file).st_size:
            os.write(self._file, b"\n")


def open_journal(folder: Path, run_id: str, uri: str) -> Journal:
    return Journal(folder / FOLDER / f"{run_id}.jsonl", owner={"run_id": run_id, "uri": uri})


def left_journals(root: Path, depth: int = 4) -> Iterator[Journal]:
    """The journals below `root` that no living process owns; the depth keeps the search out of photo folders."""
    for level in range(depth + 1):
        for path in sorted(root.glob("*/" * level + f"{FOLDER}/*.jsonl")):
            if path.name.endswith(".refused.jsonl"):
                continue
            try:
                yield Journal(path)
            except Timeout:
                continue


def owner_of(journal: Journal) -> dict[str, str] | None:
    with journal.path.open("rb") as lines:
        first = _parsed(lines.readline())
    return first if first is not None and first["kind"] == "run" else None


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """All whole lines of a journal that another process may still be writing."""
    with path.open("rb") as lines:
        for line in lines:
            record = _parsed(line)
            if record is not None and record["kind"] != "run":
                yield record


def tally(records: list[dict[str, Any]]) -> str:
    """How much that is, in words: `213 metric values and 2 artifacts`."""
    count: Counter[str] = Counter()
    for record in records:
        kind = record["kind"]
        word = "metric value" if kind == "metrics" else "artifact" if kind in ("artifacts", "text") else "entry"
        count[word] += len(record["values"]) if kind == "metrics" else 1
    plural = {"metric value": "metric values", "artifact": "artifacts", "entry": "other entries"}
    single = {"metric value": "metric value", "artifact": "artifact", "entry": "other entry"}
    parts = [f"{n} {single[word] if n == 1 else plural[word]}" for word, n in count.items()]
    return " and ".join(parts) or "nothing"


def _parsed(line: bytes) -> dict[str, Any] | None:
    """None for a line that a full disk or a kill cut short."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "kind" in record else None


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return
