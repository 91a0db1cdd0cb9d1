"""Each fault of a server by itself: once, and the photo arrives; always, and there is a reason."""

import asyncio
import gzip
from collections import Counter
from contextlib import asynccontextmanager

import pytest

from experiments.replica import FAULTS
from experiments.replica.world import draw
from fishnet.collect import fetching
from fishnet.collect.fetching import Fetcher, Unusable
from fishnet.collect.politeness import Limits, Politeness
from fishnet.collect.url_guard import Gate
from fishnet.images import load_image

PHOTO = draw(1, 0, 64)
MOST = 4 * 2**20


@asynccontextmanager
async def asked(tmp_path, times: int, deadline: float = 1.5):
    """A server whose n-th photo has the n-th fault, for the first `times` that it is asked."""
    seen: Counter = Counter()

    async def serve(reader, writer) -> None:
        try:
            while True:
                number = int((await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1][1:].partition(b"?")[0])
                seen[number] += 1
                if seen[number] <= times:
                    await list(FAULTS.values())[number](writer, PHOTO)
                    return
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(PHOTO) + PHOTO)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    polite = Politeness(Limits(), folder=tmp_path, free=frozenset({host}))
    try:
        async with Fetcher(Gate([], [host]), polite, connections=64, deadline=deadline, patience=0.01) as fetcher:
            yield fetcher, f"http://{host}"
    finally:
        polite.close()
        server.close()


async def decoded(body: bytes) -> bytes:
    load_image(body)
    return body


async def one(fetcher: Fetcher, url: str) -> bytes | str:
    try:
        return await fetcher.photo(url, decoded)
    except Unusable as unusable:
        return str(unusable)


def all_of(tmp_path, times: int) -> dict[str, bytes | str]:
    async def fetched() -> list:
        async with asked(tmp_path, times) as (fetcher, base):
            return await asyncio.gather(*(one(fetcher, f"{base}/{number}") for number in range(len(FAULTS))))

    return dict(zip(FAULTS, asyncio.run(fetched()), strict=True))


@pytest.fixture(autouse=True)
def _small_cap(monkeypatch):
    monkeypatch.setattr(fetching, "MOST_BYTES", MOST)


def test_a_fault_that_passes_costs_nothing(tmp_path):
    assert {name: body for name, body in all_of(tmp_path, 1).items() if body != PHOTO} == {}


def test_a_fault_that_stays_has_a_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "ATTEMPTS", 2)
    reasons = all_of(tmp_path, 100)
    assert [name for name, reason in reasons.items() if not isinstance(reason, str) or not reason] == []
    assert "larger than 4 MB" in reasons["endless"] == reasons["gzip bomb"]
    assert "no whole answer within 1.5 s" in reasons["one byte at a time"] == reasons["says nothing"]
    assert "private" in reasons["redirect to a private address"] or "hosts" in reasons["redirect to a private address"]
    assert "cut short" in reasons["short body"] == reasons["reset"]
    assert "web page" in reasons["HTML with status 200"]


@pytest.mark.parametrize(("fault", "rests"), [("429", True), ("503 with Retry-After", True), ("503", False)])
def test_a_host_that_is_crowded_is_left_alone_by_all_connections(tmp_path, monkeypatch, fault, rests):
    rested = []
    monkeypatch.setattr(Politeness, "pause", lambda self, host, seconds: rested.append(seconds))

    async def fetched() -> bytes | str:
        async with asked(tmp_path, 1) as (fetcher, base):
            return await one(fetcher, f"{base}/{list(FAULTS).index(fault)}")

    assert asyncio.run(fetched()) == PHOTO
    assert bool(rested) == rests


@pytest.mark.parametrize(
    ("fault", "word"),
    [("says nothing", "within 0.5 s"), ("short body", "cut short"), ("500", "500")],
)
def test_a_large_file_comes_whole_or_ends_in_words(tmp_path, monkeypatch, fault, word):
    monkeypatch.setattr(fetching, "ATTEMPTS", 2)

    async def brought(times: int) -> None:
        async with asked(tmp_path, times, deadline=0.5) as (fetcher, base):
            await fetcher.file(f"{base}/{list(FAULTS).index(fault)}", tmp_path / "table", lambda here, total: None)

    with pytest.raises(Unusable, match=word):
        asyncio.run(brought(9))
    assert not (tmp_path / "table").exists()
    asyncio.run(brought(1))
    assert (tmp_path / "table").read_bytes() == PHOTO


def packed_with_more_behind(body: bytes) -> list[bytes]:
    return [gzip.compress(body), *[b"more" * 2**16] * 60]


def packed_under_a_name_without_end(body: bytes) -> list[bytes]:
    return [b"\x1f\x8b\x08\x08" + bytes(6), *[b"name" * 2**16] * 60]


@pytest.mark.parametrize(
    ("portions", "word"),
    [(packed_with_more_behind, "behind its end"), (packed_under_a_name_without_end, "larger than 4 MB")],
)
def test_what_comes_packed_is_bounded_also_where_nothing_comes_out_of_it(tmp_path, monkeypatch, portions, word):
    monkeypatch.setattr(fetching, "ATTEMPTS", 1)

    async def write(writer, body: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n")
        for portion in portions(body):
            writer.write(portion)
            await writer.drain()

    assert word in answered(tmp_path, monkeypatch, write)


def test_signs_that_a_terminal_obeys_do_not_reach_it(tmp_path, monkeypatch):
    async def write(writer, body: bytes) -> None:
        writer.write(b"HTTP/1.1 400 \x1b[31mred\x1b]0;title\x07%s\r\n\r\n" % (b"!" * 200))

    monkeypatch.setattr(fetching, "ATTEMPTS", 1)
    reason = answered(tmp_path, monkeypatch, write)
    assert reason.startswith("the server answered 400 ") and reason.isprintable() and len(reason) < 100


def answered(tmp_path, monkeypatch, write) -> bytes | str:
    """What comes of a photo that is answered so, time after time."""
    monkeypatch.setitem(FAULTS, "another", write)

    async def fetched() -> bytes | str:
        async with asked(tmp_path, 100) as (fetcher, base):
            return await one(fetcher, f"{base}/{len(FAULTS) - 1}")

    return asyncio.run(fetched())


def test_to_be_told_no_time_is_no_leave_to_ask_at_once(tmp_path, monkeypatch):
    rested = []
    monkeypatch.setattr(Politeness, "pause", lambda self, host, seconds: rested.append(seconds))

    async def write(writer, body: bytes) -> None:
        writer.write(b"HTTP/1.1 503 -\r\nRetry-After: 0\r\nConnection: close\r\n\r\n")

    answered(tmp_path, monkeypatch, write)
    assert len(rested) == fetching.ATTEMPTS - 1 and min(rested) >= 0.005


def test_each_hop_counts_against_the_limits_of_its_own_host(tmp_path, monkeypatch):
    counted, rested = [], []

    async def media(self, host: str) -> None:
        counted.append(host)

    monkeypatch.setattr(Politeness, "media", media)
    monkeypatch.setattr(Politeness, "pause", lambda self, host, seconds: rested.append(host))
    monkeypatch.setattr(fetching, "ATTEMPTS", 2)

    async def fetched() -> list[str]:
        async with asked(tmp_path, 1) as (_, base):
            target = f"{base}/{list(FAULTS).index('429')}"

            async def lead(reader, writer) -> None:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(f"HTTP/1.1 302 -\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode())
                writer.close()

            here = await asyncio.start_server(lead, "127.0.0.1", 0)
            hosts = [f"127.0.0.1:{here.sockets[0].getsockname()[1]}", base.removeprefix("http://")]
            polite = Politeness(Limits(), folder=tmp_path)
            async with here, Fetcher(Gate([], hosts), polite, patience=0.01) as fetcher:
                assert await fetcher.photo(f"http://{hosts[0]}/a.jpg", decoded) == PHOTO
            return hosts

    hosts = asyncio.run(fetched())
    assert counted == hosts * 2 and rested == hosts[1:]


class Remembered:
    """What a watcher is told."""

    def __init__(self) -> None:
        self.lines: list[tuple] = []

    def trying(self, host: str, reason: str, attempt: int) -> None:
        self.lines.append((reason, attempt))

    def answered(self, host: str) -> None:
        self.lines.append(("answers",))


@asynccontextmanager
async def watched(tmp_path, answer, watcher):
    """A server of one answer to each connection, and a fetcher that is patient for a hundredth of a second."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    polite = Politeness(Limits(pause=0, a_minute=1000), folder=tmp_path, free=frozenset({host}))
    async with Fetcher(Gate([], [host]), polite, deadline=5, patience=0.01, watcher=watcher) as fetcher:
        yield fetcher, f"http://{host}/1", server
    polite.close()
    server.close()


def test_a_network_that_is_away_is_known_at_the_first_attempt(tmp_path):
    told = Remembered()

    async def refused() -> str:
        async with watched(tmp_path, lambda *_: None, told) as (fetcher, url, server):
            server.close()
            await server.wait_closed()
            try:
                return await fetcher.call(url, bytes.decode)
            except Unusable as unusable:
                return str(unusable)

    assert "no connection" in asyncio.run(refused())
    assert [attempt for _, attempt in told.lines] == [2, 3, 4, 5, 6, 7]
    assert all("no connection" in reason for reason, _ in told.lines)


def test_a_slow_answer_is_spoken_of_before_it_comes(tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "SLOW", 0.2)
    told = Remembered()

    async def late(reader, writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.6)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        writer.close()

    async def asked() -> str:
        async with watched(tmp_path, late, told) as (fetcher, url, _):
            return await fetcher.call(url, bytes.decode)

    assert asyncio.run(asked()) == "ok"
    assert told.lines == [("no answer for 0.2 s", 1), ("answers",)]
