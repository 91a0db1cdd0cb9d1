"""The monthly open-data tables, asked out of core: 70 million rows, no API, no limit but the disk.

The four files are turned into Parquet once (columns are read alone, and skipped where statistics rule them out);
every later question takes seconds.
"""

import asyncio
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

from fishnet.collect.fetching import Fetcher
from fishnet.collect.licences import licence_code
from fishnet.collect.photo import Photo, Taxon
from fishnet.collect.politeness import DAY, cache_folder
from fishnet.collect.sources.naming_taxa import nearest_rows
from fishnet.collect.sources.source import Ask, Source
from fishnet.collect.sources.tables import brought
from fishnet.collect.turns import alone
from fishnet.collect.watcher import Watcher
from fishnet.errors import BadInput, WorkFailed
from fishnet.files import replacing

PORTION = 1000
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
    at_once = True

    def __init__(
        self,
        ask: Ask,
        tables: str,
        fetcher: Fetcher,
        watcher: Watcher,
        *,
        media: str = "https://inaturalist-open-data.s3.amazonaws.com",
        anew: bool = False,
    ) -> None:
        super().__init__(ask)
        if ask.place is not None:
            raise BadInput(f"place={ask.place}: the open-data tables know no places; use source=inaturalist for that.")
        self._where, self._fetcher, self._watcher = tables, fetcher, watcher
        self._media, self._anew = media.rstrip("/"), anew
        self._ready: Path | None = None

    async def resolve(self, names: list[str]) -> list[Taxon]:
        await self._prepare()
        return [self._resolved(name) for name in names]

    async def find_all(self, taxa: list[Taxon]) -> AsyncIterator[tuple[Taxon, list[Photo]]]:
        await self._prepare()
        wanted = {int(taxon.identity): taxon for taxon in taxa}
        with _database(self._folder) as sql:
            await _beside(sql, lambda: self._gather(sql, list(wanted)))
            for number, taxon in wanted.items():
                rows = sql.execute(_CHOSEN, {"class": number, "pool": self.ask.pool})
                while portion := rows.fetchmany(PORTION):
                    yield taxon, [self._photo(row) for row in portion]

    def _gather(self, sql, numbers: list[int]) -> None:
        """One pass over the large tables for all classes; what is wanted of them is small."""
        ask = self.ask
        sql.execute(_CLASSES, {"numbers": numbers})
        licences = [(code, licence_code(code)) for (code,) in sql.execute(_LICENCES).fetchall()]
        accepted = [code for code, meant in licences if meant in ask.licences]
        what = {"quality": ask.quality, "since": ask.since, "until": ask.until}
        sql.execute(_OBSERVED, what)
        sql.execute(_FOUND, {"licences": accepted, "seed": str(ask.seed), "one": ask.per_observation == "one"})

    async def _prepare(self) -> None:
        if self._ready is None:
            files = await brought(self._where, list(TABLES), self._fetcher, self._watcher, anew=self._anew)
            self._ready = await _converted(files, self._watcher)

    @property
    def _folder(self) -> Path:
        assert self._ready is not None
        return self._ready

    def _resolved(self, name: str) -> Taxon:
        with _database(self._folder) as sql:
            if name.isdecimal():
                rows = sql.execute("SELECT taxon_id, name, rank FROM taxa WHERE taxon_id = ?", [int(name)]).fetchall()
            else:
                same = "SELECT taxon_id, name, rank FROM taxa WHERE lower(name) = lower(?) AND active ILIKE 't%'"
                rows = sql.execute(same, [name]).fetchall()
            if len(rows) == 1:
                return Taxon(str(rows[0][0]), rows[0][1], rank=rows[0][2] or "")
            near = rows or sql.execute(_NEAR, [name]).fetchall()
        candidates = nearest_rows(name, [{"id": one[0], "name": one[1], "rank": one[2]} for one in near])
        said = " or ".join(f"{one['name']} ({one['rank']}, {one['id']})" for one in candidates) or "nothing near it"
        if rows:
            raise BadInput(f"taxa={name}: the name belongs to {said}: give the number of the one you mean.")
        raise BadInput(f"taxa={name}: the tables have no active taxon of this name; did you mean {said}?")

    def _photo(self, row: tuple) -> Photo:
        number, extension, said, observation, login, name, day, lat, lon = row
        licence = licence_code(said)
        by = name or login or ""
        return Photo(
            photo_id=str(number),
            url=f"{self._media}/photos/{number}/{self.ask.size}.{extension}",
            licence=licence,
            attribution=f"{by} ({licence})" if by else "",
            observation_id=str(observation),
            observer=login or "",
            taken_on=str(day or ""),
            lat="" if lat is None else f"{lat:.6g}",
            lon="" if lon is None else f"{lon:.6g}",
        )


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
_FOUND = """
CREATE TEMP TABLE found AS
SELECT o.class, p.photo_id, p.extension, p.license, p.observation_uuid, p.observer_id,
       o.observed_on, o.latitude, o.longitude, sha256($seed || ':' || CAST(p.photo_id AS VARCHAR)) AS turn
FROM photos p JOIN observed o USING (observation_uuid)
WHERE list_contains($licences, p.license)
QUALIFY NOT $one OR row_number() OVER (PARTITION BY o.class, p.observation_uuid ORDER BY turn) = 1
"""
_CHOSEN = """
SELECT f.photo_id, f.extension, f.license, f.observation_uuid, b.login, b.name, f.observed_on, f.latitude, f.longitude
FROM (SELECT * FROM found WHERE class = $class ORDER BY turn LIMIT $pool) f
LEFT JOIN observers b USING (observer_id) ORDER BY f.turn
"""
_NEAR = """
SELECT taxon_id, name, rank FROM taxa WHERE active ILIKE 't%'
ORDER BY jaro_winkler_similarity(lower(name), lower(?)) DESC LIMIT 12
"""


def _duckdb():
    try:
        import duckdb
    except ImportError as error:
        raise BadInput("source=open_data needs DuckDB: pip install 'fishnet-vision[open-data]'.") from error
    return duckdb


def _database(folder: Path | None):
    """In memory, with the Parquet files as views; what does not fit is spilled beside them."""
    sql = _duckdb().connect()
    sql.execute(f"SET memory_limit='{MEMORY}'; SET threads={THREADS}; SET preserve_insertion_order=false")
    sql.execute("SET enable_progress_bar=false; SET autoinstall_known_extensions=false")
    if folder is not None:
        sql.execute(f"SET temp_directory={_text(_spill(folder))}")
        for name in TABLES:
            sql.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet({_text(folder / f'{name}.parquet')})")
    return sql


def _spill(folder: Path) -> Path:
    """Each process its own: DuckDB would take another's files there for its own."""
    return folder / f"spill.{os.getpid()}"


def _text(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


async def _beside(sql, work: Callable[[], None]) -> None:
    """In a thread, so that progress is shown and Ctrl-C is heard, which ends the question."""
    asked = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        await asyncio.shield(asked)
    except asyncio.CancelledError:
        while not asked.done():
            sql.interrupt()
            await asyncio.wait([asked], timeout=0.1)
        asked.exception()
        raise


async def _converted(files: dict[str, Path], watcher: Watcher) -> Path:
    """The tables as Parquet, in the user's cache; made once for these files, by one process."""
    places = json.dumps({name: str(file.resolve()) for name, file in files.items()})
    state = json.dumps({name: [file.stat().st_size, file.stat().st_mtime_ns] for name, file in files.items()})
    folder = cache_folder() / "open_data" / f"{_digest(places)}-{_digest(state)}"
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    async with alone(folder.parent / "converting.lock"):
        _clear_away(folder.parent, folder.name)
        for name, file in files.items():
            target = folder / f"{name}.parquet"
            if not target.exists():
                watcher.fetching(f"{name} as Parquet, once", 0, None)
                with _database(None) as sql:
                    sql.execute(f"SET temp_directory={_text(_spill(folder))}")
                    await _beside(sql, partial(_convert, sql, file, target, TABLES[name]))
                watcher.fetching(f"{name} as Parquet, once", 1, 1)
    return folder


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _clear_away(cache: Path, used: str) -> None:
    """What was left half written, and tables of which there are newer ones, once nobody can be reading them."""
    for part in cache.glob("*/.*.parquet*.part"):  # whoever writes one holds the lock
        part.unlink(missing_ok=True)
    places = used.partition("-")[0]
    others = [*cache.glob("*/spill*"), *(one for one in cache.glob(f"{places}-*") if one.name != used)]
    for other in others:
        if time.time() - other.stat().st_mtime > DAY:
            shutil.rmtree(other, ignore_errors=True)


def _convert(sql, file: Path, target: Path, columns: dict[str, str]) -> None:
    duckdb = _duckdb()
    read = f"read_csv({_text(file)}, delim='\t', header=true, quote='', escape='', all_varchar=true, nullstr='')"
    try:
        there = [row[0] for row in sql.execute(f"DESCRIBE SELECT * FROM {read}").fetchall()]
        for name in columns:
            if name not in there:
                raise BadInput(f"{file} has no column {name!r} (it has: {', '.join(there[:12])}).")
        chosen = ", ".join(f"TRY_CAST({name} AS {kind}) AS {name}" for name, kind in columns.items())
        with replacing(target, alone=True) as hidden:
            sql.execute(f"COPY (SELECT {chosen} FROM {read}) TO {_text(hidden)} (FORMAT parquet, COMPRESSION zstd)")
    except duckdb.Error as error:
        why = re.sub(r"\s+", " ", str(error))[:160]
        raise WorkFailed(f"{file} cannot be read as a tab-separated table ({why}).") from error
