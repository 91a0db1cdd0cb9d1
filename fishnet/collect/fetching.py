"""One photo or one page over HTTP: whole, from where it was expected, in bounded time and memory, or a reason why not.

Every answer is suspected. A body may be cut, endless, one byte a second, a bomb of zeros, a web page, or come from
another machine than the one that was asked; each of that has happened to people who collect photos.
"""

import asyncio
import email.utils
import os
import random
import re
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Protocol, TypeVar

import aiohttp
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from fishnet import __version__
from fishnet.collect.photo import is_placeholder
from fishnet.collect.politeness import Politeness
from fishnet.collect.url_guard import Forbidden, Gate, host_of
from fishnet.headers import RefusedImage

T = TypeVar("T")

ATTEMPTS = 7
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0  # seconds
HOPS = 5
SLOW = 8.0  # seconds without an answer, after which a user should know what is waited for
IN_A_ROW = 4  # failures of a host's photos, of which single ones are nothing to speak of
MOST_BYTES = 64 * 1024 * 1024
PORTION = 256 * 1024
GONE = {404: "not there any more (404)", 410: "deleted (410)", 451: "withheld for legal reasons (451)"}
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Unusable(Exception):
    """No usable body: `final` if asking again is of no use; a `crowded` host is to be paused by all processes."""

    def __init__(self, reason: str, *, final: bool = False, crowded: str = "", wait: float | None = None) -> None:
        super().__init__(reason)
        self.final, self.crowded, self.wait = final, crowded, wait


class Unreachable(Unusable):
    """The network or the server failed, time after time: nothing is known of the photo itself."""


class Watcher(Protocol):
    """Who is to know that a host does not answer."""

    def trying(self, host: str, reason: str, attempt: int) -> None:
        """The host gives no usable answer, and is asked for the `attempt`th time of ATTEMPTS."""

    def answered(self, host: str) -> None:
        """It has answered again."""


class Fetcher:
    """An HTTP client that retries, obeys Gate and Politeness, and is used as an async context.

    The `deadline` is in seconds, for a body or each portion of a large file, `patience` those before a second attempt.
    """

    def __init__(
        self, gate: Gate, politeness: Politeness, *, connections: int = 8, deadline: float = 60.0,
        patience: float = FIRST_WAIT, contact: str = "", watcher: Watcher | None = None,
    ) -> None:  # fmt: skip
        self._watcher, self._failing = watcher, Counter[str]()  # by host, how often in a row it gave no answer
        self._gate, self._politeness = gate, politeness
        self._connections, self._deadline, self._patience = connections, deadline, patience
        self._slots = asyncio.Semaphore(connections)  # waiting for one is not counted against the deadline
        about = f"; {contact}" if contact else ""
        self._headers = {
            "User-Agent": f"fishnet-vision/{__version__} (collects species photos with their licences{about})",
            "Accept-Encoding": "identity",
        }

    async def __aenter__(self) -> "Fetcher":
        resolver, make_socket = _Resolver(self._gate), self._gate.make_socket
        connector = aiohttp.TCPConnector(
            limit=self._connections, resolver=resolver, socket_factory=make_socket, keepalive_timeout=30
        )
        self._session = aiohttp.ClientSession(
            connector=connector, headers=self._headers, trust_env=True, auto_decompress=False, read_bufsize=PORTION,
            cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(total=None),
        )  # fmt: skip
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def photo(self, url: str, accept: Callable[[bytes], Awaitable[T]]) -> T:
        """The result of `accept` for the body; a body that it refuses is fetched again, for the next may be better."""
        return await self._retried(url, accept, calls=False)

    async def call(self, url: str, read: Callable[[bytes], T]) -> T:
        """The result of `read` for an API's answer, in its turn; an answer that cannot be read is fetched again."""
        return await self._retried(url, read, calls=True)

    async def file(self, url: str, target: Path, seen: Callable[[int, int | None], None], known: str = "") -> str:
        """Fetch a large file in portions, and return its ETag; a transfer that broke off goes on where it was.

        `seen` is called with the bytes so far and in all; a `target` whose ETag is `known` stays if there is no other.
        """
        hidden = target.with_name(f".{target.name}.part")
        mark = hidden.with_suffix(".mark")
        for attempt in range(ATTEMPTS):
            try:
                etag = known
                if await self._continued(url, hidden, seen, known):
                    etag = mark.read_text() if mark.exists() else ""
                    os.replace(hidden, target)
                self._answered(host_of(url))
                for leftover in (mark, hidden):
                    leftover.unlink(missing_ok=True)
                return etag
            except (Unusable, Forbidden, aiohttp.ClientError, ConnectionError, TimeoutError) as error:
                trouble = error if isinstance(error, Unusable) else Unreachable(self._in_words(error))
                if trouble.final or isinstance(error, Forbidden) or attempt == ATTEMPTS - 1:
                    raise trouble from None
                self._failed(host_of(url), trouble, attempt, many=False)
                await asyncio.sleep(backoff(attempt, self._patience))
        raise AssertionError("unreachable")

    async def _continued(self, url: str, hidden: Path, seen: Callable[[int, int | None], None], known: str) -> bool:
        """Fetch what is missing of the very file that was begun (its ETag is in a mark); False if nothing is new."""
        mark = hidden.with_suffix(".mark")
        size = hidden.stat().st_size if hidden.exists() and mark.exists() else 0
        headers = {"Range": f"bytes={size}-", "If-Range": mark.read_text()} if size else {}
        headers |= {"If-None-Match": known} if known else {}
        async with asyncio.timeout(self._deadline):  # for each portion, as the whole may take hours
            response = await self._session.get(self._gate.check(url), allow_redirects=False, headers=headers)
        async with response:
            if known and response.status == 304:
                return False
            if response.status != 206:
                mark.unlink(missing_ok=True)  # what was begun cannot be continued
                size = 0
            if response.status not in (200, 206):
                raise _by_status(response)
            if response.status == 200 and "ETag" in response.headers:
                mark.write_text(response.headers["ETag"])
            total = None if response.content_length is None else size + response.content_length
            with open(hidden, "ab" if size else "wb") as out:
                while portion := await asyncio.wait_for(response.content.read(PORTION), self._deadline):
                    out.write(portion)
                    seen(out.tell(), total)
                out.flush()
                os.fsync(out.fileno())
        return True

    async def _retried(self, url: str, accept: Callable[[bytes], Awaitable[T] | T], *, calls: bool) -> T:
        for attempt in range(ATTEMPTS):
            try:
                async with self._slots:
                    body = await self._body(url, calls)
                self._answered(host_of(url))
                outcome = accept(body)
                # the connection serves the next request meanwhile
                return await outcome if isinstance(outcome, Awaitable) else outcome
            except (RefusedImage, Unusable) as error:
                trouble = error if isinstance(error, Unusable) else Unusable(str(error))
            if trouble.final or attempt == ATTEMPTS - 1:
                raise trouble
            self._failed(host_of(url), trouble, attempt, many=not calls)
            wait = trouble.wait or backoff(attempt, self._patience)  # 0 does not allow to ask without a pause
            if trouble.crowded:
                self._politeness.pause(trouble.crowded, wait)
            else:
                await asyncio.sleep(wait)
        raise AssertionError("unreachable")

    def _failed(self, host: str, trouble: Unusable, attempt: int, *, many: bool) -> None:
        """Tell the watcher of a host that cannot be reached; `many` requests are on their way to it."""
        if isinstance(trouble, Unreachable) and not trouble.crowded:
            self._failing[host] += 1
            if self._watcher and self._failing[host] >= (IN_A_ROW if many else 1):
                self._watcher.trying(host, str(trouble), attempt + 2)

    def _slow(self, host: str) -> None:
        self._failing[host] += 1
        if self._watcher:
            self._watcher.trying(host, f"no answer for {SLOW:g} s", 1)

    def _answered(self, host: str) -> None:
        if self._failing.pop(host, 0) and self._watcher:
            self._watcher.answered(host)

    async def _body(self, url: str, calls: bool) -> bytes:
        """One attempt. Follows redirects itself: every hop has to pass the gate, and counts against its own host."""
        try:
            address, seconds_left = self._gate.check(url), self._deadline
            for _ in range(HOPS + 1):
                async with AsyncExitStack() as turn:  # waiting for it is not counted against the deadline
                    if calls:
                        await turn.enter_async_context(self._politeness.call(host_of(address)))
                    else:
                        await self._politeness.media(host_of(address))
                    begin = time.monotonic()
                    if calls:
                        slow = asyncio.get_running_loop().call_later(SLOW, self._slow, host_of(url))
                        turn.callback(slow.cancel)
                    async with asyncio.timeout(seconds_left):
                        outcome = await self._hop(address)
                    seconds_left -= time.monotonic() - begin
                if isinstance(outcome, bytes):
                    return outcome
                address = outcome
        except Forbidden as forbidden:
            raise Unusable(str(forbidden), final=True) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unreachable(self._in_words(error)) from error
        raise Unusable(f"more than {HOPS} redirects")

    async def _hop(self, address: URL) -> bytes | URL:
        """The body, or where a redirect leads."""
        async with self._session.get(address, allow_redirects=False) as response:
            if response.status in REDIRECTS:
                return self._redirected(address, response.headers.get("Location", ""))
            if response.status != 200:
                raise _by_status(response)
            body = await _read(response)
            self._politeness.received(host_of(address), len(body))
            return body

    def _redirected(self, address: URL, target: str) -> URL:
        """A redirect that leads astray is this answer's fault, and the next answer may be right."""
        try:
            following = address.join(URL(target, encoded=True))
            if is_placeholder(str(following)):
                raise Unusable("flagged: a notice is served in its place", final=True)
            return self._gate.check(following)
        except Forbidden as forbidden:
            raise Unusable(f"a redirect: {forbidden}") from None
        except ValueError:
            raise Unusable("a redirect to nowhere") from None

    def _in_words(self, error: BaseException) -> str:
        words = {
            Forbidden: str(error),
            TimeoutError: f"no whole answer within {self._deadline:g} s",
            aiohttp.ClientPayloadError: "the answer was cut short",
            aiohttp.ClientConnectorError: f"no connection ({getattr(error, 'os_error', None) or error})",
            aiohttp.ServerDisconnectedError: "the server hung up",
        }
        other = f"no usable answer ({type(error).__name__})"
        return next((text for kind, text in words.items() if isinstance(error, kind)), other)


class _Resolver(ThreadedResolver):
    """Tells the gate what a name resolves to just before the socket is made."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self._gate = gate

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:  # type: ignore[override]
        addresses = await super().resolve(host, port, family)  # type: ignore[arg-type]
        self._gate.learn(host, port, [address["host"] for address in addresses])
        return addresses


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body, unpacked; neither it nor what was packed is ever larger than MOST_BYTES."""
    packing = response.headers.get("Content-Encoding", "identity").lower()
    if packing not in ("identity", "", "gzip", "x-gzip", "deflate"):
        raise Unusable(f"packed in a way that was not asked for ({_printable(packing, 20)})")
    declared = response.content_length
    if declared is not None and declared > MOST_BYTES:
        raise Unusable(f"larger than {MOST_BYTES // 2**20} MB")
    if packing in ("identity", "") and declared is not None:
        return await response.read()
    decompressor = None if packing in ("identity", "") else zlib.decompressobj(zlib.MAX_WBITS | 32)
    parts, size, received = [], 0, 0
    async for portion in response.content.iter_chunked(PORTION):
        received += len(portion)
        if decompressor is not None:
            ended = decompressor.eof
            try:
                portion = decompressor.decompress(portion, max(1, MOST_BYTES - size + 1))
            except zlib.error as error:
                raise Unusable("a body that cannot be unpacked") from error
            if ended or decompressor.unused_data:
                raise Unusable("a packed body with something behind its end")
        size += len(portion)
        if max(size, received) > MOST_BYTES:
            raise Unusable(f"larger than {MOST_BYTES // 2**20} MB")
        parts.append(portion)
    if decompressor is not None and not decompressor.eof:
        raise Unreachable("the answer was cut short")
    return b"".join(parts)


def _by_status(response: aiohttp.ClientResponse) -> Unusable:
    if (status := response.status) in GONE:
        return Unusable(GONE[status], final=True)
    wait = retry_after(response.headers) if status in (429, 503) else None
    crowded = host_of(response.url) if status == 429 or wait is not None else ""
    reason = f"the server answered {status} {_printable(response.reason or '', 60)}".strip()
    return Unreachable(reason, crowded=crowded, wait=wait)


def _printable(text: str, most: int) -> str:
    """Text of a server for a terminal, which would obey signs that cannot be seen."""
    return "".join(sign for sign in text if sign.isprintable())[:most]


def backoff(attempt: int, first: float = FIRST_WAIT) -> float:
    """Seconds to wait where the server names no delay: doubled each time; the jitter keeps processes apart."""
    return random.uniform(0.5, 1.0) * min(LONGEST_WAIT, first * 2**attempt)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that Retry-After names; its form as a date is read against the server's own clock, if it sends it."""
    if re.fullmatch(r"\d{1,9}", text := headers.get("Retry-After", "").strip()):
        return float(text)
    until, now = _timestamp(text), _timestamp(headers.get("Date", ""))
    return None if until is None else max(0.0, until - (time.time() if now is None else now))


def _timestamp(text: str) -> float | None:
    with suppress(ValueError, TypeError, OverflowError):
        return email.utils.parsedate_to_datetime(text).timestamp()
    return None
