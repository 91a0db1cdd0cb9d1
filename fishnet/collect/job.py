"""One command from beginning to end: who may be asked, by which source, into which folder, and what came of it."""

import asyncio
import signal
import sqlite3
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from fishnet.collect.collecting import Collector
from fishnet.collect.fetching import Fetcher
from fishnet.collect.gate import Gate
from fishnet.collect.ledger import COPY, DELETED, FAILED, KEPT, REFUSED, WAITING, WITHDRAWN, Ledger
from fishnet.collect.manifest import MANIFEST, write_refused, write_tables
from fishnet.collect.naming import class_folders
from fishnet.collect.plan import HOSTS, Plan
from fishnet.collect.politeness import Limits, Politeness
from fishnet.collect.refreshing import refresh
from fishnet.collect.sources.inaturalist import INaturalist
from fishnet.collect.sources.source import Source
from fishnet.collect.watcher import Watcher
from fishnet.errors import BadInput, Interrupted, WorkFailed
from fishnet.names import counted

LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class ClassResult:
    folder: str
    name: str
    found: int
    kept: int
    refused: int
    reasons: dict[str, int]
    told: str


@dataclass(frozen=True)
class Result:
    """`classes` are all that the folder holds, `asked` those of this command."""

    root: Path
    classes: list[ClassResult]
    asked: frozenset[str]
    refused: Path
    failed: int

    def check(self) -> None:
        """A class without a photo is a failure, whether nothing was found or nothing could be kept."""
        said = [_missing(one) for one in self.classes if one.folder in self.asked and not one.kept]
        if said:
            raise WorkFailed(f"{'; '.join(said)}.")


def _missing(one: ClassResult) -> str:
    if not one.found:
        told = f": {one.told}" if one.told else ""
        return f"nothing was found of {one.name} with these filters (licences, quality, place, dates){told}"
    why = next(iter(one.reasons), "unknown")
    return f"of {one.name}, none of {counted(one.found, 'photo')} could be kept (most often: {why})"


def collect(plan: Plan, watcher: Watcher) -> Result:
    """Writes the tables also when it is interrupted."""
    with _in_words(plan), _ledger(plan) as ledger:
        _check_settings(plan, ledger)
        asked = _run(_collect(plan, ledger, watcher))
        return _result(plan, ledger, asked)


def refreshed(plan: Plan, watcher: Watcher) -> list[tuple[str, str, str]]:
    """Asks again about what was kept, with the settings of the collection itself."""
    if not plan.ledger.exists():
        raise BadInput(f"name={plan.name}: nothing was collected under this name here, so nothing can be refreshed.")
    if not plan.root.is_dir():
        raise BadInput(f"name={plan.name}: {plan.root} is not there any more, so nothing in it can be refreshed.")
    with _in_words(plan), _ledger(plan) as ledger:
        plan = _as_collected(plan, ledger.settings())
        dropped = _run(_refresh(plan, ledger, watcher))
        write_tables(ledger, plan.root, plan.source)
        return dropped


def _as_collected(plan: Plan, settings: dict) -> Plan:
    given = {key: settings[key] for key in ("source", "seed", "quality", "place", "since", "until", "size", "pool")}
    given |= {key: settings[key] for key in ("licences", "per_observation", "list")}
    same = {
        key: getattr(plan, key) for key in ("name", "drop_many", "tables", "connections", "deadline", "pause", "robots")
    }
    same |= {key: getattr(plan, key) for key in ("api", "pages", "media")}
    return Plan(**given, **same, hosts=list(plan.trusted), contact=plan.contact or None, refresh=True)


@contextmanager
def _in_words(plan: Plan) -> Iterator[None]:
    """A full disk, a cache that cannot be written, a ledger that is none: the network's troubles are told elsewhere."""
    try:
        yield
    except (OSError, sqlite3.DatabaseError) as error:
        where = getattr(error, "filename", None) or plan.ledger
        raise WorkFailed(
            f"name={plan.name}: {getattr(error, 'strerror', None) or error} ({where}); what was kept stays, and the "
            "same command goes on when that is mended."
        ) from error


@contextmanager
def _ledger(plan: Plan) -> Iterator[Ledger]:
    if plan.root.exists() and not plan.root.is_dir():
        raise BadInput(f"name={plan.name}: {plan.root} is a file.")
    if not plan.ledger.exists() and plan.root.is_dir() and any(plan.root.iterdir()):
        what = "something else already"
        if (plan.root / MANIFEST).exists():
            what = f"a collection whose ledger ({plan.ledger}) is gone, so nothing can be added to it"
        raise BadInput(f"name={plan.name}: {plan.root} holds {what}; choose another name, or move it away.")
    try:
        plan.ledger.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(plan.ledger.with_name("collect.lock"))
        lock.acquire(timeout=0)
    except Timeout:
        raise BadInput(f"name={plan.name}: another command is collecting into {plan.root} just now.") from None
    except OSError as error:
        raise BadInput(f"name={plan.name}: nothing can be written in {plan.root.parent} ({error.strerror}).") from error
    try:
        if not plan.root.exists():  # whoever removes the photos wants to begin anew
            _forget(plan.ledger)
        ledger = Ledger(plan.ledger, seed=plan.seed)
        try:
            yield ledger
        finally:
            ledger.close()
    finally:
        if not plan.root.exists():  # a command that was refused leaves nothing behind
            _forget(plan.ledger)
            plan.ledger.with_name("collect.lock").unlink(missing_ok=True)
            for folder in (plan.ledger.parent, plan.root.parent):
                with suppress(OSError):
                    folder.rmdir()
        lock.release()


def _forget(ledger: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        ledger.with_name(ledger.name + ending).unlink(missing_ok=True)


def _check_settings(plan: Plan, ledger: Ledger) -> None:
    before = ledger.settings()
    for key, value in plan.fixed.items():
        if before and before.get(key) != value:
            was = ",".join(before[key]) if isinstance(before.get(key), list) else before.get(key)
            raise BadInput(f"name={plan.name} was collected with {key}={was}: say the same, or choose another name.")


async def _collect(plan: Plan, ledger: Ledger, watcher: Watcher) -> frozenset[str]:
    """The folders of the classes that were asked for."""
    async with _means(plan, watcher) as (source, fetcher):
        known = {taxon.name: taxon for taxon in ledger.classes().values()}
        known |= {taxon.identity: taxon for taxon in ledger.classes().values()}
        typed = {**_typed(ledger), **known}
        if plan.taxa and all(name in typed for name in plan.taxa):
            taxa = [typed[name] for name in plan.taxa]  # a resumed command asks nothing that it knows
        else:
            taxa = await source.resolve(plan.taxa)
        folders = class_folders(taxa)
        plan.root.mkdir(parents=True, exist_ok=True)
        ledger.write_settings(plan.fixed)
        if len(plan.taxa) == len(taxa):
            for name, taxon in zip(plan.taxa, taxa, strict=True):
                ledger.write_note(f"typed:{name}", taxon.identity)
        collector = Collector(plan.root, ledger, source, fetcher, plan.limit, plan.connections, watcher)
        try:
            await collector.collect(folders)
        finally:
            write_tables(ledger, plan.root, plan.source)
        return frozenset(folders)


def _typed(ledger: Ledger) -> dict:
    by_identity = {taxon.identity: taxon for taxon in ledger.classes().values()}
    return {name: by_identity[one] for name, one in ledger.notes("typed:").items() if one in by_identity}


async def _refresh(plan: Plan, ledger: Ledger, watcher: Watcher) -> list[tuple[str, str, str]]:
    async with _means(plan, watcher) as (source, _):
        if source.at_once:
            await source.resolve([])
        return await refresh(plan.root, ledger, source, watcher, drop_many=plan.drop_many)


@asynccontextmanager
async def _means(plan: Plan, watcher: Watcher) -> AsyncIterator[tuple[Source, Fetcher]]:
    """The source and its way to the network, both closed at the end."""
    gate = Gate(HOSTS, plan.trusted)
    politeness = Politeness(_limits(plan), free=frozenset(one for one in plan.trusted if _is_local(one)))
    try:
        fetcher = Fetcher(
            gate, politeness, connections=plan.connections, deadline=plan.deadline, contact=plan.contact,
            patience=min(1.0, plan.pause),
        )  # fmt: skip
        async with fetcher:
            yield _source(plan, gate, fetcher, watcher), fetcher
    finally:
        politeness.close()


def _limits(plan: Plan) -> Limits:
    """Quicker than once a second only for an API on this machine."""
    host = urlsplit(plan.api).netloc
    if plan.pause < Limits().pause and not _is_local(host):
        raise BadInput(f"pause={plan.pause:g}: {host} asks for a second between two calls, or more.")
    if plan.pause < Limits().pause:
        return Limits(pause=plan.pause, a_minute=10_000, a_day=1_000_000)
    return Limits(pause=plan.pause)


def _is_local(host: str) -> bool:
    return urlsplit(f"//{host}").hostname in LOCAL


def _source(plan: Plan, gate: Gate, fetcher: Fetcher, watcher: Watcher) -> Source:
    api = INaturalist(plan.ask, fetcher, api=plan.api)
    if plan.source == "list":
        from fishnet.collect.sources.listed import Listed

        assert plan.list is not None
        return Listed(plan.ask, plan.list, gate)
    if plan.source == "open_data":
        from fishnet.collect.sources.open_data import OpenData

        return OpenData(plan.ask, plan.tables, fetcher, watcher, media=plan.media)
    if plan.source == "browser":
        from fishnet.collect.sources.browser import Browser

        return Browser(plan.ask, fetcher, api, pages=plan.pages, robots=plan.robots)
    return api


def _run(work: Coroutine):
    """An event loop that ends in order on Ctrl-C and SIGTERM: fates are written, tables too."""

    async def watched():
        task = asyncio.ensure_future(work)
        said: list[int] = []
        loop = asyncio.get_running_loop()

        def stop(number: int) -> None:
            said.append(number)
            task.cancel()

        with suppress(NotImplementedError, RuntimeError, ValueError):  # Windows, and threads in tests
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, stop, number)
        try:
            return await task
        except asyncio.CancelledError:
            if said:
                raise Interrupted(said[0]) from None
            raise

    return asyncio.run(watched())


def _result(plan: Plan, ledger: Ledger, asked: frozenset[str]) -> Result:
    every = (WAITING, KEPT, REFUSED, FAILED, COPY, DELETED, WITHDRAWN)
    classes = [
        ClassResult(
            folder=folder,
            name=taxon.name,
            found=ledger.count(folder, *every),
            kept=ledger.count(folder, KEPT),
            refused=ledger.count(folder, REFUSED, FAILED, COPY, DELETED, WITHDRAWN),
            reasons=ledger.reasons(folder),
            told=ledger.told(folder),
        )
        for folder, taxon in ledger.classes().items()
    ]
    failed = sum(ledger.count(one.folder, FAILED) for one in classes)
    return Result(plan.root, classes, asked, write_refused(ledger), failed)
