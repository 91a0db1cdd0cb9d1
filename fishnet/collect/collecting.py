"""From classes to photos on disk: list, draw at random, fetch, decode, write down; and again, until there are enough.

Everything is decided from the ledger, so the same command goes on wherever the last one was ended, and comes to the
same end as if it had not been disturbed.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from fishnet.collect.collection_folder import keep, lay_down, recover, remove, settle_folder
from fishnet.collect.fetching import Fetcher, Unreachable, Unusable
from fishnet.collect.ledger import COPY, FAILED, KEPT, NOTICE, REFUSED, WAITING, Ledger
from fishnet.collect.photo import Photo, Taxon, is_placeholder
from fishnet.collect.politeness import HostPaused
from fishnet.collect.progress import Bars
from fishnet.collect.sources.source import Source
from fishnet.collect.url_guard import host_of
from fishnet.environment import usable_cores
from fishnet.errors import WorkFailed

log = logging.getLogger("fishnet")

MOST_FAILURES = 50  # one after the other: the host is down, and asking on would only be a burden
HOST_DOWN = "its host was left alone, as nothing could be fetched there"
Queue = asyncio.Queue[tuple[str, Photo]]


@dataclass
class Collector:
    """Collects classes into their folders below `root`."""

    root: Path
    ledger: Ledger
    source: Source
    fetcher: Fetcher
    limit: int | None  # photos of each class that are to be kept; None for all
    connections: int  # photos that are fetched at once
    bars: Bars
    _failures: Counter[str] = field(default_factory=Counter)  # one after the other, by host
    _down: dict[str, str] = field(default_factory=dict)  # hosts that are not asked any more → why
    _well: set[str] = field(default_factory=set)  # hosts that have sent a photo
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
        queue: Queue = asyncio.Queue(2 * self.connections)
        # a few more workers than connections keep those busy while others decode
        workers = [asyncio.create_task(self._work(queue)) for _ in range(self.connections + usable_cores())]
        try:
            unlisted = {folder: taxon for folder, taxon in folders.items() if not self.ledger.listed(folder)}
            await self._guarded(self._round(unlisted, queue), workers)
            while await self._guarded(self._round({}, queue), workers):
                pass
            self._check_hosts()
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            self._decoders.shutdown()
            recover(self.root, self.ledger)  # files that were finished while the connections were already closed
            for folder in folders:
                settle_folder(self.root / folder)

    async def _guarded(self, work: Coroutine[None, None, int], workers: list[asyncio.Task[None]]) -> int:
        """A worker that fails ends the work, which would otherwise wait for it in vain; so does cancellation."""
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait([task, *workers], return_when=asyncio.FIRST_COMPLETED)
            for worker in workers:
                if worker.done() and (error := worker.exception()):
                    raise error
            return await task
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _round(self, unlisted: dict[str, Taxon], queue: Queue) -> int:
        """Settle copies, list the unlisted classes, fetch what is missing; returns how many photos were queued."""
        for path in self.ledger.settle_copies():
            remove(self.root, path)
        if self.source.at_once and unlisted:
            await self._list(unlisted)
        count = 0
        for folder in self._folders:
            if folder in unlisted and not self.source.at_once:
                await self._list({folder: unlisted[folder]})
            count += await self._hand_out(folder, queue)
        await queue.join()
        return count

    async def _list(self, classes: dict[str, Taxon]) -> None:
        """List classes: one that may be listed in part already, or several in one pass.

        In a list that has changed, another photo of an observation may be drawn now; the first one stays. An empty
        list will be asked for again, for there may be more tomorrow.
        """
        counts, after = dict.fromkeys(classes, 0), 0
        if not self.source.at_once:
            (folder,) = classes
            counts[folder] = self.ledger.count(folder, WAITING, KEPT, REFUSED, FAILED, COPY)
            after = max(map(int, self.ledger.observations(folder)), default=0)  # how far the list has come
        folder_of = {taxon.identity: folder for folder, taxon in classes.items()}
        single = self.source.query.per_observation == "one"
        known = {folder: self.ledger.observations(folder) if single else set() for folder in classes}
        async for taxon, portion in self.source.find_all(list(classes.values()), after):
            folder = folder_of[taxon.identity]
            self.ledger.add(folder, [photo for photo in portion if photo.observation_id not in known[folder]])
            counts[folder] += len(portion)
            self.bars.listing(folder, counts[folder])
            await asyncio.sleep(0)
        for folder, taxon in classes.items():
            self.ledger.end_of_list(folder, self.source.notes.get(taxon.identity, ""), listed=counts[folder] > 0)

    async def _hand_out(self, folder: str, queue: Queue) -> int:
        """Queue as many photos as are missing; a photo that failed in this command is left for the next one."""
        kept = self.ledger.count(folder, KEPT)
        photos = self._untried(folder, None if self.limit is None else max(0, self.limit - kept))
        self.bars.fetching(folder, kept, kept + len(photos))
        if photos:
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        for photo in photos:
            self._tried.add((folder, photo.photo_id))
            await queue.put((folder, photo))
        return len(photos)

    def _untried(self, folder: str, most: int | None) -> list[Photo]:
        """The next photos, in turn; those of a host that is down fail instead, if they are reached."""
        tried = sum(tried_folder == folder for tried_folder, _ in self._tried)
        photos = self.ledger.next(folder, -1 if most is None or self._down else most + tried)
        photos = [photo for photo in photos if (folder, photo.photo_id) not in self._tried]
        if not self._down:
            return photos[:most]
        chosen = [photo for photo in photos if host_of(photo.url) not in self._down][:most]
        if most is None or len(chosen) < most:
            passed = [photo.photo_id for photo in photos if host_of(photo.url) in self._down]
            self._tried.update((folder, photo_id) for photo_id in passed)
            self.ledger.end_many((folder, photo_id, FAILED, HOST_DOWN) for photo_id in passed)
        return chosen

    async def _work(self, queue: Queue) -> None:
        while True:
            folder, photo = await queue.get()
            try:
                if await self._fetch(folder, photo):
                    self.bars.fetched(folder)
            finally:
                queue.task_done()

    async def _fetch(self, folder: str, photo: Photo) -> bool:
        """Fetch a photo, and enter its fate; returns whether it was kept."""
        host = host_of(photo.url)
        if is_placeholder(photo.url) or host in self._down:
            fate, reason = (REFUSED, NOTICE) if is_placeholder(photo.url) else (FAILED, HOST_DOWN)
            self.ledger.ended(folder, photo.photo_id, fate, reason)
            return False

        def accept(data: bytes) -> asyncio.Future[None]:
            self._failures[host] = 0
            self._well.add(host)
            whole = lay_down(self.root / folder, photo.photo_id, data)
            # in a thread: the event loop waits for neither a decoder nor a disk
            return asyncio.get_running_loop().run_in_executor(
                self._decoders, lambda: self.ledger.kept(folder, photo.photo_id, *keep(whole, data))
            )

        try:
            await self.fetcher.photo(photo.url, accept)
            return True
        except Unreachable as trouble:
            self.ledger.ended(folder, photo.photo_id, FAILED, str(trouble))
            self._failures[host] += 1
            if self._failures[host] == MOST_FAILURES:
                what = f"{MOST_FAILURES} photos in a row could not be fetched from {host}"
                self._give_up(host, f"{what} (the last: {photo.url}: {trouble})")
        except HostPaused as trouble:
            self.ledger.ended(folder, photo.photo_id, FAILED, trouble.reason)
            if host not in self._down:
                self._give_up(host, trouble.reason)
        except Unusable as trouble:
            self.ledger.ended(folder, photo.photo_id, REFUSED, str(trouble))
        return False

    def _give_up(self, host: str, why: str) -> None:
        self._down[host] = why
        self._well.discard(host)
        log.warning("%s: nothing more is asked of it now", why)
        if all(map(self.ledger.listed, self._folders)):  # else another class may have photos elsewhere
            self._check_hosts()

    def _check_hosts(self) -> None:
        """Raise WorkFailed if every host that there is to ask is down: then the network is."""
        if not self._down or self._well:
            return
        if all(host_of(row["url"]) in self._down for row in self.ledger.photos(WAITING, FAILED)):
            why = "; ".join([*self._down.values()][:3])
            raise WorkFailed(f"{why}; the same command goes on when the server or the network is well again.")
