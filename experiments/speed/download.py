"""Photos over HTTP at 50 ms of latency, limits lifted: beside one wget a file, and what network and cores allow."""

import asyncio
import atexit
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fishnet.collect.collecting import Collector
from fishnet.collect.fetching import Fetcher
from fishnet.collect.ledger import Ledger
from fishnet.collect.photo import Photo, Taxon
from fishnet.collect.politeness import Limits, Politeness
from fishnet.collect.progress import Bars
from fishnet.collect.sources.source import Query, Source
from fishnet.collect.url_guard import Gate
from fishnet.environment import usable_cores
from fishnet.images import load_image

from .pairing import Case, Options

LATENCY, CONNECTIONS, PHOTOS = 0.05, 32, 1000
WGETS = 30  # one after the other; a thousand would take two minutes a round
MOST_CPU = 0.6  # ms a photo


def cases(options: Options) -> Iterator[Case]:
    server = subprocess.Popen(
        [sys.executable, "-m", "experiments.speed.download_server", str(LATENCY)], stdout=subprocess.PIPE, text=True
    )
    atexit.register(server.kill)
    assert server.stdout is not None
    port, size = server.stdout.readline().split()
    host = f"127.0.0.1:{port}"
    place = Path(tempfile.mkdtemp(prefix="fishnet-download-"))
    bound = PHOTOS * LATENCY / CONNECTIONS
    yield Case(
        f"1,000 photos of {int(size) // 1000} kB, one wget a file",
        lambda: asyncio.run(transferred(host, place)),
        lambda: one_wget_a_file(host, place),
        whole,
        25,
        ours_work=PHOTOS,
        peers_work=WGETS,
    )
    yield Case(
        "share of connections / latency",
        lambda: asyncio.run(transferred(host, place)),
        lambda: time.sleep(bound),
        cheap,
        0.85,
    )
    data = bodies(host, place)
    decoding = min(decode_seconds(data) for _ in range(3))
    yield Case(
        f"verified and kept, share of the {'decoder' if decoding > bound else 'network'}'s bound",
        lambda: asyncio.run(collected(host, place)),
        lambda: time.sleep(max(0.0, bound - decode_seconds(data))),  # decodes in the same crowd as ours
        lambda kept, _: (kept == PHOTOS, f"{kept} kept; decoding alone {decoding / PHOTOS * 1000:.2f} ms a photo"),
        0.85,
    )
    server.kill()


def fetcher(host: str, place: Path) -> Fetcher:
    politeness = Politeness(Limits(), folder=place / "cache", free=frozenset({host}))
    return Fetcher(Gate((), [host]), politeness, connections=CONNECTIONS)


async def transferred(host: str, place: Path) -> tuple[int, float]:
    """Whole bodies, and the CPU time of each in ms: no decoding, no disk."""
    numbers = iter(range(PHOTOS))
    sizes = []

    async def accept(body: bytes) -> int:
        return len(body)

    async def work(fetch: Fetcher) -> None:
        for number in numbers:
            sizes.append(await fetch.photo(f"http://{host}/photos/{number}/medium.jpg", accept))

    begin = time.process_time()
    async with fetcher(host, place) as fetch:
        await asyncio.gather(*(work(fetch) for _ in range(CONNECTIONS)))
    return len(sizes), (time.process_time() - begin) / PHOTOS * 1000


def one_wget_a_file(host: str, place: Path) -> int:
    for number in range(WGETS):
        url = f"http://{host}/photos/{number}/medium.jpg"
        subprocess.run(["wget", "-q", "-O", str(place / "one.jpg"), url], check=True)
    return WGETS


def whole(ours: object, peers: object) -> tuple[bool, str]:
    count, cpu = ours  # type: ignore[misc]
    return count == PHOTOS and peers == WGETS, f"{count} whole; {cpu:.2f} ms of CPU a photo"


def cheap(ours: object, _) -> tuple[bool, str]:
    count, cpu = ours  # type: ignore[misc]
    said = "met" if cpu <= MOST_CPU else "NOT met"
    return count == PHOTOS, f"{count} whole; {cpu:.2f} ms of CPU a photo (goal {MOST_CPU}: {said})"


def bodies(host: str, place: Path) -> list[bytes]:
    async def fetched() -> list[bytes]:
        async def accept(body: bytes) -> bytes:
            return body

        async with fetcher(host, place) as fetch:
            return [await fetch.photo(f"http://{host}/photos/{number}/medium.jpg", accept) for number in range(64)]

    return asyncio.run(fetched())


def decode_seconds(data: list[bytes]) -> float:
    """A thousand photos through the loader, on all cores, with nothing else to do."""
    begin = time.perf_counter()
    with ThreadPoolExecutor(usable_cores()) as pool:
        list(pool.map(load_image, (data[number % len(data)] for number in range(PHOTOS))))
    return time.perf_counter() - begin


class Ready(Source):
    """A thousand photos of one class."""

    def __init__(self, host: str) -> None:
        super().__init__(Query())
        self._host = host

    async def resolve(self, names: list[str]) -> list[Taxon]:
        return [Taxon("1", "fish")]

    async def find(self, taxon: Taxon, after: int = 0):
        yield [Photo(str(number), f"http://{self._host}/photos/{number}/medium.jpg") for number in range(PHOTOS)]


_number = itertools.count()


async def collected(host: str, place: Path) -> int:
    """All of it: ledger, decoding, digest, fsync and rename."""
    home = place / f"round_{next(_number)}"
    ledger = Ledger(home / "ledger.sqlite")
    async with fetcher(host, place) as fetch:
        collector = Collector(home / "photos", ledger, Ready(host), fetch, None, CONNECTIONS, Bars(shown=False))
        await collector.collect({"1-fish": Taxon("1", "fish")})
    kept = ledger.count("1-fish", "kept")
    ledger.close()
    return kept
