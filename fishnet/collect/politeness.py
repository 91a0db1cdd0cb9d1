"""What a user's processes together may ask of a host: one file in the user's cache, so that four are as polite as one.

An API is asked one call at a time: the next one starts a pause after the last answer *arrived*, so that also in the
server's own log no two calls are closer, whatever the network and the scheduler do in between.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fishnet.collect.turns import alone
from fishnet.errors import WorkFailed

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
LEASE = 20_000_000  # bytes are taken from the hour's share in such portions: one look into the file for 200 photos
LONGEST_REST = 900.0  # seconds; a server that asks for more is left alone, and the command ends
SLOW_HOSTS = {"static.inaturalist.org": 3.0}  # seconds a photo: one a second was refused there


@dataclass(frozen=True)
class Limits:
    """iNaturalist asks for at most a call a second, 60 a minute and 10,000 a day, and 5 GB of photos an hour."""

    pause: float = 1.0
    a_minute: int = 60
    a_day: int = 10_000
    bytes_an_hour: int = 5_000_000_000
    bytes_a_day: int = 24_000_000_000


def cache_folder() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "fishnet" / "collect"


class LeftAlone(WorkFailed):
    """A host asks not to be asked for longer than anybody waits."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}: the same command goes on then.")
        self.why = why


class Politeness:
    """`free` are hosts of this machine, for which the limits on photos make no sense."""

    def __init__(self, limits: Limits, *, folder: Path | None = None, free: frozenset[str] = frozenset()) -> None:
        self._limits, self._free = limits, free
        self._folder = folder or cache_folder()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path = self._folder / "politeness.sqlite"
        with self._in_words():
            self._file = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        self._do("PRAGMA journal_mode=WAL")
        self._do("PRAGMA synchronous=OFF")
        self._do("CREATE TABLE IF NOT EXISTS asked (host TEXT, kind TEXT, at REAL, amount INTEGER)")
        self._do("CREATE INDEX IF NOT EXISTS asked_when ON asked (host, kind, at)")
        self._do("CREATE TABLE IF NOT EXISTS rests (host TEXT PRIMARY KEY, until REAL)")
        self._forget()
        self._left: dict[str, int] = {}
        self._rests: dict[str, float] = {}
        self._looked: dict[str, float] = {}

    def _forget(self) -> None:
        """What is long ago, and what a clock that ran ahead has written: nothing is further ahead than a rest."""
        now = time.time()
        self._do("DELETE FROM asked WHERE at < ? OR at > ?", (now - 2 * DAY, now + LONGEST_REST))
        self._do("DELETE FROM rests WHERE until > ?", (now + LONGEST_REST,))

    def close(self) -> None:
        self._file.close()

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise WorkFailed(
                f"{self._path}: {error}; it only remembers when which host was asked, and may be deleted: "
                "the same command goes on then."
            ) from error

    def _do(self, sql: str, values: tuple = ()) -> sqlite3.Cursor:
        with self._in_words():
            return self._file.execute(sql, values)

    @asynccontextmanager
    async def call(self, host: str) -> AsyncIterator[None]:
        """The turn to call an API; it lasts until the answer is there."""
        async with alone(self._folder / f"{host.replace(':', '_')}.lock"):
            await self.rested(host)
            while (wait := self._wait_for_call(host)) > 0:
                await asyncio.sleep(wait)
            row = self._do("INSERT INTO asked VALUES (?, 'call', ?, 1)", (host, time.time())).lastrowid
            try:
                yield
            finally:
                self._do("UPDATE asked SET at = ? WHERE rowid = ?", (time.time(), row))

    def _wait_for_call(self, host: str) -> float:
        now = time.time()
        # up to now: a clock that was set back must neither make anybody wait for a year nor let them ask at once
        when = "SELECT at FROM asked WHERE host = ? AND kind = 'call' AND at <= ? ORDER BY at DESC LIMIT 1 OFFSET ?"
        waits = []
        for span, count in ((self._limits.pause, 1), (MINUTE, self._limits.a_minute), (DAY, self._limits.a_day)):
            row = self._do(when, (host, now, count - 1)).fetchone()
            waits.append(row[0] + span - now if row else 0.0)
        if waits[2] > LONGEST_REST:
            until = time.strftime("%H:%M", time.localtime(now + waits[2]))
            raise WorkFailed(
                f"{host} has been called {self._limits.a_day} times in a day, which is all it asks for: "
                f"the same command goes on after {until}."
            )
        return max(waits)

    def rest(self, host: str, seconds: float) -> None:
        """The host has asked to be left alone; all processes heed it."""
        if seconds > LONGEST_REST:
            until = time.strftime("%Y-%m-%d %H:%M", time.localtime(time.time() + seconds))
            raise LeftAlone(f"{host} asks to be left alone until {until}")
        now = time.time()
        until_when = now + seconds
        self._rests[host] = max(_possible(self._rests.get(host, 0.0), now), until_when)
        self._do(
            "INSERT INTO rests VALUES (?, ?) ON CONFLICT (host) DO UPDATE SET "
            "until = iif(until > ?, excluded.until, max(until, excluded.until))",
            (host, until_when, now + LONGEST_REST),
        )

    async def rested(self, host: str) -> None:
        """Waits until the host may be asked again, by whichever process it was told."""
        while True:
            now = time.time()
            if not 0 <= now - self._looked.get(host, 0.0) <= 1.0:
                self._looked[host] = now
                row = self._do("SELECT until FROM rests WHERE host = ?", (host,)).fetchone()
                known = [self._rests.get(host, 0.0), row[0] if row else 0.0]
                self._rests[host] = max(_possible(until, now) for until in known)
            wait = _possible(self._rests[host], now) - now
            if wait <= 0:
                return
            await asyncio.sleep(wait)

    async def media(self, host: str) -> None:
        """Waits until another photo may be asked for."""
        await self.rested(host)
        if host in self._free:
            return
        if host in SLOW_HOSTS:
            await self._slowly(host, SLOW_HOSTS[host])
        while self._left.get(host, 0) <= 0:
            wait = self._lease(host)
            if not wait:
                self._left[host] = self._left.get(host, 0) + LEASE
            await asyncio.sleep(wait)

    def received(self, host: str, amount: int) -> None:
        if host in self._left:
            self._left[host] -= amount

    def _lease(self, host: str) -> float:
        """Zero, and a portion is ours; or the seconds until there may be one."""
        now = time.time()
        spans = ((HOUR, self._limits.bytes_an_hour), (DAY, self._limits.bytes_a_day))
        self._do("BEGIN IMMEDIATE")
        try:
            for span, most in spans:
                total, oldest = self._do(
                    "SELECT coalesce(sum(amount), 0), min(at) FROM asked WHERE host = ? AND kind = 'bytes'"
                    " AND at > ? AND at <= ?",
                    (host, now - span, now),
                ).fetchone()
                if total + LEASE > most:
                    return min(60.0, oldest + span - now + 0.1)
            self._do("INSERT INTO asked VALUES (?, 'bytes', ?, ?)", (host, now, LEASE))
            return 0.0
        finally:
            self._do("COMMIT")

    async def _slowly(self, host: str, pause: float) -> None:
        """A place in the queue of all processes, `pause` seconds behind the one before."""
        now = time.time()
        self._do("BEGIN IMMEDIATE")
        try:
            row = self._do(
                "SELECT max(at) FROM asked WHERE host = ? AND kind = 'photo' AND at <= ?", (host, now + LONGEST_REST)
            ).fetchone()
            at = max(now, (row[0] or 0.0) + pause)
            self._do("INSERT INTO asked VALUES (?, 'photo', ?, 1)", (host, at))
        finally:
            self._do("COMMIT")
        await asyncio.sleep(at - now)


def _possible(until: float, now: float) -> float:
    """The end of a rest; one that is further away than any comes of a clock that ran ahead."""
    return until if until <= now + LONGEST_REST else 0.0
