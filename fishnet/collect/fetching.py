"""One photo or one page over HTTP: whole, from where it was expected, in bounded time and memory, or a reason why not.

Every answer is suspected. A body may be cut, endless, one byte a second, a bomb of zeros, a web page, or come from
another machine than the one that was asked; each of that has happened to people who collect photos.
"""

import asyncio
import os
import time
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import aiohttp
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from fishnet import __version__
from fishnet.collect.photo import is_placeholder
from fishnet.collect.politeness import Politeness
from fishnet.collect.retrying import ATTEMPTS, FIRST, backoff, retry_after
from fishnet.collect.url_guard import Forbidden, Gate, host_of
from fishnet.headers import RefusedImage

T = TypeVar("T")

HOPS = 5
MOST_BYTES = 64 * 1024 * 1024
PORTION = 256 * 1024
GONE = {404: "not there any more (404)", 410: "deleted (410)", 451: "withheld for legal reasons (451)"}
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Unusable(Exception):
    """What came, or did not come; asking again may go better unless it is `final`.

    The host that is `crowded` wants to be left alone by everybody, for `wait` seconds if it says how long.
    """

    def __init__(self, reason: str, *, final: bool = False, crowded: str = "", wait: float | None = None) -> None:
        super().__init__(reason)
        self.final, self.crowded, self.wait = final, crowded, wait


class Unreachable(Unusable):
    """The network or the server failed, time after time: nothing is known of the photo itself."""


class Fetcher:
    """An async context; `connections` requests at most are under way at once."""

    def __init__(
        self,
        gate: Gate,
        politeness: Politeness,
        *,
        connections: int = 8,
        deadline: float = 60.0,
        patience: float = FIRST,
        contact: str = "",
    ) -> None:
        self._gate, self._politeness = gate, politeness
        self._connections, self._deadline, self._patience = connections, deadline, patience
        self._slots = asyncio.Semaphore(connections)  # waiting for one is not counted against the deadline
        about = f"; {contact}" if contact else ""
        self._headers = {
            "User-Agent": f"fishnet-vision/{__version__} (collects species photos with their licences{about})",
            "Accept-Encoding": "identity",
        }

    async def __aenter__(self) -> "Fetcher":
        connector = aiohttp.TCPConnector(
            limit=self._connections,
            limit_per_host=self._connections,
            resolver=_Resolver(self._gate),
            socket_factory=self._gate.make_socket,
            keepalive_timeout=30,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers=self._headers,
            trust_env=True,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            read_bufsize=PORTION,
        )
        return self

    async def __aexit__(self, *_) -> None:
        await self._session.close()

    async def photo(self, url: str, accept: Callable[[bytes], asyncio.Future[T]]) -> T:
        """What `accept` makes of the body; a body that it refuses is asked for again, for the next may be better."""
        return await self._patiently(url, accept, calls=False)

    async def call(self, url: str, read: Callable[[bytes], T]) -> T:
        """An answer of an API, in its turn; an answer that cannot be read is asked for again."""

        async def accept(body: bytes) -> T:
            return read(body)

        return await self._patiently(url, accept, calls=True)

    async def file(self, url: str, target: Path, seen: Callable[[int, int | None], None], known: str = "") -> str:
        """A large file, in portions of its own: a transfer that broke off goes on where it was. Returns its ETag.

        `seen` is told how many bytes are here, and of how many if the server says; `known` is the ETag of the file that
        lies there already, and stays if it is the server's still.
        """
        hidden = target.with_name(f".{target.name}.part")
        mark = hidden.with_suffix(".mark")
        for attempt in range(ATTEMPTS):
            try:
                same = not await self._continued(url, hidden, seen, known)
                told = mark.read_text() if mark.exists() else ""
                if not same:
                    os.replace(hidden, target)
                for rest in (mark, hidden):
                    rest.unlink(missing_ok=True)
                return known if same else told
            except (Unusable, Forbidden, aiohttp.ClientError, ConnectionError, TimeoutError) as error:
                trouble = error if isinstance(error, Unusable) else Unreachable(self._in_words(error))
                if trouble.final or isinstance(error, Forbidden) or attempt == ATTEMPTS - 1:
                    raise trouble from None
                await asyncio.sleep(backoff(attempt, self._patience))
        raise AssertionError("unreachable")

    async def _continued(self, url: str, hidden: Path, seen: Callable[[int, int | None], None], known: str) -> bool:
        """Only of the very file that was begun: its mark (ETag) is kept beside it and has to be the same.

        False where the server has nothing but what is `known`.
        """
        mark = hidden.with_suffix(".mark")
        there = hidden.stat().st_size if hidden.exists() and mark.exists() else 0
        rest = {"Range": f"bytes={there}-", "If-Range": mark.read_text()} if there else {}
        rest |= {"If-None-Match": known} if known else {}
        async with asyncio.timeout(self._deadline):  # for each portion, as the whole may take hours
            answer = await self._session.get(self._gate.check(url), allow_redirects=False, headers=rest)
        async with answer:
            if known and answer.status == 304:
                return False
            if answer.status not in (200, 206):
                mark.unlink(missing_ok=True)  # whatever it was that cannot be continued
                raise _by_status(answer)
            if answer.status == 200:
                mark.unlink(missing_ok=True)
                if "ETag" in answer.headers:
                    mark.write_text(answer.headers["ETag"])
            there = there if answer.status == 206 else 0
            total = None if answer.content_length is None else there + answer.content_length
            with open(hidden, "ab" if there else "wb") as out:
                while portion := await asyncio.wait_for(answer.content.read(PORTION), self._deadline):
                    out.write(portion)
                    seen(out.tell(), total)
                out.flush()
                os.fsync(out.fileno())
        return True

    async def _patiently(self, url: str, accept: Callable, *, calls: bool):
        for attempt in range(ATTEMPTS):
            try:
                async with self._slots:
                    body = await self._once(url, calls)
                return await accept(body)  # the connection serves the next one meanwhile
            except RefusedImage as refusal:
                trouble = Unusable(str(refusal))
            except Unusable as unusable:
                trouble = unusable
            if trouble.final or attempt == ATTEMPTS - 1:
                raise trouble
            wait = trouble.wait or backoff(attempt, self._patience)  # 0 is no leave to ask without a pause
            if trouble.crowded:
                self._politeness.rest(trouble.crowded, wait)
            else:
                await asyncio.sleep(wait)
        raise AssertionError("unreachable")

    async def _once(self, url: str, calls: bool) -> bytes:
        """Follows redirects by hand: every hop has to pass the gate, and counts against its own host's limits."""
        try:
            address, left = self._gate.check(url), self._deadline
            for _ in range(HOPS + 1):
                async with self._turn(host_of(address), calls):
                    begin = time.monotonic()
                    async with asyncio.timeout(left):
                        found = await self._hop(address)
                    left -= time.monotonic() - begin
                if isinstance(found, bytes):
                    return found
                address = found
        except Forbidden as forbidden:
            raise Unusable(str(forbidden), final=True) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unreachable(self._in_words(error)) from error
        raise Unusable(f"more than {HOPS} redirects")

    @asynccontextmanager
    async def _turn(self, host: str, calls: bool) -> AsyncIterator[None]:
        """Waiting for it is not counted against the deadline."""
        if calls:
            async with self._politeness.call(host):
                yield
        else:
            await self._politeness.media(host)
            yield

    async def _hop(self, address: URL) -> bytes | URL:
        """The body, or where it is said to be."""
        async with self._session.get(address, allow_redirects=False) as answer:
            if answer.status in REDIRECTS:
                return self._next_hop(address, answer)
            if answer.status != 200:
                raise _by_status(answer)
            body = await _read(answer)
            self._politeness.received(host_of(address), len(body))
            return body

    def _in_words(self, error: BaseException) -> str:
        if isinstance(error, Forbidden):
            return str(error)
        if isinstance(error, TimeoutError):
            return f"no whole answer within {self._deadline:g} s"
        if isinstance(error, aiohttp.ClientPayloadError):
            return "the answer was cut short"
        if isinstance(error, aiohttp.ClientConnectorError):
            return f"no connection ({error.os_error or error})"
        if isinstance(error, aiohttp.ServerDisconnectedError):
            return "the server hung up"
        return f"no usable answer ({type(error).__name__})"

    def _next_hop(self, address: URL, answer: aiohttp.ClientResponse) -> URL:
        """A redirect that leads astray is this answer's fault, and the next answer may be right."""
        target = answer.headers.get("Location", "")
        try:
            following = address.join(URL(target, encoded=True))
            if is_placeholder(str(following)):
                raise Unusable("flagged: a notice is served in its place", final=True)
            return self._gate.check(following)
        except Forbidden as forbidden:
            raise Unusable(f"a redirect: {forbidden}") from None
        except ValueError:
            raise Unusable("a redirect to nowhere") from None


class _Resolver(ThreadedResolver):
    """Tells the gate what a name resolves to just before the socket is made."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self._gate = gate

    async def resolve(self, host: str, port: int = 0, family=0):
        found = await super().resolve(host, port, family)
        self._gate.learn(host, port, [one["host"] for one in found])
        return found


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """The body, unpacked, never more than the cap of either."""
    packed = answer.headers.get("Content-Encoding", "identity").lower()
    if packed not in ("identity", "", "gzip", "x-gzip", "deflate"):
        raise Unusable(f"packed in a way that was not asked for ({_printable(packed, 20)})")
    declared = answer.content_length
    if declared is not None and declared > MOST_BYTES:
        raise Unusable(f"larger than {MOST_BYTES // 2**20} MB")
    if packed in ("identity", "") and declared is not None:
        return await answer.read()
    unpack = None if packed in ("identity", "") else zlib.decompressobj(zlib.MAX_WBITS | 32)
    parts, size, received = [], 0, 0
    async for portion in answer.content.iter_chunked(PORTION):
        received += len(portion)
        if unpack is not None:
            portion = _unpacked(unpack, portion, MOST_BYTES - size)
        size += len(portion)
        if max(size, received) > MOST_BYTES:
            raise Unusable(f"larger than {MOST_BYTES // 2**20} MB")
        parts.append(portion)
    if unpack is not None and not unpack.eof:
        raise Unreachable("the answer was cut short")
    return b"".join(parts)


def _unpacked(unpack, portion: bytes, room: int) -> bytes:
    ended = unpack.eof
    try:
        unpacked = unpack.decompress(portion, max(1, room + 1))
    except zlib.error as error:
        raise Unusable("a body that cannot be unpacked") from error
    if ended or unpack.unused_data:
        raise Unusable("a packed body with something behind its end")
    return unpacked


def _by_status(answer: aiohttp.ClientResponse) -> Unusable:
    status = answer.status
    if status in GONE:
        return Unusable(GONE[status], final=True)
    wait = retry_after(answer.headers) if status in (429, 503) else None
    crowded = host_of(answer.url) if status == 429 or wait is not None else ""
    said = f"the server answered {status} {_printable(answer.reason or '', 60)}".strip()
    return Unreachable(said, crowded=crowded, wait=wait)


def _printable(text: str, most: int) -> str:
    """What a server says comes to a terminal, which obeys signs that cannot be seen."""
    return "".join(sign for sign in text if sign.isprintable())[:most]
