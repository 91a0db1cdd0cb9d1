"""The open-data tables at size: 5 million observations, 10 million photos, three species of 500 photos."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb

OBSERVATIONS, PHOTOS, TAXA = 5_000_000, 10_000_000, 20_000
MOST_SECONDS, MOST_MB = 60, 2048

_ASK = """
import asyncio, os, re, sys, time
os.environ["XDG_CACHE_HOME"] = sys.argv[2]
from fishnet.collect.sources.open_data import OpenData
from fishnet.collect.sources.source import Query
from fishnet.collect.progress import Bars
async def main():
    source = OpenData(Query(pool=500), sys.argv[1], None, Bars(shown=False), media="")
    taxa = await source.resolve(["Species 100", "Species 2000", "15000"])
    found = {one.identity: 0 for one in taxa}
    async for taxon, photos in source.find_all(taxa):
        found[taxon.identity] += len(photos)
    return found
begin = time.perf_counter()
found = asyncio.run(main())
seconds = time.perf_counter() - begin
status = open("/proc/self/status").read()  # ru_maxrss would be that of the process that started this one, too
peak = int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) // 1024
print(min(found.values()), len(found), seconds, peak)
"""


def proof(scale: float) -> Iterator[tuple]:
    with tempfile.TemporaryDirectory() as folder:
        tables, cache = Path(folder) / "tables", Path(folder) / "cache"
        size = drawn(tables, scale)
        yield (
            "rows of observations and photos, packed size",
            f"{OBSERVATIONS * scale:,.0f}, {PHOTOS * scale:,.0f}, {size:.0f} MB",
            "",
            True,
        )
        fewest, species, first, first_mb = asked(tables, cache)
        yield "photos of the rarest of the three species", fewest, 500, fewest == 500 and species == 3
        yield "first time, with the conversion, s", f"{first:.1f}", "once", True
        yield "peak memory of that, MB", first_mb, f"<= {MOST_MB}", first_mb <= MOST_MB
        _, _, again, again_mb = asked(tables, cache)
        yield "chosen afterwards, s", f"{again:.1f}", f"<= {MOST_SECONDS}", again <= MOST_SECONDS
        yield "peak memory of that, MB", again_mb, f"<= {MOST_MB}", again_mb <= MOST_MB


def drawn(folder: Path, scale: float) -> float:
    """20,000 species, each seen about equally often, and three that are asked for."""
    folder.mkdir()
    count, photos = round(OBSERVATIONS * scale), round(PHOTOS * scale)
    key = "md5(CAST({} AS VARCHAR))::UUID"
    sql = duckdb.connect()
    sql.execute(f"SET memory_limit='2GB'; SET threads=2; SET temp_directory='{folder}/spill'")
    selects = {
        "taxa": f"SELECT i + 1 AS taxon_id, '48460/1/' || (i % 50) AS ancestry, 10 AS rank_level, 'species' AS rank,"
        f" 'Species ' || (i + 1) AS name, 'true' AS active FROM range({TAXA}) t(i)",
        "observers": "SELECT i AS observer_id, 'user_' || i AS login, NULL AS name FROM range(200000) t(i)",
        "observations": f"SELECT {key.format('i')} AS observation_uuid, hash(i) % 200000 AS observer_id,"
        " round(CAST(hash(i + 1) % 180 AS INTEGER) - 90.5, 5) AS latitude,"
        " round(CAST(hash(i + 2) % 360 AS INTEGER) - 179.5, 5) AS longitude,"
        f" NULL AS positional_accuracy, 1 + hash(i + 3) % {TAXA} AS taxon_id,"
        " CASE WHEN hash(i + 4) % 10 < 7 THEN 'research' ELSE 'casual' END AS quality_grade,"
        f" DATE '2010-01-01' + CAST(hash(i + 5) % 5000 AS INTEGER) AS observed_on FROM range({count}) t(i)"
        f" WHERE hash(i + 3) % {TAXA} NOT IN (99, 1999, 14999) UNION ALL"
        f" SELECT {key.format('-i')}, i % 1000, 50.5, 8.5, NULL,"
        f" CASE i % 3 WHEN 0 THEN 100 WHEN 1 THEN 2000 ELSE 15000 END,"
        f" 'research', DATE '2020-05-01' FROM range(1, {round(30000 * scale) + 3000}) t(i)",
        "photos": f"SELECT {key.format('i + 77')} AS photo_uuid, i AS photo_id,"
        f" {key.format(f'i % {count}')} AS observation_uuid,"
        " hash(i) % 200000 AS observer_id, 'jpg' AS extension,"
        " CASE hash(i) % 4 WHEN 0 THEN 'CC0' WHEN 1 THEN 'CC-BY' ELSE 'CC-BY-NC' END AS license,"
        f" 2048 AS width, 1536 AS height, 0 AS position FROM range({photos}) t(i) UNION ALL"
        f" SELECT {key.format('-i - 5')}, 1000000000 + i, {key.format('-i')}, i % 1000, 'jpeg', 'CC-BY', 2048, 1536, 0"
        f" FROM range(1, {round(30000 * scale) + 3000}) t(i)",
    }
    begin = time.perf_counter()
    for name, select in selects.items():
        file = folder / f"{name}.csv.gz"
        sql.execute(f"COPY ({select}) TO '{file}' (FORMAT csv, DELIMITER '\t', HEADER, COMPRESSION gzip)")
    print(f"drawn in {time.perf_counter() - begin:.0f} s", flush=True)
    return sum(file.stat().st_size for file in folder.glob("*.gz")) / 2**20


def asked(tables: Path, cache: Path) -> tuple[int, int, float, int]:
    command = [sys.executable, "-c", _ASK, str(tables), str(cache)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return int(said[0]), int(said[1]), float(said[2]), int(said[3])
