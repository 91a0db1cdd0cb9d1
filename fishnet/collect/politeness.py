"""What a user's processes together may ask of a host: a file in the user's cache, so that four are as polite as one.

An API is called by one process at a time: the next call starts a pause after the last answer *arrived*, so that also in
the server's own log no two calls are closer, whatever the network and the scheduler do in between.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fishnet.errors import WorkFailed
from fishnet.files import LockHeld, locked

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
LEASE = 20_000_000  # bytes are taken from the hour's share in such portions: one look into the file for 200 photos
LONGEST_PAUSE = 900.0  # seconds; a server that asks for more is not asked again by this command
SLOW_HOSTS = {"static.inaturalist.org": 3.0}  # seconds a photo: one a second was refused there
LOCK_POLL = 0.05  # seconds


@dataclass(frozen=True)
class Limits:
    """What may be asked of one host; the defaults are what iNaturalist asks for."""

    pause: float = 1.0
    a_minute: int = 60
    a_day: int = 10_000
    bytes_an_hour: int = 5_000_000_000
    bytes_a_day: int = 24_000_000_000


def cache_folder() -> Path:
    """Where the collector keeps what all of a user's collections share."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fishnet" / "collect"


@asynccontextmanager
async def async_lock(file: Path) -> AsyncIterator[None]:
    """Hold a file lock, waited for without blocking the event loop; a process that dies releases it."""
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(locked(file, timeout=0))
                break
            except LockHeld:
                await asyncio.sleep(LOCK_POLL)
        yield


class HostPaused(WorkFailed):
    """A host asks for a pause that is longer than a command waits; `reason` names the host and the time."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}: the same command goes on then.")
        self.reason = reason


class Politeness:
    """Keeps each host's limits, together with all processes that use the folder; `free` hosts have none on photos."""

    def __init__(self, limits: Limits, *, folder: Path | None = None, free: frozenset[str] = frozenset()) -> None:
        self._limits, self._free = limits, free
        self._folder = folder or cache_folder()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path = self._folder / "politeness.sqlite"
        with self._as_user_error():
            self._file = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        self._do("PRAGMA journal_mode=WAL")
        self._do("PRAGMA synchronous=OFF")
        self._do("CREATE TABLE IF NOT EXISTS asked (host TEXT, kind TEXT, at REAL, amount INTEGER)")
        self._do("CREATE INDEX IF NOT EXISTS asked_when ON asked (host, kind, at)")
        self._do("CREATE TABLE IF NOT EXISTS rests (host TEXT PRIMARY KEY, until REAL)")
        # what is long past, and what a clock that ran ahead has written
        now = time.time()
        self._do("DELETE FROM asked WHERE at < ? OR at > ?", (now - 2 * DAY, now + LONGEST_PAUSE))
        self._do("DELETE FROM rests WHERE until > ?", (now + LONGEST_PAUSE,))
        self._bytes_left: dict[str, int] = {}  # of our lease, by host
        self._paused_until: dict[str, float] = {}
        self._checked_at: dict[str, float] = {}

    def close(self) -> None:
        self._file.close()

    @contextmanager
    def _as_user_error(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:  # such as a full disk
            raise WorkFailed(f"{self._path}: {error}; the same command goes on when that is mended.") from error
        except sqlite3.DatabaseError as error:
            what = "it only remembers when which host was asked, and may be deleted: the same command goes on then"
            raise WorkFailed(f"{self._path}: {error}; {what}.") from error

    def _do(self, sql: str, values: tuple = ()) -> sqlite3.Cursor:
        with self._as_user_error():
            return self._file.execute(sql, values)

    @asynccontextmanager
    async def call(self, host: str) -> AsyncIterator[None]:
        """The turn to call an API; it lasts until the answer has arrived."""
        async with async_lock(self._folder / f"{host.replace(':', '_')}.lock"):
            await self.wait_for(host)
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
        query = "SELECT at FROM asked WHERE host = ? AND kind = 'call' AND at <= ? ORDER BY at DESC LIMIT 1 OFFSET ?"
        waits = []
        for span, count in ((self._limits.pause, 1), (MINUTE, self._limits.a_minute), (DAY, self._limits.a_day)):
            row = self._do(query, (host, now, count - 1)).fetchone()
            waits.append(row[0] + span - now if row else 0.0)
        if waits[2] > LONGEST_PAUSE:
            until = time.strftime("%H:%M", time.localtime(now + waits[2]))
            calls = f"{host} has been called {self._limits.a_day} times in a day, which is all it asks for"
            raise WorkFailed(f"{calls}: the same command goes on after {until}.")
        return max(waits)

    def pause(self, host: str, seconds: float) -> None:
        """Let no process ask this host for so long, as it has requested; HostPaused if nobody waits that long."""
        until = (now := time.time()) + seconds
        if seconds > LONGEST_PAUSE:
            moment = time.strftime("%Y-%m-%d %H:%M", time.localtime(until))
            raise HostPaused(f"{host} asks to be left alone until {moment}")
        self._paused_until[host] = max(_possible(self._paused_until.get(host, 0.0), now), until)
        later = "iif(until > ?, excluded.until, max(until, excluded.until))"
        query = f"INSERT INTO rests VALUES (?, ?) ON CONFLICT (host) DO UPDATE SET until = {later}"
        self._do(query, (host, until, now + LONGEST_PAUSE))

    async def wait_for(self, host: str) -> None:
        """Wait until no process has the host paused."""
        while True:
            now = time.time()
            if not 0 <= now - self._checked_at.get(host, 0.0) <= 1.0:
                self._checked_at[host] = now
                row = self._do("SELECT until FROM rests WHERE host = ?", (host,)).fetchone()
                known = [self._paused_until.get(host, 0.0), row[0] if row else 0.0]
                self._paused_until[host] = max(_possible(until, now) for until in known)
            if (wait := _possible(self._paused_until[host], now) - now) <= 0:
                return
            await asyncio.sleep(wait)

    async def media(self, host: str) -> None:
        """Wait until another photo may be fetched from the host."""
        await self.wait_for(host)
        if host in SLOW_HOSTS and host not in self._free:  # join the queue of all processes, a pause behind the last
            now = time.time()
            query = "SELECT max(at) FROM asked WHERE host = ? AND kind = 'photo' AND at <= ?"
            with self._transaction():
                last = self._do(query, (host, now + LONGEST_PAUSE)).fetchone()[0] or 0.0
                turn = max(now, last + SLOW_HOSTS[host])
                self._do("INSERT INTO asked VALUES (?, 'photo', ?, 1)", (host, turn))
            await asyncio.sleep(turn - now)
        while host not in self._free and self._bytes_left.get(host, 0) <= 0:
            if not (wait := self._lease(host)):
                self._bytes_left[host] = self._bytes_left.get(host, 0) + LEASE
            await asyncio.sleep(wait)

    def received(self, host: str, amount: int) -> None:
        """Count bytes of photos against the lease."""
        if host in self._bytes_left:
            self._bytes_left[host] -= amount

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._do("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            self._do("COMMIT")

    def _lease(self, host: str) -> float:
        """Take a portion of bytes and return 0, or return the seconds until there may be one."""
        now = time.time()
        with self._transaction():
            for span, most in ((HOUR, self._limits.bytes_an_hour), (DAY, self._limits.bytes_a_day)):
                taken = "host = ? AND kind = 'bytes' AND at > ? AND at <= ?"
                query = f"SELECT coalesce(sum(amount), 0), min(at) FROM asked WHERE {taken}"
                total, oldest = self._do(query, (host, now - span, now)).fetchone()
                if total + LEASE > most:
                    return min(60.0, oldest + span - now + 0.1)
            self._do("INSERT INTO asked VALUES (?, 'bytes', ?, ?)", (host, now, LEASE))
        return 0.0


def _possible(until: float, now: float) -> float:
    """The end of a pause; 0 for an end that is further away than any, as written by a clock that ran ahead."""
    return until if until <= now + LONGEST_PAUSE else 0.0
