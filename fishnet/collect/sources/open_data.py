"""iNaturalist's monthly open-data tables, queried out of core: 70 million rows, no API, no limit but the disk.

The four files are taken from a folder or downloaded from a bucket, and converted to Parquet once (whose columns are
read alone, and skipped where statistics rule them out); every later query takes seconds.
"""

import asyncio
import hashlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fishnet.collect.fetching import Fetcher, Unusable
from fishnet.collect.licences import licence_code
from fishnet.collect.photo import Photo, Taxon
from fishnet.collect.politeness import DAY, async_lock, cache_folder
from fishnet.collect.progress import Bars
from fishnet.collect.sources.inaturalist import nearest_rows
from fishnet.collect.sources.source import Query, Source
from fishnet.errors import BadInput, WorkFailed
from fishnet.files import replacing

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = logging.getLogger("fishnet")

PORTION = 1000
ENDINGS = (".csv.gz", ".csv", ".tsv.gz", ".tsv")
MEMORY, THREADS = "1GB", 2
# The columns that are used, with their types; a table that lacks one is refused with its name.
TABLES = {
    "taxa": {"taxon_id": "BIGINT", "ancestry": "VARCHAR", "rank": "VARCHAR", "name": "VARCHAR", "active": "VARCHAR"},
    "observers": {"observer_id": "BIGINT", "login": "VARCHAR", "name": "VARCHAR"},
    "observations": {
        **{"observation_uuid": "UUID", "observer_id": "BIGINT", "latitude": "DOUBLE", "longitude": "DOUBLE"},
        **{"taxon_id": "BIGINT", "quality_grade": "VARCHAR", "observed_on": "DATE"},
    },
    "photos": {
        **{"photo_id": "BIGINT", "observation_uuid": "UUID", "observer_id": "BIGINT", "extension": "VARCHAR"},
        "license": "VARCHAR",
    },
}


class OpenData(Source):
    """The source `open_data`: `tables` as in `table_files`, `media` the address of the photos."""

    at_once = True

    def __init__(
        self, query: Query, tables: str, fetcher: Fetcher, bars: Bars, *, media: str, anew: bool = False
    ) -> None:
        super().__init__(query)
        if query.place is not None:
            why = "the open-data tables know no places; use source=inaturalist for that"
            raise BadInput(f"place={query.place}: {why}.")
        self._where, self._fetcher, self._bars = tables, fetcher, bars
        self._media, self._anew = media.rstrip("/"), anew
        self._parquet: Path | None = None

    async def _folder(self) -> Path:
        if self._parquet is None:
            files = await table_files(self._where, list(TABLES), self._fetcher, self._bars, anew=self._anew)
            self._parquet = await _converted(files, self._bars)
        return self._parquet

    async def resolve(self, names: list[str]) -> list[Taxon]:
        """Each name is a number, or a scientific name that belongs to one active taxon alone."""
        with _database(await self._folder()) as sql:
            return [_resolved(sql, name) for name in names]

    async def find_all(self, taxa: list[Taxon], after: int = 0) -> AsyncIterator[tuple[Taxon, list[Photo]]]:
        """In one pass over the large tables for all classes; what is wanted of them is small."""
        wanted = {int(taxon.identity): taxon for taxon in taxa}
        with _database(await self._folder()) as sql:
            await _in_thread(sql, lambda: self._gather(sql, list(wanted)))
            for number, taxon in wanted.items():
                rows = sql.execute(_CHOSEN, {"class": number, "pool": self.query.pool})
                while portion := rows.fetchmany(PORTION):
                    yield taxon, [self._photo(row) for row in portion]

    def _gather(self, sql: "DuckDBPyConnection", numbers: list[int]) -> None:
        query = self.query
        sql.execute(_CLASSES, {"numbers": numbers})
        licences = [(code, licence_code(code)) for (code,) in sql.execute(_LICENCES).fetchall()]
        accepted = [code for code, meant in licences if meant in query.licences]
        sql.execute(_OBSERVED, {"quality": query.quality, "since": query.since, "until": query.until})
        single = query.per_observation == "one"
        sql.execute(_CANDIDATES, {"licences": accepted, "seed": str(query.seed), "single": single})

    def _photo(self, row: tuple) -> Photo:
        number, extension, code, observation, login, name, day, *position = row
        licence, by = licence_code(code), name or login or ""
        lat, lon = ("" if degrees is None else f"{degrees:.6g}" for degrees in position)
        return Photo(
            photo_id=str(number), url=f"{self._media}/photos/{number}/{self.query.size}.{extension}", licence=licence,
            attribution=f"{by} ({licence})" if by else "", observation_id=str(observation), observer=login or "",
            taken_on=str(day or ""), lat=lat, lon=lon,
        )  # fmt: skip


# A class is a taxon with all below it; ancestry is a path of numbers.
_CLASSES = """
CREATE TEMP TABLE members AS
SELECT t.taxon_id, c.class FROM (SELECT unnest($numbers) AS class) c JOIN taxa t
ON t.taxon_id = c.class OR list_contains(string_split(t.ancestry, '/'), CAST(c.class AS VARCHAR))
"""
_LICENCES = "SELECT DISTINCT license FROM photos"
_OBSERVED = """
CREATE TEMP TABLE observed AS
SELECT o.observation_uuid, m.class, o.latitude, o.longitude, o.observed_on
FROM observations o JOIN members m USING (taxon_id)
WHERE ($quality = 'any' OR o.quality_grade = $quality)
  AND ($since IS NULL OR o.observed_on >= CAST($since AS DATE))
  AND ($until IS NULL OR o.observed_on <= CAST($until AS DATE))
"""
_CANDIDATES = """
CREATE TEMP TABLE candidates AS
SELECT o.class, p.photo_id, p.extension, p.license, p.observation_uuid, p.observer_id,
       o.observed_on, o.latitude, o.longitude, sha256($seed || ':' || CAST(p.photo_id AS VARCHAR)) AS turn
FROM photos p JOIN observed o USING (observation_uuid)
WHERE list_contains($licences, p.license)
QUALIFY NOT $single OR row_number() OVER (PARTITION BY o.class, p.observation_uuid ORDER BY turn) = 1
"""
_CHOSEN = """
SELECT f.photo_id, f.extension, f.license, f.observation_uuid, b.login, b.name, f.observed_on, f.latitude, f.longitude
FROM (SELECT * FROM candidates WHERE class = $class ORDER BY turn LIMIT $pool) f
LEFT JOIN observers b USING (observer_id) ORDER BY f.turn
"""
_NEAR = """
SELECT taxon_id, name, rank FROM taxa WHERE active ILIKE 't%'
ORDER BY jaro_winkler_similarity(lower(name), lower(?)) DESC LIMIT 12
"""


def _resolved(sql: "DuckDBPyConnection", name: str) -> Taxon:
    if name.isdecimal():
        rows = sql.execute("SELECT taxon_id, name, rank FROM taxa WHERE taxon_id = ?", [int(name)]).fetchall()
    else:
        same = "SELECT taxon_id, name, rank FROM taxa WHERE lower(name) = lower(?) AND active ILIKE 't%'"
        rows = sql.execute(same, [name]).fetchall()
    if len(rows) == 1:
        return Taxon(str(rows[0][0]), rows[0][1], rank=rows[0][2] or "")
    near = rows or sql.execute(_NEAR, [name]).fetchall()
    candidates = nearest_rows(name, [dict(zip(("id", "name", "rank"), row, strict=True)) for row in near])
    names = " or ".join(f"{row['name']} ({row['rank']}, {row['id']})" for row in candidates) or "nothing near it"
    if rows:
        raise BadInput(f"taxa={name}: the name belongs to {names}: give the number of the one you mean.")
    raise BadInput(f"taxa={name}: the tables have no active taxon of this name; did you mean {names}?")


def _database(folder: Path, *, views: bool = True) -> "DuckDBPyConnection":
    """A database in memory with a folder's Parquet files as views; each process spills to a folder of its own there."""
    try:
        import duckdb
    except ImportError as error:
        raise BadInput("source=open_data needs DuckDB: pip install 'fishnet-vision[open-data]'.") from error
    sql = duckdb.connect()
    sql.execute(f"SET memory_limit='{MEMORY}'; SET threads={THREADS}; SET preserve_insertion_order=false")
    sql.execute("SET enable_progress_bar=false; SET autoinstall_known_extensions=false")
    sql.execute(f"SET temp_directory={_quoted(folder / f'spill.{os.getpid()}')}")
    for name in TABLES if views else ():
        sql.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet({_quoted(folder / f'{name}.parquet')})")
    return sql


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


async def _in_thread(sql: "DuckDBPyConnection", work: Callable[[], object]) -> None:
    """Run a query in a thread, so that progress is shown; cancellation, as by Ctrl-C, interrupts the query."""
    query = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        await asyncio.shield(query)
    except asyncio.CancelledError:
        while not query.done():
            sql.interrupt()
            await asyncio.wait([query], timeout=0.1)
        query.exception()
        raise


async def _converted(files: dict[str, Path], bars: Bars) -> Path:
    """The folder of these tables as Parquet, in the user's cache; made once, by one process."""
    paths = {name: str(file.resolve()) for name, file in files.items()}
    state = {name: [file.stat().st_size, file.stat().st_mtime_ns] for name, file in files.items()}
    digests = [hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16] for facts in (paths, state)]
    folder = cache_folder() / "open_data" / "-".join(digests)
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    async with async_lock(folder.parent / "converting.lock"):
        _remove_leftovers(folder.parent, folder.name)
        for name, file in files.items():
            target = folder / f"{name}.parquet"
            if not target.exists():
                bars.fetching(f"{name} as Parquet, once", 0, None)
                with _database(folder, views=False) as sql:
                    await _in_thread(sql, partial(_convert, sql, file, target, TABLES[name]))
                bars.fetching(f"{name} as Parquet, once", 1, 1)
    return folder


def _remove_leftovers(cache: Path, used: str) -> None:
    """Delete what was left half written, and tables of which there are newer ones, once nobody can be reading them."""
    for part in cache.glob("*/.*.parquet*.part"):  # whoever writes one holds the lock
        part.unlink(missing_ok=True)
    paths = used.partition("-")[0]
    others = [*cache.glob("*/spill*"), *(folder for folder in cache.glob(f"{paths}-*") if folder.name != used)]
    for other in others:
        if time.time() - other.stat().st_mtime > DAY:
            shutil.rmtree(other, ignore_errors=True)


def _convert(sql: "DuckDBPyConnection", file: Path, target: Path, columns: dict[str, str]) -> None:
    """Write the columns that are used as Parquet; a value that is not of its column's type becomes NULL."""
    import duckdb

    read = f"read_csv({_quoted(file)}, delim='\t', header=true, quote='', escape='', all_varchar=true, nullstr='')"
    try:
        names = [row[0] for row in sql.execute(f"DESCRIBE SELECT * FROM {read}").fetchall()]
        for name in columns:
            if name not in names:
                raise BadInput(f"{file} has no column {name!r} (it has: {', '.join(names[:12])}).")
        chosen = ", ".join(f"TRY_CAST({name} AS {kind}) AS {name}" for name, kind in columns.items())
        with replacing(target, alone=True) as hidden:
            sql.execute(f"COPY (SELECT {chosen} FROM {read}) TO {_quoted(hidden)} (FORMAT parquet, COMPRESSION zstd)")
    except duckdb.Error as error:
        why = re.sub(r"\s+", " ", str(error))[:160]
        raise WorkFailed(f"{file} cannot be read as a tab-separated table ({why}).") from error


async def table_files(
    where: str, names: list[str], fetcher: Fetcher, bars: Bars, *, anew: bool = False
) -> dict[str, Path]:
    """The file of each table, in a folder, at https or s3://; those are asked for again after a day, or `anew`."""
    if "://" in where:
        where = re.sub(r"^s3://([^/]*)/?", r"https://\1.s3.amazonaws.com/", where)
        return await _downloaded(where.rstrip("/"), names, fetcher, bars, anew)
    files = {}
    for name in names:
        candidates = (Path(where).expanduser() / f"{name}{ending}" for ending in ENDINGS)
        file = next(filter(Path.is_file, candidates), None)
        if file is None:
            raise BadInput(
                f"tables={where} holds no {name}.csv.gz: give the folder with the open-data files "
                f"({', '.join(f'{name}.csv.gz' for name in names)})."
            )
        files[name] = file
    return files


async def _downloaded(base: str, names: list[str], fetcher: Fetcher, bars: Bars, anew: bool) -> dict[str, Path]:
    """One process downloads for all; all tables are asked for together, as they belong together."""
    folder = cache_folder() / "open_data" / hashlib.sha256(base.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: folder / f"{name}.csv.gz" for name in names}
    async with async_lock(folder / "bringing.lock"):
        marked = all(file.exists() and _mark(file).exists() for file in files.values())
        if marked and not anew and all(0 <= time.time() - _mark(file).stat().st_mtime < DAY for file in files.values()):
            oldest = min(map(_day, files.values()))
            log.info("%s: the tables of %s are used; they are asked for after a day, or by refresh=true", base, oldest)
            return files
        for file in files.values():
            await _download(base, file, fetcher, bars, anew)
    return files


async def _download(base: str, file: Path, fetcher: Fetcher, bars: Bars, anew: bool) -> None:
    """The mark is written after the file: after a death in between, the file is downloaded once more."""

    def seen(size: int, total: int | None) -> None:
        bars.fetching(f"{file.name}, MB", size // 2**20, None if total is None else total // 2**20)

    known = _mark(file).read_text() if file.exists() and _mark(file).exists() else ""
    try:
        etag = await fetcher.file(f"{base}/{file.name}", file, seen, known)
    except Unusable as unusable:
        if anew or not file.exists():
            raise WorkFailed(f"{base}/{file.name} could not be brought here: {unusable}.") from unusable
        log.warning("%s/%s could not be asked for (%s): that of %s is used", base, file.name, unusable, _day(file))
        return
    _mark(file).write_text(etag)


def _mark(file: Path) -> Path:
    """Holds the bucket's ETag of the file, and was written when it was asked last."""
    return file.with_name(f"{file.name}.etag")


def _day(file: Path) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(file.stat().st_mtime))
