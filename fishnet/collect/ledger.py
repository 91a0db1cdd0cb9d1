"""The fate of every photo, in an SQLite file: what is written here is never fetched again.

Each fate is a transaction of its own, which survives the death of the process at any moment. The order in which photos
are tried follows from the seed and their ids alone, so a collection that was ended anywhere goes on to the same end.

Equal bytes are kept as one file, with the names of all their observers, but never under two labels, and never if they
are the picture of a notice. This too follows from the ledger alone, in whatever order the photos came.
"""

import json
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, astuple, fields
from itertools import groupby
from pathlib import Path
from sqlite3 import Row
from typing import Any

from fishnet.collect.photo import Photo, Taxon, is_numbered, turn_of

WAITING, KEPT, REFUSED, FAILED, COPY, DELETED, WITHDRAWN = FATES = (
    *("waiting", "kept", "refused", "failed", "copy", "deleted", "withdrawn"),
)
NOTICE_OBSERVERS = 3  # people do not take the same picture three times to the last bit: it is a notice, not a photo
TWO_CLASSES = "the same photo under two classes"
NOTICE = "flagged: a notice is served in its place"
_PHOTO = [field.name for field in fields(Photo)]
# the column `told` holds what Source.notes says of the class
_TABLES = f"""
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS classes (
  folder TEXT PRIMARY KEY, identity TEXT, name TEXT, common_name TEXT, rank TEXT,
  listed INTEGER DEFAULT 0, told TEXT DEFAULT ''
);
CREATE TABLE IF NOT EXISTS photos (
  folder TEXT, {", ".join(f"{name} TEXT" for name in _PHOTO)}, turn TEXT,
  fate TEXT DEFAULT '{WAITING}', reason TEXT DEFAULT '', file TEXT DEFAULT '', sha256 TEXT DEFAULT '',
  fetched_at TEXT DEFAULT '', PRIMARY KEY (folder, photo_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS photos_in_turn ON photos (folder, fate, turn);
CREATE INDEX IF NOT EXISTS photos_by_bytes ON photos (sha256);
CREATE INDEX IF NOT EXISTS photos_by_id ON photos (photo_id);
"""


class Ledger:
    """The ledger of a collection; safe to use from several threads. The `seed` decides the order of photos."""

    def __init__(self, file: Path, *, seed: int = 0) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.file, self._seed = file, seed
        self._sql = sqlite3.connect(file, timeout=30, isolation_level=None, check_same_thread=False)
        self._lock = threading.RLock()  # threads that decode write their photo's fate themselves
        self._sql.row_factory = sqlite3.Row
        self._sql.execute("PRAGMA journal_mode=WAL")
        self._sql.execute("PRAGMA synchronous=NORMAL")
        self._sql.execute("PRAGMA wal_autocheckpoint=8000")  # pages: a checkpoint waits for the disk
        self._sql.executescript(_TABLES)

    def close(self) -> None:
        self._sql.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._sql.execute("BEGIN")
            yield
            self._sql.execute("COMMIT")

    def note(self, name: str, default: str = "") -> str:
        """A fact about the whole collection."""
        row = self._sql.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return row[0] if row else default

    def write_note(self, name: str, value: str) -> None:
        self._sql.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))

    def notes(self, prefix: str) -> dict[str, str]:
        """The notes whose names have this prefix, by the remainder of their names."""
        rows = self._sql.execute("SELECT name, value FROM notes WHERE substr(name, 1, ?) = ?", (len(prefix), prefix))
        return {row[0][len(prefix) :]: row[1] for row in rows}

    def settings(self) -> dict[str, Any]:
        """The settings with which the collection was begun; empty if it was not."""
        return json.loads(self.note("settings", "{}"))

    def add_class(self, folder: str, taxon: Taxon) -> None:
        """Enter a class; a class that is known already stays as it is."""
        query = "INSERT OR IGNORE INTO classes (folder, identity, name, common_name, rank) VALUES (?, ?, ?, ?, ?)"
        self._sql.execute(query, (folder, *astuple(taxon)))

    def classes(self) -> dict[str, Taxon]:
        """Folder → class, of all commands so far."""
        rows = self._sql.execute("SELECT folder, identity, name, common_name, rank FROM classes ORDER BY folder")
        return {row[0]: Taxon(*row[1:]) for row in rows}

    def listed(self, folder: str) -> bool:
        """Whether the list of a class is complete, so that its source need not be asked again."""
        return bool(self._sql.execute("SELECT listed FROM classes WHERE folder = ?", (folder,)).fetchone()[0])

    def end_of_list(self, folder: str, note: str = "", *, listed: bool = True) -> None:
        """Mark the list of a class as complete, with the source's note about it."""
        self._sql.execute("UPDATE classes SET listed = ?, told = ? WHERE folder = ?", (listed, note, folder))

    def list_anew(self) -> None:
        self._sql.execute("UPDATE classes SET listed = 0")

    def note_of_class(self, folder: str) -> str:
        return self._sql.execute("SELECT told FROM classes WHERE folder = ?", (folder,)).fetchone()[0]

    def add(self, folder: str, photos: Iterable[Photo]) -> None:
        """Enter all of these photos or none; a photo that is known already keeps its fate."""
        marks = ", ".join("?" * (len(_PHOTO) + 2))
        query = f"INSERT OR IGNORE INTO photos (folder, {', '.join(_PHOTO)}, turn) VALUES ({marks})"
        rows = [(folder, *asdict(photo).values(), turn_of(self._seed, photo.photo_id)) for photo in photos]
        with self._transaction():
            self._sql.executemany(query, rows)

    def observations(self, folder: str) -> set[str]:
        """The ids of the observations of which a photo is entered."""
        query = "SELECT DISTINCT observation_id FROM photos WHERE folder = ?"
        return {row[0] for row in self._sql.execute(query, (folder,))} - {""}

    def next(self, folder: str, count: int) -> list[Photo]:
        """The photos to try next, in turn; those that failed before come last. A negative count means all."""
        chosen = "folder = ? AND fate IN (?, ?) ORDER BY fate = ?, turn LIMIT ?"
        query = f"SELECT {', '.join(_PHOTO)} FROM photos WHERE {chosen}"
        return [Photo(*row) for row in self._sql.execute(query, (folder, WAITING, FAILED, FAILED, count))]

    def kept(self, folder: str, photo_id: str, file: str, sha256: str, fetched_at: str = "") -> None:
        """A photo is on disk, in `file` of its class folder, fetched just now if not at another time."""
        fetched_at = fetched_at or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with self._lock:
            self._set(folder, photo_id, fate=KEPT, reason="", file=file, sha256=sha256, fetched_at=fetched_at)

    def inherited(self, row: Row, reason: str, heir: Row) -> None:
        """A photo is withdrawn, and its file belongs to its copy from then on; at no moment to neither of them."""
        with self._transaction():
            self.ended(row["folder"], row["photo_id"], WITHDRAWN, reason)
            self.kept(heir["folder"], heir["photo_id"], row["file"], row["sha256"], heir["fetched_at"])

    def ended(self, folder: str, photo_id: str, fate: str, reason: str) -> None:
        """A photo is not kept, or not any more."""
        self._set(folder, photo_id, fate=fate, reason=reason)

    def end_many(self, rows: Iterable[tuple[str, str, str, str]]) -> None:
        """`ended` for many rows (folder, id, fate, reason), all at once."""
        with self._transaction():
            for row in rows:
                self.ended(*row)

    def try_again(self, reason: str) -> None:
        """Photos that were refused for this reason, which has passed, are waiting again."""
        query = "UPDATE photos SET fate = ?, reason = '' WHERE fate = ? AND instr(reason, ?)"
        self._sql.execute(query, (WAITING, REFUSED, reason))

    def update(self, folder: str, photo: Photo) -> None:
        """Replace what the source said of a photo by what it says today."""
        self._set(folder, **asdict(photo))

    def _set(self, folder: str, photo_id: str, **values: str) -> None:
        query = f"UPDATE photos SET {', '.join(f'{name} = ?' for name in values)} WHERE folder = ? AND photo_id = ?"
        self._sql.execute(query, (*values.values(), folder, photo_id))

    def count(self, folder: str, *fates: str) -> int:
        query = f"SELECT count(*) FROM photos WHERE folder = ? AND fate IN ({', '.join('?' * len(fates))})"
        return self._sql.execute(query, (folder, *fates)).fetchone()[0]

    def reasons(self, folder: str) -> dict[str, int]:
        """Why photos of a class were not kept → how many, the most frequent reason first."""
        query = """SELECT reason, count(*) AS n FROM photos WHERE folder = ? AND fate NOT IN (?, ?)
            GROUP BY reason ORDER BY n DESC, reason"""
        return {row[0]: row[1] for row in self._sql.execute(query, (folder, WAITING, KEPT))}

    def photos(self, *fates: str) -> Iterator[Row]:
        """Whole rows of these fates, by class and turn."""
        query = f"SELECT * FROM photos WHERE fate IN ({', '.join('?' * len(fates))}) ORDER BY folder, turn"
        return self._sql.execute(query, fates)

    def copies(self) -> dict[tuple[str, str], list[Row]]:
        """The copies of each kept photo, by its folder and digest."""
        copies = defaultdict(list)
        for row in self.photos(COPY):
            copies[row["folder"], row["sha256"]].append(row)
        return copies

    def settle_copies(self) -> list[str]:
        """Write the fates of photos with equal bytes or of several classes; returns the files that have to go."""
        several = "SELECT photo_id FROM photos GROUP BY photo_id HAVING count(DISTINCT folder) > 1"
        query = f"SELECT * FROM photos WHERE fate IN (?, ?, ?) AND photo_id IN ({several})"
        # observers gave them to two classes: nothing is fetched of them
        in_several_classes = self._sql.execute(query, (WAITING, FAILED, KEPT)).fetchall()
        verdicts = [*self._verdicts_on_copies(), *((row, REFUSED, TWO_CLASSES) for row in in_several_classes)]
        self.end_many((row["folder"], row["photo_id"], fate, reason) for row, fate, reason in verdicts)
        return [f"{row['folder']}/{row['file']}" for row, _, _ in verdicts if row["fate"] == KEPT]

    def _verdicts_on_copies(self) -> Iterator[tuple[Row, str, str]]:
        """Row, fate and reason of photos whose bytes are also another's, also of one that was refused for it before."""
        same_bytes = self._sql.execute(
            "SELECT * FROM photos WHERE fate IN (?, ?, ?) AND sha256 IN (SELECT sha256 FROM photos "
            "WHERE fate IN (?, ?, ?) AND sha256 != '' GROUP BY sha256 HAVING count(*) > 1) "
            "ORDER BY sha256, turn, folder",
            (KEPT, COPY, REFUSED) * 2,
        )
        for _, group in groupby(same_bytes, key=lambda row: row["sha256"]):
            rows = list(group)
            live = [row for row in rows if row["fate"] != REFUSED]
            # without an observer, a numbered photo has an owner of its own, but many addresses of a file have none
            owners = {row["observer"] or (row["photo_id"] if is_numbered(row["url"]) else "") for row in rows}
            if len(owners) >= NOTICE_OBSERVERS:
                yield from ((row, REFUSED, NOTICE) for row in live)
            elif len({row["folder"] for row in rows}) > 1:
                yield from ((row, REFUSED, TWO_CLASSES) for row in live)
            elif live and live[0]["fate"] == KEPT:
                reason = f"the same bytes as {live[0]['photo_id']}"
                yield from ((row, COPY, reason) for row in live[1:] if row["fate"] == KEPT)
