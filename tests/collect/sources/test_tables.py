"""Tables from a bucket: brought once by however many processes, asked for again after a day or by a refresh."""

import asyncio
import os
import time
from contextlib import asynccontextmanager

import pytest

from fishnet.collect import fetching
from fishnet.collect.fetching import Fetcher
from fishnet.collect.politeness import DAY, Limits, Politeness
from fishnet.collect.progress import Bars
from fishnet.collect.sources.open_data import table_files
from fishnet.collect.url_guard import Gate
from fishnet.errors import WorkFailed

MONTHS = [bytes([month]) * 2_000_000 for month in (1, 2)]


class Bucket:
    """One table, a new one each month, with its ETag; served slowly enough that two can meet."""

    def __init__(self) -> None:
        self.month, self.well = 0, True
        self.answers: list[int] = []

    async def serve(self, reader, writer) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        status = 503 if not self.well else 304 if f'If-None-Match: "{self.month}"' in head else 200
        self.answers.append(status)
        body = MONTHS[self.month] if status == 200 else b""
        lines = [f"HTTP/1.1 {status} -", f'ETag: "{self.month}"', f"Content-Length: {len(body)}", "Connection: close"]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + body[:1_000_000])
        await asyncio.sleep(0.05)
        writer.write(body[1_000_000:])
        writer.close()


@pytest.fixture
def bucket(tmp_path, monkeypatch) -> Bucket:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(fetching, "ATTEMPTS", 2)
    return Bucket()


@asynccontextmanager
async def opened(bucket: Bucket):
    server = await asyncio.start_server(bucket.serve, "127.0.0.1", 0)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def bring(**how):
        polite = Politeness(Limits(), free=frozenset([host]))
        async with Fetcher(Gate([], [host]), polite, deadline=5, patience=0.01) as fetcher:
            return (await table_files(f"http://{host}", ["photos"], fetcher, Bars(shown=False), **how))["photos"]

    try:
        yield bring
    finally:
        server.close()


def test_two_that_need_the_same_table_bring_it_once_and_whole(bucket):
    async def both():
        async with opened(bucket) as bring:
            return await asyncio.gather(bring(), bring())

    one, other = asyncio.run(both())
    assert one == other and one.read_bytes() == MONTHS[0]
    assert bucket.answers == [200]


def test_a_table_is_asked_for_again_after_a_day_and_by_a_refresh(bucket, caplog):
    async def year() -> None:
        async with opened(bucket) as bring:
            with caplog.at_level("INFO", "fishnet"):
                file = await bring()
                assert not caplog.messages
                await bring()
            assert f"the tables of {time.strftime('%Y-%m-%d')} are used" in caplog.text
            await bring(anew=True)
            assert bucket.answers == [200, 304]
            bucket.month = 1
            yesterday = time.time() - DAY - 1
            os.utime(file.with_name(file.name + ".etag"), (yesterday, yesterday))
            assert (await bring()).read_bytes() == MONTHS[1]
            await bring()
            assert bucket.answers == [200, 304, 200]
            assert sorted(one.suffix for one in file.parent.iterdir()) == [".etag", ".gz", ".lock"]

    asyncio.run(year())


def test_a_bucket_that_is_away_leaves_the_table_that_is_here_but_ends_a_refresh(bucket, caplog):
    async def tried() -> None:
        async with opened(bucket) as bring:
            file = await bring()
            bucket.well = False
            os.utime(file.with_name(file.name + ".etag"), (0, 0))
            assert (await bring()).read_bytes() == MONTHS[0]
            assert "could not be asked for" in caplog.text
            with pytest.raises(WorkFailed, match="could not be brought"):
                await bring(anew=True)

    asyncio.run(tried())
