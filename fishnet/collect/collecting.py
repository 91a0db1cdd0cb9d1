"""From classes to photos on disk: list, draw lots, fetch, decode, write down; and again, until each class has enough.

All that is decided follows from the ledger, so the same command goes on wherever the last one was ended, and comes to
the same end as if nobody had disturbed it.
"""

import asyncio
import logging
import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from sqlite3 import Row

from fishnet.collect.copies import NOTICE, settle
from fishnet.collect.fetching import Fetcher, Unreachable, Unusable
from fishnet.collect.ledger import COPY, DELETED, FAILED, KEPT, REFUSED, WAITING, WITHDRAWN, Ledger
from fishnet.collect.photo import Photo, Taxon, is_placeholder
from fishnet.collect.photo_files import adopted, found, keep, lay_down, remove, settle_folder, sweep
from fishnet.collect.politeness import LeftAlone
from fishnet.collect.sources.source import Source
from fishnet.collect.url_guard import host_of
from fishnet.collect.watcher import Watcher
from fishnet.environment import usable_cores
from fishnet.errors import WorkFailed
from fishnet.headers import RefusedImage

log = logging.getLogger("fishnet")

GONE_BY_HAND = "deleted by hand"
MOST_FAILURES = 50  # one after the other: the host is down, and asking on would only be a burden
LEFT_ALONE = "its host was left alone, as nothing could be fetched there"


@dataclass
class Collector:
    root: Path
    ledger: Ledger
    source: Source
    fetcher: Fetcher
    limit: int | None
    connections: int
    watcher: Watcher
    _failures: Counter[str] = field(default_factory=Counter)  # one after the other, by host
    _down: dict[str, str] = field(default_factory=dict)  # and why
    _well: set[str] = field(default_factory=set)
    _folders: list[str] = field(default_factory=list)
    _tried: set[tuple[str, str]] = field(default_factory=set)
    # more threads than cores would only pass the interpreter to and fro
    _decoders: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(usable_cores(), "decode"))

    async def collect(self, folders: dict[str, Taxon]) -> None:
        """Lists and fetches overlap in the first round; later rounds replace what was refused."""
        for folder, taxon in folders.items():
            self.ledger.add_class(folder, taxon)
        self._folders = list(folders)
        recover(self.root, self.ledger)
        queue: asyncio.Queue = asyncio.Queue(2 * self.connections)
        crew = [asyncio.create_task(self._work(queue)) for _ in range(self.connections + usable_cores())]
        try:
            await self._guarded(self._first_round(folders, queue), crew)
            while await self._guarded(self._another_round(list(folders), queue), crew):
                pass
            self._check_hosts()
        finally:
            for one in crew:
                one.cancel()
            await asyncio.gather(*crew, return_exceptions=True)
            self._decoders.shutdown()
            recover(self.root, self.ledger)  # files that were finished while the connections were already closed
            for folder in folders:
                settle_folder(self.root / folder)

    async def _guarded(self, work, crew: list[asyncio.Task]):
        """A worker that fails ends the work, which would otherwise wait for it in vain; so does whoever cancels."""
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait([task, *crew], return_when=asyncio.FIRST_COMPLETED)
            for one in crew:
                if one.done() and (error := one.exception()):
                    raise error
            return await task
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _first_round(self, folders: dict[str, Taxon], queue: asyncio.Queue) -> None:
        self._forget_shared()
        unlisted = {folder: taxon for folder, taxon in folders.items() if not self.ledger.listed(folder)}
        if self.source.at_once and unlisted:
            await self._list_all(unlisted)
        for folder, taxon in folders.items():
            if folder in unlisted and not self.source.at_once:
                await self._list(folder, taxon)
            await self._hand_out(folder, queue)
        await queue.join()

    async def _another_round(self, folders: list[str], queue: asyncio.Queue) -> bool:
        """Settles who is a copy of whom, then fetches as many as are missing; false when nothing more can be done."""
        self._forget_shared()
        asked = [await self._hand_out(folder, queue) for folder in folders]
        await queue.join()
        return sum(asked) > 0

    def _forget_shared(self) -> None:
        for place in settle(self.ledger):
            remove(self.root, place)

    async def _list(self, folder: str, taxon: Taxon) -> None:
        count = self.ledger.count(folder, WAITING, KEPT, REFUSED, FAILED, COPY)
        async for portion in self.source.find(taxon, self.ledger.last_observation(folder)):
            self.ledger.add(folder, portion)
            count += len(portion)
            self.watcher.listing(folder, count)
        self._end_of_list(folder, taxon, count)

    async def _list_all(self, unlisted: dict[str, Taxon]) -> None:
        """In a list that has changed, another photo of an observation may have the lot now; the first one stays."""
        places = {taxon.identity: folder for folder, taxon in unlisted.items()}
        counts = dict.fromkeys(unlisted, 0)
        alone = self.source.ask.per_observation == "one"
        before = {folder: self.ledger.observations(folder) if alone else set() for folder in unlisted}
        async for taxon, portion in self.source.find_all(list(unlisted.values())):
            folder = places[taxon.identity]
            self.ledger.add(folder, [photo for photo in portion if photo.observation_id not in before[folder]])
            counts[folder] += len(portion)
            self.watcher.listing(folder, counts[folder])
            await asyncio.sleep(0)
        for folder, taxon in unlisted.items():
            self._end_of_list(folder, taxon, counts[folder])

    def _end_of_list(self, folder: str, taxon: Taxon, count: int) -> None:
        """An empty list is asked for again: there may be more tomorrow."""
        self.ledger.end_of_list(folder, self.source.told.get(taxon.identity, ""), listed=count > 0)

    async def _hand_out(self, folder: str, queue: asyncio.Queue) -> int:
        """As many as are missing, in turn; a photo that failed in this command is left for the next one."""
        kept = self.ledger.count(folder, KEPT)
        missing = None if self.limit is None else max(0, self.limit - kept)
        photos = self._untried(folder, missing)
        self.watcher.fetching(folder, kept, kept + len(photos))
        if photos:
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        for photo in photos:
            self._tried.add((folder, photo.photo_id))
            await queue.put((folder, photo))
        return len(photos)

    def _untried(self, folder: str, most: int | None) -> list[Photo]:
        """In turn; those of a host that is down are passed over, and say so."""
        tried = sum(place == folder for place, _ in self._tried)
        photos = self.ledger.next(folder, -1 if most is None or self._down else most + tried)
        photos = [photo for photo in photos if (folder, photo.photo_id) not in self._tried]
        if not self._down:
            return photos[:most]
        chosen = [photo for photo in photos if host_of(photo.url) not in self._down][:most]
        if most is None or len(chosen) < most:
            passed = [photo.photo_id for photo in photos if host_of(photo.url) in self._down]
            self._tried.update((folder, photo_id) for photo_id in passed)
            self.ledger.end_many((folder, photo_id, FAILED, LEFT_ALONE) for photo_id in passed)
        return chosen

    async def _work(self, queue: asyncio.Queue) -> None:
        """One photo after the other; a few more at work than there are connections keep those busy while others are
        decoded."""
        while True:
            folder, photo = await queue.get()
            try:
                self.watcher.fetched(folder, await self._fetch(folder, photo))
            finally:
                queue.task_done()

    def _keep(self, folder: str, photo_id: str, whole: Path, data: bytes) -> None:
        """In a thread: the loop that serves all connections waits for neither a decoder nor a disk."""
        name, sha256 = keep(whole, data)
        self.ledger.kept(folder, photo_id, name, sha256, now())

    async def _fetch(self, folder: str, photo: Photo) -> bool:
        """Whether the photo is there now."""
        host = host_of(photo.url)
        if is_placeholder(photo.url):
            self.ledger.ended(folder, photo.photo_id, REFUSED, NOTICE)
            return False
        if host in self._down:
            self.ledger.ended(folder, photo.photo_id, FAILED, LEFT_ALONE)
            return False

        def accept(data: bytes) -> asyncio.Future[None]:
            self._failures[host] = 0
            self._well.add(host)
            whole = lay_down(self.root / folder, photo.photo_id, data)
            loop = asyncio.get_running_loop()
            return loop.run_in_executor(self._decoders, self._keep, folder, photo.photo_id, whole, data)

        try:
            await self.fetcher.photo(photo.url, accept)
            return True
        except Unreachable as trouble:
            self.ledger.ended(folder, photo.photo_id, FAILED, str(trouble))
            self._failures[host] += 1
            if self._failures[host] == MOST_FAILURES:
                last = f"the last: {photo.url}: {trouble}"
                self._leave_alone(host, f"{MOST_FAILURES} photos in a row could not be fetched from {host} ({last})")
        except LeftAlone as trouble:
            self.ledger.ended(folder, photo.photo_id, FAILED, trouble.why)
            if host not in self._down:
                self._leave_alone(host, trouble.why)
        except Unusable as trouble:
            self.ledger.ended(folder, photo.photo_id, REFUSED, str(trouble))
        return False

    def _leave_alone(self, host: str, why: str) -> None:
        self._down[host] = why
        self._well.discard(host)
        log.warning("%s: nothing more is asked of it now", why)
        if all(map(self.ledger.listed, self._folders)):  # else another class may have photos elsewhere
            self._check_hosts()

    def _check_hosts(self) -> None:
        """Where every host is down that there is to ask, the network is."""
        waiting = {host_of(url) for url in self.ledger.addresses(WAITING, FAILED)}
        if self._down and not self._well and waiting <= self._down.keys():
            why = "; ".join([*self._down.values()][:3])
            raise WorkFailed(f"{why}; the same command goes on when the server or the network is well again.")


def recover(root: Path, ledger: Ledger) -> None:
    """Brings folder and ledger together after a death or a visit: half files go, whole ones are taken over."""
    for folder in ledger.classes():
        if not (root / folder).is_dir():
            continue
        sweep(root / folder)
        for photo in ledger.next(folder, -1):
            path = found(root / folder, photo.photo_id)
            if path is None:
                continue
            try:
                ledger.kept(folder, photo.photo_id, *adopted(path), now())
            except RefusedImage:
                path.unlink()
    there = {f"{folder}/{name}" for folder in ledger.classes() for name in _names(root / folder)}
    rows = [(row, f"{row['folder']}/{row['file']}") for row in ledger.photos(KEPT, COPY, REFUSED, WITHDRAWN, DELETED)]
    missing = [row for row, place in rows if row["fate"] == KEPT and place not in there]
    ledger.end_many((row["folder"], row["photo_id"], DELETED, GONE_BY_HAND) for row in missing)
    there -= {place for row, place in rows if row["fate"] == KEPT}  # also what a copy's owner has inherited
    put_back = {place: row for row, place in rows if row["fate"] == DELETED and place in there}
    for row in put_back.values():
        _take_back(root, ledger, row)
    for row, place in rows:  # a death between the verdict on a photo and the end of its file
        if row["fate"] != KEPT and row["file"] and place in there - put_back.keys():
            remove(root, place)


def _take_back(root: Path, ledger: Ledger, row: Row) -> None:
    """A photo that a user took away and has put back as it was."""
    place = f"{row['folder']}/{row['file']}"
    with suppress(RefusedImage):
        name, sha256 = adopted(root / place)
        if sha256 == row["sha256"]:
            ledger.kept(row["folder"], row["photo_id"], name, sha256, row["fetched_at"])


def _names(folder: Path) -> list[str]:
    return os.listdir(folder) if folder.is_dir() else []


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
