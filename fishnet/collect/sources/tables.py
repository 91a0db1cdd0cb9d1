"""The open-data files: from a folder, or brought from a bucket's copy.

A transfer that broke off goes on where it was. What is here already is asked for again after a day, and brought again
where the bucket has another.
"""

import hashlib
import logging
import time
from pathlib import Path

from fishnet.collect.fetching import Fetcher, Unusable
from fishnet.collect.politeness import DAY, cache_folder
from fishnet.collect.turns import alone
from fishnet.collect.watcher import Watcher
from fishnet.errors import BadInput, WorkFailed

log = logging.getLogger("fishnet")

ENDINGS = (".csv.gz", ".csv", ".tsv.gz", ".tsv")


async def brought(
    where: str, names: list[str], fetcher: Fetcher, watcher: Watcher, *, anew: bool = False
) -> dict[str, Path]:
    """Each table's file; `where` is a folder, an https address or s3://bucket/path, and `anew` asks that at once."""
    if "://" in where:
        return await _from_bucket(_https(where), names, fetcher, watcher, anew)
    folder = Path(where).expanduser()
    found = {name: _in_folder(folder, name) for name in names}
    missing = [name for name, file in found.items() if file is None]
    if missing:
        raise BadInput(
            f"tables={where} holds no {missing[0]}.csv.gz: give the folder with the open-data files "
            f"({', '.join(f'{name}.csv.gz' for name in names)})."
        )
    return {name: file for name, file in found.items() if file is not None}


def _in_folder(folder: Path, name: str) -> Path | None:
    return next((file for ending in ENDINGS if (file := folder / f"{name}{ending}").is_file()), None)


def _https(where: str) -> str:
    if where.startswith("s3://"):
        bucket, _, path = where.removeprefix("s3://").partition("/")
        return f"https://{bucket}.s3.amazonaws.com/{path}".rstrip("/")
    return where.rstrip("/")


async def _from_bucket(base: str, names: list[str], fetcher: Fetcher, watcher: Watcher, anew: bool) -> dict[str, Path]:
    """One process brings them, and others find them there; all are asked for together, as they belong together."""
    folder = cache_folder() / "open_data" / hashlib.sha256(base.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: folder / f"{name}.csv.gz" for name in names}
    async with alone(folder / "bringing.lock"):
        if not anew and all(map(_asked_today, files.values())):
            oldest = min(map(_day, files.values()))
            log.info("%s: the tables of %s are used; they are asked for after a day, or by refresh=true", base, oldest)
            return files
        for file in files.values():
            await _brought(base, file, fetcher, watcher, anew)
    return files


async def _brought(base: str, file: Path, fetcher: Fetcher, watcher: Watcher, anew: bool) -> None:
    """The mark is written after the file: after a death in between, the file is brought once more."""

    def seen(here: int, total: int | None) -> None:
        watcher.fetching(f"{file.name}, MB", here // 2**20, None if total is None else total // 2**20)

    known = _mark(file).read_text() if file.exists() and _mark(file).exists() else ""
    try:
        told = await fetcher.file(f"{base}/{file.name}", file, seen, known)
    except Unusable as unusable:
        if anew or not file.exists():
            raise WorkFailed(f"{base}/{file.name} could not be brought here: {unusable}.") from unusable
        log.warning("%s/%s could not be asked for (%s): that of %s is used", base, file.name, unusable, _day(file))
        return
    _mark(file).write_text(told)


def _mark(file: Path) -> Path:
    """What the bucket called this version (ETag), written when it was asked last."""
    return file.with_name(f"{file.name}.etag")


def _asked_today(file: Path) -> bool:
    return file.exists() and _mark(file).exists() and 0 <= time.time() - _mark(file).stat().st_mtime < DAY


def _day(file: Path) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(file.stat().st_mtime))
