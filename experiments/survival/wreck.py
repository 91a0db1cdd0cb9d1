"""What lies on disk after a kill: is anything broken under a final name?"""

import csv
import json
import sqlite3
from contextlib import suppress
from pathlib import Path

import yaml

from fishnet.models.checkpoint import verified


def broken_files(folder: Path) -> list[str]:
    """Names of files that say they are finished and are not."""
    final = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return [str(path.relative_to(folder)) for path in final if not _whole(path)]


def _whole(path: Path) -> bool:
    check = CHECKS.get(path.suffix)
    try:
        return check is None or check(path)
    except Exception:  # whatever a parser makes of half a file
        return False


def _whole_table(path: Path) -> bool:
    text = path.read_text(encoding="utf-8")
    rows = list(csv.reader(text.splitlines()))
    return text.endswith("\n") and len({len(row) for row in rows}) == 1


CHECKS = {
    ".ckpt": verified,
    ".csv": _whole_table,
    ".json": lambda path: json.loads(path.read_text()) is not None,
    ".sha256": lambda path: json.loads(path.read_text()) is not None,
    ".yaml": lambda path: isinstance(yaml.safe_load(path.read_text()), dict),
}


def litter(folder: Path, *, since: float) -> bool:
    """Whether the kill left a temporary file, so came while a checkpoint was written; the next writer replaces it."""
    for path in folder.glob(".*"):
        with suppress(FileNotFoundError):  # renamed meanwhile
            if path.stat().st_mtime > since:
                return True
    return False


def database_is_whole(path: Path) -> bool:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    finally:
        connection.close()
