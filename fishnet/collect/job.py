"""One command from beginning to end: who may be asked, by which source, into which folder, and what came of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from fishnet.collect.collecting import Collector
from fishnet.collect.collection_folder import check_settings, opened
from fishnet.collect.fetching import Fetcher
from fishnet.collect.interrupting import run
from fishnet.collect.ledger import Ledger
from fishnet.collect.manifest import write_tables
from fishnet.collect.naming import class_folders
from fishnet.collect.plan import HOSTS, Plan
from fishnet.collect.politeness import Limits, Politeness
from fishnet.collect.refreshing import refresh
from fishnet.collect.result import Result, result_of
from fishnet.collect.sources.inaturalist import INaturalist
from fishnet.collect.sources.source import Source
from fishnet.collect.url_guard import UNNAMED, Gate, host_of
from fishnet.collect.watcher import Watcher
from fishnet.errors import BadInput

NOTHING_YET = "name={}: nothing was collected under this name here, so nothing can be refreshed."
LOCAL = ("127.0.0.1", "localhost", "::1")


def collect(plan: Plan, watcher: Watcher) -> Result:
    """Writes the tables also when it is interrupted."""
    with opened(plan) as ledger:
        check_settings(plan, ledger)
        asked = run(_collect(plan, ledger, watcher))
        return result_of(ledger, plan.root, asked)


def refreshed(plan: Plan, watcher: Watcher) -> list[tuple[str, str, str]]:
    """Asks again about what was kept, with the settings of the collection itself."""
    if not plan.ledger.exists():
        raise BadInput(NOTHING_YET.format(plan.name))
    if not plan.root.is_dir():
        raise BadInput(f"name={plan.name}: {plan.root} is not there any more, so nothing in it can be refreshed.")
    with opened(plan) as ledger:
        settings = ledger.settings()
        if not settings:  # a first command that was refused
            raise BadInput(NOTHING_YET.format(plan.name))
        plan = _as_collected(plan, settings)
        dropped = run(_refresh(plan, ledger, watcher))
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


async def _collect(plan: Plan, ledger: Ledger, watcher: Watcher) -> frozenset[str]:
    """The folders of the classes that were asked for."""
    async with _means(plan, watcher) as (source, fetcher):
        await source.prepare()
        _heed_hosts(plan, ledger)
        _heed_list(plan, ledger)
        known = {taxon.name: taxon for taxon in ledger.classes().values()}
        known |= {taxon.identity: taxon for taxon in ledger.classes().values()}
        typed = {**_typed(ledger), **known}
        if plan.taxa and all(name in typed for name in plan.taxa):
            taxa = [typed[name] for name in plan.taxa]  # a resumed command asks nothing that it knows
        else:
            taxa = await source.resolve(plan.taxa)
        folders = class_folders(taxa, ledger.classes())
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


def _heed_hosts(plan: Plan, ledger: Ledger) -> None:
    """A host that is named now may have been the reason of a refusal before."""
    named = " ".join(sorted(plan.trusted))
    if ledger.note("hosts") != named:
        for reason in UNNAMED:
            ledger.try_again(reason)
        ledger.write_note("hosts", named)


def _heed_list(plan: Plan, ledger: Ledger) -> None:
    """A list that has changed since may have more photos of each class."""
    if plan.list is None:
        return
    from fishnet.collect.sources.reading import digest

    if ledger.note("list") != (now := digest(plan.list)):
        ledger.list_anew()
        ledger.write_note("list", now)


def _typed(ledger: Ledger) -> dict:
    by_identity = {taxon.identity: taxon for taxon in ledger.classes().values()}
    return {name: by_identity[one] for name, one in ledger.notes("typed:").items() if one in by_identity}


async def _refresh(plan: Plan, ledger: Ledger, watcher: Watcher) -> list[tuple[str, str, str]]:
    async with _means(plan, watcher) as (source, _):
        return await refresh(plan.root, ledger, source, watcher, drop_many=plan.drop_many)


@asynccontextmanager
async def _means(plan: Plan, watcher: Watcher) -> AsyncIterator[tuple[Source, Fetcher]]:
    """The source and its way to the network, both closed at the end."""
    gate = Gate(HOSTS, plan.trusted)
    politeness = Politeness(
        _limits(plan), free=frozenset(host_of(f"//{one}") for one in plan.trusted if _is_local(one))
    )
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

        return OpenData(plan.ask, plan.tables, fetcher, watcher, media=plan.media, anew=plan.refresh)
    if plan.source == "browser":
        from fishnet.collect.sources.browser import Browser

        return Browser(plan.ask, fetcher, api, pages=plan.pages, robots=plan.robots)
    return api
