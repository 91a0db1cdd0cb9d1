"""The fate of every photo, in one sqlite file: what is written here is never asked for again.

Each fate is a transaction of its own, which survives the death of the process at any moment. The order in which photos
are tried follows from the seed and their ids alone, so a collection that was ended anywhere goes on to the same end.
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict, astuple, fields
from pathlib import Path

from fishnet.collect.photo import Photo, Taxon, turn_of

WAITING, KEPT, REFUSED, FAILED, COPY, DELETED, WITHDRAWN = (
    *("waiting", "kept", "refused", "failed", "copy", "deleted", "withdrawn"),
)
_PHOTO = [field.name for field in fields(Photo)]
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
    def __init__(self, file: Path, *, seed: int = 0) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.file, self._seed = file, seed
        self._sql = sqlite3.connect(file, timeout=30, isolation_level=None, check_same_thread=False)
        self._alone = threading.Lock()  # threads that decode write their photo's fate themselves
        self._sql.row_factory = sqlite3.Row
        self._sql.execute("PRAGMA journal_mode=WAL")
        self._sql.execute("PRAGMA synchronous=NORMAL")
        self._sql.execute("PRAGMA wal_autocheckpoint=8000")  # pages: a checkpoint waits for the disk
        self._sql.executescript(_TABLES)

    def close(self) -> None:
        self._sql.close()

    def note(self, name: str, default: str = "") -> str:
        row = self._sql.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return row[0] if row else default

    def write_note(self, name: str, value: str) -> None:
        self._sql.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))

    def notes(self, start: str) -> dict[str, str]:
        """Notes whose names begin so, without that beginning."""
        rows = self._sql.execute("SELECT name, value FROM notes WHERE substr(name, 1, ?) = ?", (len(start), start))
        return {row[0][len(start) :]: row[1] for row in rows}

    def settings(self) -> dict:
        return json.loads(self.note("settings", "{}"))

    def write_settings(self, settings: dict) -> None:
        self.write_note("settings", json.dumps(settings, sort_keys=True))

    def add_class(self, folder: str, taxon: Taxon) -> None:
        self._sql.execute(
            "INSERT OR IGNORE INTO classes (folder, identity, name, common_name, rank) VALUES (?, ?, ?, ?, ?)",
            (folder, *astuple(taxon)),
        )

    def classes(self) -> dict[str, Taxon]:
        rows = self._sql.execute("SELECT folder, identity, name, common_name, rank FROM classes ORDER BY folder")
        return {row[0]: Taxon(*row[1:]) for row in rows}

    def listed(self, folder: str) -> bool:
        return bool(self._sql.execute("SELECT listed FROM classes WHERE folder = ?", (folder,)).fetchone()[0])

    def end_of_list(self, folder: str, told: str = "", *, listed: bool = True) -> None:
        self._sql.execute("UPDATE classes SET listed = ?, told = ? WHERE folder = ?", (listed, told, folder))

    def list_anew(self) -> None:
        self._sql.execute("UPDATE classes SET listed = 0")

    def told(self, folder: str) -> str:
        """What the source had to say about its list."""
        return self._sql.execute("SELECT told FROM classes WHERE folder = ?", (folder,)).fetchone()[0]

    def add(self, folder: str, photos: Iterable[Photo]) -> None:
        """All of a page or nothing; a photo that is known keeps its fate."""
        places = ", ".join("?" * (len(_PHOTO) + 2))
        rows = [(folder, *asdict(photo).values(), turn_of(self._seed, photo.photo_id)) for photo in photos]
        with self._alone:
            self._sql.execute("BEGIN")
            self._sql.executemany(
                f"INSERT OR IGNORE INTO photos (folder, {', '.join(_PHOTO)}, turn) VALUES ({places})", rows
            )
            self._sql.execute("COMMIT")

    def last_observation(self, folder: str) -> int:
        """How far a list that is paged by id has come."""
        ask = "SELECT max(CAST(observation_id AS INTEGER)) FROM photos WHERE folder = ?"
        return self._sql.execute(ask, (folder,)).fetchone()[0] or 0

    def observations(self, folder: str) -> set[str]:
        """Those of which there is a photo."""
        rows = self._sql.execute("SELECT DISTINCT observation_id FROM photos WHERE folder = ?", (folder,))
        return {row[0] for row in rows} - {""}

    def next(self, folder: str, count: int) -> list[Photo]:
        """The photos that are tried next, in turn; what failed before comes last: the rest shall have a chance."""
        rows = self._sql.execute(
            f"SELECT {', '.join(_PHOTO)} FROM photos WHERE folder = ? AND fate IN (?, ?) "
            "ORDER BY fate = ?, turn LIMIT ?",
            (folder, WAITING, FAILED, FAILED, count),
        )
        return [Photo(*row) for row in rows]

    def kept(self, folder: str, photo_id: str, file: str, sha256: str, fetched_at: str) -> None:
        with self._alone:
            self._keep(folder, photo_id, file, sha256, fetched_at)

    def _keep(self, folder: str, photo_id: str, file: str, sha256: str, fetched_at: str) -> None:
        self._sql.execute(
            "UPDATE photos SET fate = ?, reason = '', file = ?, sha256 = ?, fetched_at = ?"
            " WHERE folder = ? AND photo_id = ?",
            (KEPT, file, sha256, fetched_at, folder, photo_id),
        )

    def inherited(self, row: sqlite3.Row, reason: str, heir: sqlite3.Row) -> None:
        """A photo is withdrawn and its file is its copy's from then on; a file is never nobody's in between."""
        with self._alone:
            self._sql.execute("BEGIN")
            self.ended(row["folder"], row["photo_id"], WITHDRAWN, reason)
            self._keep(heir["folder"], heir["photo_id"], row["file"], row["sha256"], heir["fetched_at"])
            self._sql.execute("COMMIT")

    def ended(self, folder: str, photo_id: str, fate: str, reason: str) -> None:
        self._sql.execute(
            "UPDATE photos SET fate = ?, reason = ? WHERE folder = ? AND photo_id = ?", (fate, reason, folder, photo_id)
        )

    def try_again(self, reason: str) -> None:
        """Photos that were refused for what is not so any more."""
        self._sql.execute(
            "UPDATE photos SET fate = ?, reason = '' WHERE fate = ? AND instr(reason, ?)", (WAITING, REFUSED, reason)
        )

    def end_many(self, rows: Iterable[tuple[str, str, str, str]]) -> None:
        """(folder, id, fate, reason), all at once."""
        with self._alone:
            self._sql.execute("BEGIN")
            for row in rows:
                self.ended(*row)
            self._sql.execute("COMMIT")

    def update(self, folder: str, photo: Photo) -> None:
        """What the source says today of a photo that is kept."""
        names = [name for name in _PHOTO if name != "photo_id"]
        values = [getattr(photo, name) for name in names]
        self._sql.execute(
            f"UPDATE photos SET {', '.join(f'{name} = ?' for name in names)} WHERE folder = ? AND photo_id = ?",
            (*values, folder, photo.photo_id),
        )

    def count(self, folder: str, *fates: str) -> int:
        ask = f"SELECT count(*) FROM photos WHERE folder = ? AND fate IN ({', '.join('?' * len(fates))})"
        return self._sql.execute(ask, (folder, *fates)).fetchone()[0]

    def reasons(self, folder: str) -> dict[str, int]:
        rows = self._sql.execute(
            "SELECT reason, count(*) AS n FROM photos WHERE folder = ? AND fate NOT IN (?, ?) "
            "GROUP BY reason ORDER BY n DESC, reason",
            (folder, WAITING, KEPT),
        )
        return {row[0]: row[1] for row in rows}

    def addresses(self, *fates: str) -> Iterator[str]:
        ask = f"SELECT url FROM photos WHERE fate IN ({', '.join('?' * len(fates))})"
        return (row[0] for row in self._sql.execute(ask, fates))

    def photos(self, *fates: str) -> Iterator[sqlite3.Row]:
        """Whole rows of these fates, by class and turn."""
        return self._sql.execute(
            f"SELECT * FROM photos WHERE fate IN ({', '.join('?' * len(fates))}) ORDER BY folder, turn", fates
        )

    def same_bytes(self) -> Iterator[sqlite3.Row]:
        """Photos whose bytes are also another's, together and in turn; also those that were refused for it before."""
        return self._sql.execute(
            "SELECT * FROM photos WHERE fate IN (?, ?, ?) AND sha256 IN (SELECT sha256 FROM photos "
            "WHERE fate IN (?, ?, ?) AND sha256 != '' GROUP BY sha256 HAVING count(*) > 1) "
            "ORDER BY sha256, turn, folder",
            (KEPT, COPY, REFUSED) * 2,
        )

    def in_several_classes(self) -> list[sqlite3.Row]:
        """Photos that observers have given to two classes: nothing is fetched of them."""
        return self._sql.execute(
            "SELECT * FROM photos WHERE fate IN (?, ?, ?) AND photo_id IN "
            "(SELECT photo_id FROM photos GROUP BY photo_id HAVING count(DISTINCT folder) > 1)",
            (WAITING, FAILED, KEPT),
        ).fetchall()
