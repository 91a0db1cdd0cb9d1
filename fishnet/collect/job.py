"""A command from beginning to end: which hosts may be asked, by which source, into which folder, with what result."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import ExitStack, asynccontextmanager, closing, suppress
from typing import TypeVar
from urllib.parse import urlsplit

from fishnet.collect.collecting import Collector
from fishnet.collect.collection_folder import check_folder, check_settings, disk_errors_in_words, opened
from fishnet.collect.fetching import Fetcher
from fishnet.collect.ledger import Ledger
from fishnet.collect.manifest import write_tables
from fishnet.collect.photo import Taxon, class_folders
from fishnet.collect.plan import HOSTS, Plan
from fishnet.collect.politeness import Limits, Politeness
from fishnet.collect.progress import Bars, Result, result_of
from fishnet.collect.refreshing import refresh
from fishnet.collect.sources.inaturalist import INaturalist
from fishnet.collect.sources.source import Source
from fishnet.collect.url_guard import UNNAMED, Gate, host_of
from fishnet.errors import BadInput, Interrupted

T = TypeVar("T")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # the last one is sent by a terminal that is closed
LOCAL = ("127.0.0.1", "localhost", "::1")


def collect(plan: Plan, bars: Bars) -> Result:
    """Collect what the plan asks for; the tables are written also when it is interrupted."""
    check_folder(plan)
    with disk_errors_in_words(plan):
        return _run(_collect(plan, bars))


def refreshed(plan: Plan, bars: Bars) -> list[tuple[str, str, str]]:
    """Ask again about what was kept, with the collection's own settings; returns path, id and reason of each loss."""
    nothing_yet = f"name={plan.name}: nothing was collected under this name here, so nothing can be refreshed."
    if not plan.ledger.exists():
        raise BadInput(nothing_yet)
    if not plan.root.is_dir():
        raise BadInput(f"name={plan.name}: {plan.root} is not there any more, so nothing in it can be refreshed.")
    with disk_errors_in_words(plan), opened(plan) as ledger:
        settings = ledger.settings()
        if not settings:
            raise BadInput(nothing_yet)
        plan = plan.as_collected(settings)

        async def refresh_kept() -> list[tuple[str, str, str]]:
            async with _source_and_fetcher(plan, bars) as (source, _):
                return await refresh(plan.root, ledger, source, bars, drop_many=plan.drop_many)

        dropped = _run(refresh_kept())
        write_tables(ledger, plan.root, plan.source)
        return dropped


def _run(work: Coroutine[None, None, T]) -> T:
    """Run an event loop that a signal ends in order: the work is cancelled, and may clean up before Interrupted."""

    async def watched() -> T:
        task, loop, received = asyncio.ensure_future(work), asyncio.get_running_loop(), list[int]()

        def stop(number: int) -> None:
            received.append(number)
            task.cancel()

        with suppress(RuntimeError, ValueError):  # only the main thread can handle signals
            for number in SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:  # as nohup sets it
                    loop.add_signal_handler(number, stop, number)
        try:
            return await task
        except asyncio.CancelledError:
            if received:
                raise Interrupted(received[0]) from None
            raise

    return asyncio.run(watched())


async def _collect(plan: Plan, bars: Bars) -> Result:
    """A first command makes nothing before its classes are known, so one that is refused leaves nothing behind."""
    with ExitStack() as stack:
        ledger = None
        if plan.root.is_dir() and plan.ledger.exists():
            ledger = stack.enter_context(opened(plan))
            check_settings(plan, ledger)
        async with _source_and_fetcher(plan, bars) as (source, fetcher):
            await source.prepare()
            taxa = await _taxa(plan, source, ledger)
            folders = class_folders(taxa, ledger.classes() if ledger else None)
            ledger = ledger or stack.enter_context(opened(plan))
            plan.root.mkdir(parents=True, exist_ok=True)
            _note_settings(plan, ledger, taxa)
            collector = Collector(plan.root, ledger, source, fetcher, plan.limit, plan.connections, bars)
            try:
                await collector.collect(folders)
            finally:
                write_tables(ledger, plan.root, plan.source)
        return result_of(ledger, plan.root, frozenset(folders))


async def _taxa(plan: Plan, source: Source, ledger: Ledger | None) -> list[Taxon]:
    """The classes of the plan; the source is asked only if the ledger does not know all of them, as they were typed."""
    known: dict[str, Taxon] = {}
    if ledger is not None:
        by_identity = {taxon.identity: taxon for taxon in ledger.classes().values()}
        typed = ledger.notes("typed:").items()
        known = {name: by_identity[identity] for name, identity in typed if identity in by_identity}
        known |= {taxon.name: taxon for taxon in by_identity.values()} | by_identity
    if plan.taxa and all(name in known for name in plan.taxa):
        return [known[name] for name in plan.taxa]
    return await source.resolve(plan.taxa)


def _note_settings(plan: Plan, ledger: Ledger, taxa: list[Taxon]) -> None:
    """Write down what a later command compares with its own settings, and act on what has changed since the last."""
    ledger.write_note("settings", json.dumps(plan.fixed, sort_keys=True))
    if len(plan.taxa) == len(taxa):
        for name, taxon in zip(plan.taxa, taxa, strict=True):
            ledger.write_note(f"typed:{name}", taxon.identity)
    hosts = " ".join(sorted(plan.trusted))
    if ledger.note("hosts") != hosts:  # a host that is named now may have been the reason of a refusal before
        for reason in UNNAMED:
            ledger.try_again(reason)
        ledger.write_note("hosts", hosts)
    if plan.list is not None:
        from fishnet.collect.sources.listed import digest

        if ledger.note("list") != (now := digest(plan.list)):  # it may have more photos of each class
            ledger.list_anew()
            ledger.write_note("list", now)


@asynccontextmanager
async def _source_and_fetcher(plan: Plan, bars: Bars) -> AsyncIterator[tuple[Source, Fetcher]]:
    limits, api = Limits(pause=plan.pause), urlsplit(plan.api)
    if plan.pause < Limits().pause:
        if api.hostname not in LOCAL:
            raise BadInput(f"pause={plan.pause:g}: {api.netloc} asks for a second between two calls, or more.")
        limits = Limits(pause=plan.pause, a_minute=10_000, a_day=1_000_000)
    gate = Gate(HOSTS, plan.trusted)
    free = frozenset(host_of(f"//{host}") for host in plan.trusted if urlsplit(f"//{host}").hostname in LOCAL)
    with closing(Politeness(limits, free=free)) as politeness:
        fetcher = Fetcher(
            gate, politeness, connections=plan.connections, deadline=plan.deadline, contact=plan.contact,
            patience=min(1.0, plan.pause), watcher=bars,
        )  # fmt: skip
        async with fetcher:
            yield _source(plan, gate, fetcher, bars), fetcher


def _source(plan: Plan, gate: Gate, fetcher: Fetcher, bars: Bars) -> Source:
    """The source of the plan; each imports what it alone needs."""
    api = INaturalist(plan.query, fetcher, api=plan.api)
    if plan.source == "list":
        from fishnet.collect.sources.listed import Listed

        assert plan.list is not None
        return Listed(plan.query, plan.list, gate)
    if plan.source == "open_data":
        from fishnet.collect.sources.open_data import OpenData

        return OpenData(plan.query, plan.tables, fetcher, bars, media=plan.media, anew=plan.refresh)
    if plan.source == "browser":
        from fishnet.collect.sources.browser import Browser

        return Browser(plan.query, fetcher, api, pages=plan.pages, robots=plan.robots)
    return api
