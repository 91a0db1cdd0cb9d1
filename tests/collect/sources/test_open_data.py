"""The monthly tables, small: the same photos as from the API, and tables that are none."""

import asyncio
import gzip
import os
import shutil
import time

import duckdb
import pytest

from fishnet.collect.sources.open_data import _in_thread
from tests.support.collected import ALL, everything_below, rows_of


def test_the_tables_tell_the_same_photos_as_the_api(replica, collect, tmp_path):
    tables = replica.world.write_tables(tmp_path / "tables")
    open_licences = ["per_observation=all", "limit=null", "taxa=Perca fluviatilis,47163"]
    assert collect(replica, *open_licences, "name=api").returncode == 0
    done = collect(replica, *open_licences, "name=tables", "source=open_data", f"tables={tables}")
    assert done.returncode == 0, done.stdout
    told = {}
    for name in ("api", "tables"):
        told[name] = [
            {key: row[key] for key in ("photo_id", "class", "licence", "observer", "taken_on", "sha256")}
            for row in rows_of(tmp_path, name)
        ]
    assert told["api"] == told["tables"]
    assert all(row["attribution"] and float(row["lat"]) for row in rows_of(tmp_path, "tables"))
    calls = len(replica.calls())
    assert collect(replica, *open_licences, "name=tables", "source=open_data", f"tables={tables}").returncode == 0
    assert len(replica.calls()) == calls


def test_one_photo_an_observation_and_the_days_asked_for(replica, collect, tmp_path):
    tables = replica.world.write_tables(tmp_path / "tables")
    ask = ["taxa=47162", "limit=null", "since=2015-01-01", "until=2020-12-31"]
    assert collect(replica, *ask, "source=open_data", f"tables={tables}").returncode == 0
    rows = rows_of(tmp_path)
    assert len({row["observation_id"] for row in rows}) == len(rows) > 0
    assert all("2015" <= row["taken_on"][:4] <= "2020" for row in rows)


def test_tables_are_brought_once_from_a_buckets_copy(replica, collect, tmp_path):
    replica.tables = replica.world.write_tables(tmp_path / "tables")
    for limit in (3, 4):
        done = collect(
            replica, "taxa=47162", f"limit={limit}", "source=open_data", f"tables={replica.world.base}/tables"
        )
        assert done.returncode == 0, done.stdout
        assert len(rows_of(tmp_path)) == limit
    assert sorted(path for _, path in replica.log if "/tables/" in path) == [
        f"/tables/{name}.csv.gz" for name in ("observations", "observers", "photos", "taxa")
    ]


def test_refresh_with_newer_tables(replica, collect, tmp_path):
    tables = replica.world.write_tables(tmp_path / "tables")
    how = ["source=open_data", f"tables={tables}"]
    assert collect(replica, "taxa=47162", "limit=10", *how).returncode == 0
    rows = rows_of(tmp_path)
    gone = int(rows[0]["photo_id"])
    for one in replica.world.found:
        one["photos"] = [photo for photo in one["photos"] if photo[0] != gone]
        one["photos"] += [(photo[0] + 500_000, "cc0", "jpg") for photo in one["photos"]]  # new ones beside the old
    replica.world.write_tables(tables)
    done = collect(replica, "refresh=true", f"tables={tables}")
    assert done.returncode == 0, done.stdout
    assert [row["photo_id"] for row in rows_of(tmp_path)] == [row["photo_id"] for row in rows[1:]]


def test_refresh_asks_a_bucket_for_newer_tables(replica, collect, tmp_path):
    replica.tables = replica.world.write_tables(tmp_path / "tables")
    where = f"tables={replica.world.base}/tables"
    assert collect(replica, "taxa=47162", "limit=3", "source=open_data", where).returncode == 0
    rows = rows_of(tmp_path)
    for one in replica.world.found:
        one["photos"] = [photo for photo in one["photos"] if str(photo[0]) != rows[0]["photo_id"]]
    replica.world.write_tables(replica.tables)
    done = collect(replica, "refresh=true", where)
    assert done.returncode == 0 and "1 photo dropped" in done.stdout, done.stdout
    assert rows_of(tmp_path) == rows[1:]


def test_what_a_kill_has_left_and_what_newer_tables_have_replaced_is_cleared_away(replica, collect, tmp_path):
    tables = replica.world.write_tables(tmp_path / "tables")
    how = ["taxa=47162", "limit=1", "source=open_data", f"tables={tables}"]
    assert collect(replica, *how).returncode == 0
    (old,) = {file.parent for file in (tmp_path / "cache").rglob("*.parquet")}
    left = [old / "spill.1", old / "spill.2"]
    for folder in left:
        folder.mkdir()
    (old / ".photos.parquet.part").write_bytes(b"half")
    (old / ".photos.parquet.4711.part").write_bytes(b"half")
    os.utime(left[0], (0, 0))
    assert collect(replica, *how, "name=again").returncode == 0
    assert sorted(one.name for one in old.iterdir() if one.suffix != ".parquet") == ["spill.2"]  # at work, perhaps
    os.utime(old, (0, 0))
    with gzip.open(tables / "taxa.csv.gz", "at") as more:
        more.write("9\t\t10\tspecies\tNemo novus\ttrue\n")
    assert collect(replica, *how, "name=newer").returncode == 0
    assert not old.exists()


def test_unknown_names_and_tables_that_are_not_there(replica, collect, tmp_path):
    tables = replica.world.write_tables(tmp_path / "tables")
    done = collect(replica, "taxa=Perca fluviatlis", "source=open_data", f"tables={tables}")
    assert done.returncode == 2 and "Perca fluviatilis (species, 47162)" in done.stdout
    (tables / "photos.csv.gz").unlink()
    done = collect(replica, "taxa=47162", "source=open_data", f"tables={tables}")
    assert done.returncode == 2 and "photos.csv.gz" in done.stdout
    done = collect(replica, "taxa=47162", "source=open_data", "tables=nowhere", *ALL)
    assert done.returncode == 2 and "nowhere" in done.stdout
    shutil.rmtree(tables)
    assert everything_below(tmp_path) == []


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"not packed", "cannot be read as a tab-separated table"),
        (gzip.compress(b"a\tb\n1\t2\n"), "has no column"),
    ],
    ids=["not packed", "other columns"],
)
def test_tables_that_are_none(replica, collect, tmp_path, body, word):
    tables = replica.world.write_tables(tmp_path / "tables")
    (tables / "photos.csv.gz").write_bytes(body)
    done = collect(replica, "taxa=47162", "source=open_data", f"tables={tables}")
    assert done.returncode in (1, 2) and word in done.stdout and "Traceback" not in done.stdout, done.stdout
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_a_question_that_would_take_hours_ends_with_the_command():
    sql = duckdb.connect()
    sql.execute("SET threads=1")

    async def cancelled() -> None:
        task = asyncio.create_task(
            _in_thread(sql, lambda: sql.execute("SELECT sum(hash(i)) FROM range(1000000000000) t(i)"))
        )
        await asyncio.sleep(0.3)
        task.cancel()
        await task

    begin = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert time.monotonic() - begin < 10
