"""A small HTTP server that can misbehave: any answer may be replaced by a fault, and all is written down."""

import asyncio
import contextlib
import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from .faults import FAULTS
from .pages import A_SCROLL, CONSENT, changed_page, photo_page
from .world import World

NOTICE_PLACE = "/assets/copyright-infringement-medium.png"


@dataclass
class Replica:
    world: World
    share: float = 0.0  # of the answers for photos that are faults
    api_share: float = 0.0
    faults: list[str] = field(default_factory=lambda: list(FAULTS))
    latency: float = 0.0
    generation: int = 1  # of the page; 3 asks for consent, 4 is laid out in another way
    robots: str | None = None
    flagged_by_redirect: bool = True
    log: list[tuple[float, str]] = field(default_factory=list)
    served: Counter = field(default_factory=Counter)  # whole photos, by id
    injected: Counter = field(default_factory=Counter)
    tables: Path | None = None  # a folder with the open-data files, served as a bucket would
    _asked: Counter = field(default_factory=Counter)

    @property
    def api(self) -> str:
        return f"{self.world.base}/v1"

    @property
    def host(self) -> str:
        return self.world.base.removeprefix("http://")

    def settings(self, *more: str) -> list[str]:
        """What a `fishnet collect` has to be told to come here instead of going to iNaturalist."""
        here = [f"api={self.api}", f"pages={self.world.base}", f"media={self.world.base}", f"hosts=['{self.host}']"]
        return [*here, "pause=0.02", "deadline=2", *more]

    def calls(self) -> list[float]:
        return [at for at, path in self.log if path.startswith("/v1/")]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                target = head.split(b" ", 2)[1].decode("latin-1")
                self._write_down(target)
                if target.startswith("http://"):  # as a proxy is asked
                    target = "/" + target.split("/", 3)[3]
                if self.latency:
                    await asyncio.sleep(self.latency)
                if await self._answer(target, writer):
                    break
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def _write_down(self, target: str) -> None:
        self.log.append((time.time(), target))

    async def _answer(self, target: str, writer: asyncio.StreamWriter) -> bool:
        """Whether it hangs up afterwards."""
        kind, body, said = self._route(target)
        fault = self._fault(target)
        if fault:
            self.injected[fault] += 1
            await FAULTS[fault](writer, body)
            await writer.drain()
            return True
        if target.startswith("/photos/") and said == "200 OK":
            self.served[_photo_number(target)] += 1
        more = f"Location: {NOTICE_PLACE}\r\n" if said.startswith("302") else ""
        head = f"HTTP/1.1 {said}\r\nContent-Type: {kind}\r\n{more}Content-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        return False

    def _fault(self, target: str) -> str | None:
        """By lot, from the address and how often it was asked for: the same in every run."""
        photo = target.startswith("/photos/")
        share = self.share if photo else self.api_share if target.startswith("/v1/") else 0.0
        if not share:
            return None
        self._asked[target] += 1
        lot = hashlib.sha256(f"{target.split('?')[0]} {self._asked[target]}".encode()).digest()
        if int.from_bytes(lot[:4]) / 2**32 >= share:
            return None
        possible = self.faults if photo else [name for name in self.faults if name[:3] in ("500", "503", "429", "HTM")]
        return possible[int.from_bytes(lot[4:8]) % len(possible)]

    def _route(self, target: str) -> tuple[str, bytes, str]:
        place = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(place.query).items()}
        if place.path.startswith("/photos/"):
            return self._photo(target)
        if place.path == NOTICE_PLACE:
            return "image/png", self.world.bytes_of(next(iter(self.world.flagged))), "200 OK"
        if place.path.startswith("/v1/"):
            return "application/json", json.dumps(self._api(place.path[4:], query)).encode(), "200 OK"
        if place.path.startswith("/tables/") and self.tables is not None:
            return "application/gzip", (self.tables / place.path.rpartition("/")[2]).read_bytes(), "200 OK"
        if place.path == "/robots.txt":
            found = self.robots is not None
            return "text/plain", (self.robots or "").encode(), "200 OK" if found else "404 Not Found"
        if place.path.endswith("/browse_photos"):
            return "text/html; charset=utf-8", self._page(int(place.path.split("/")[2])).encode(), "200 OK"
        if place.path == "/replica/photos":
            return "application/json", json.dumps(self._scroll(query)).encode(), "200 OK"
        return "text/plain", b"nothing here", "404 Not Found"

    def _photo(self, target: str) -> tuple[str, bytes, str]:
        number = _photo_number(target)
        if number in self.world.gone:
            return "text/plain", b"not found", "404 Not Found"
        if number in self.world.flagged and self.flagged_by_redirect:
            return "text/plain", b"", "302 Found"
        return "image/jpeg", self.world.bytes_of(number), "200 OK"

    def _api(self, path: str, query: dict) -> dict:
        if path.startswith("taxa"):
            rows = [self.world.taxon(one) for one in self._taxa(path, query)]
            return {"total_results": len(rows), "page": 1, "per_page": 30, "results": rows}
        rows = [one for one in self.world.found if _wanted(one, query, self.world)]
        total, count = len(rows), min(200, int(query.get("per_page", 30)))
        rows = sorted(rows, key=lambda one: one["id"], reverse=query.get("order", "desc") == "desc")
        if "id_above" in query:
            rows = [one for one in rows if one["id"] > int(query["id_above"])]
            total = len(rows)
        told = [self.world.observation(one) for one in rows[:count]]
        return {"total_results": total, "page": 1, "per_page": count, "results": told}

    def _taxa(self, path: str, query: dict) -> list[tuple[int, str, str]]:
        number = path.rpartition("/")[2]
        if number.isdecimal():
            return [one for one in self.world.species if one[0] == int(number)]
        asked = query.get("q", "").casefold()
        words = [[*one[1].casefold().split(), *one[2].casefold().split()] for one in self.world.species]
        begins = [any(word.startswith(part) for word in several for part in [asked]) for several in words]
        same = [asked in (one[1].casefold(), one[2].casefold()) for one in self.world.species]
        return [one for one, a, b in zip(self.world.species, begins, same, strict=True) if a or b]

    def _page(self, taxon_id: int) -> str:
        taxon = next(one for one in self.world.species if one[0] == taxon_id)
        if self.generation == 3:
            return CONSENT
        return changed_page(taxon) if self.generation == 4 else photo_page(taxon, self.generation)

    def _scroll(self, query: dict) -> dict:
        wanted = {key: value for key, value in query.items() if key in ("taxon_id", "quality_grade")}
        rows = [one for one in self.world.found if _wanted(one, wanted, self.world)]
        start = (int(query["page"]) - 1) * A_SCROLL
        urls = [
            photo["url"] for one in rows[start : start + A_SCROLL] for photo in self.world.observation(one)["photos"]
        ]
        photos = [{size: url.replace("square", size) for size in ("small", "medium")} for url in urls]
        return {"photos": photos, "last": start + A_SCROLL >= len(rows)}


def _wanted(one: dict, query: dict, world: World) -> bool:
    licences = query.get("photo_license")
    codes = {
        None if photo[0] in world.withdrawn else photo[1] for photo in one["photos"] if photo[0] not in world.deleted
    }
    return all(
        (
            "id" not in query or str(one["id"]) in query["id"].split(","),
            "taxon_id" not in query or one["taxon"][0] == int(query["taxon_id"]),
            "quality_grade" not in query or one["grade"] == query["quality_grade"],
            "place_id" not in query or one["place"] == int(query["place_id"]),
            "d1" not in query or one["day"] >= query["d1"],
            "d2" not in query or one["day"] <= query["d2"],
            bool(codes),
            licences is None or codes & set(licences.split(",")),
        )
    )


def _photo_number(target: str) -> int:
    return int(target.split("/")[2])


@contextlib.contextmanager
def running(replica: Replica) -> Iterator[Replica]:
    """The server in a thread of its own, on a free port of loopback."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    tasks: set[asyncio.Task] = set()

    async def begin() -> asyncio.Server:
        server = await asyncio.start_server(replica.serve, "127.0.0.1", replica_port(replica), backlog=512)
        replica.world.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return server

    def work() -> None:
        asyncio.set_event_loop(loop)
        loop.server = loop.run_until_complete(begin())  # type: ignore[attr-defined]
        ready.set()
        loop.run_forever()
        loop.server.close()  # type: ignore[attr-defined]
        tasks.update(asyncio.all_tasks(loop))
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield replica
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def replica_port(replica: Replica) -> int:
    """A world that has been served before keeps its addresses."""
    return urlsplit(replica.world.base).port or 0
