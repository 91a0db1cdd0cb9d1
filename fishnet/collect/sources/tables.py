"""The open-data files: from a folder, or brought once from a bucket's copy and continued where a transfer broke off."""

import hashlib
from pathlib import Path

from fishnet.collect.fetching import Fetcher, Unusable
from fishnet.collect.politeness import cache_folder
from fishnet.collect.watcher import Watcher
from fishnet.errors import BadInput, WorkFailed

ENDINGS = (".csv.gz", ".csv", ".tsv.gz", ".tsv")


async def brought(where: str, names: list[str], fetcher: Fetcher, watcher: Watcher) -> dict[str, Path]:
    """Each table's file; `where` is a folder, an https address or s3://bucket/path."""
    if "://" in where:
        return {name: await _brought(_https(where), name, fetcher, watcher) for name in names}
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


async def _brought(base: str, name: str, fetcher: Fetcher, watcher: Watcher) -> Path:
    folder = cache_folder() / "open_data" / hashlib.sha256(base.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.csv.gz"

    def seen(here: int, total: int | None) -> None:
        watcher.fetching(f"{file.name}, MB", here // 2**20, None if total is None else total // 2**20)

    if not file.exists():
        try:
            await fetcher.file(f"{base}/{name}.csv.gz", file, seen)
        except Unusable as unusable:
            raise WorkFailed(f"{base}/{name}.csv.gz could not be brought here: {unusable}.") from unusable
    return file
