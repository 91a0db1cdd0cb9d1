"""The thread that empties a run's journal into the store, so that training never waits for it."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .client import client_for, is_refusal, one_line
from .journal import Journal, left_journals, owner_of, tally
from .names import HEARTBEAT
from .sending import send_waiting

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger("fishnet.tracking")

EVERY = 5.0  # seconds between deliveries: at most two calls an epoch, and a UI that follows
HEARTBEAT_EVERY = 60.0
LONGEST_PAUSE = 30.0


class Outbox:
    """Delivers in the background; says once when the store is away, and tries again until it is back."""

    def __init__(self, client: MlflowClient, run_id: str, journal: Journal, *, every: float = EVERY) -> None:
        self._client, self._run_id, self._journal, self._every = client, run_id, journal, every
        self._change = threading.Condition()
        self._stop = self._ended = False
        self._hurry = False
        self._pause = 0.0
        self._away_since: float | None = None
        self._beaten = time.monotonic()
        self._thread = threading.Thread(target=self._work, name="fishnet-outbox", daemon=True)
        self._thread.start()

    @property
    def away(self) -> bool:
        return self._away_since is not None

    def flush(self, *, patience: float, limit: float) -> bool:
        """Wait until all is delivered: `patience` seconds for a store that is away, `limit` seconds in all."""
        start = time.monotonic()
        with self._change:
            self._hurry, self._pause = True, 0.0
            self._change.notify_all()
            while not self._journal.empty:
                waited = time.monotonic() - start
                if waited > limit or (self.away and waited > patience) or not self._thread.is_alive():
                    return False
                self._change.wait(0.1)
        return True

    def close(self, last_word: dict[str, Any], *, patience: float, limit: float) -> str:
        """Deliver, end the thread, and say in one sentence what waits, or nothing."""
        with self._change:
            self._ended = True
            self._journal.append(last_word)
        self.flush(patience=patience, limit=limit)
        with self._change:
            self._stop = True
            self._change.notify_all()
        self._thread.join(1.0)
        sentence = self._remainder()
        if not self._thread.is_alive():
            self._journal.close()
        return sentence

    def _remainder(self) -> str:
        parts = []
        if not self._journal.empty:
            records: list[dict] = self._journal.waiting(limit=10**9)[0]
            parts.append(
                f"{tally(records)} wait in {self._journal.path.parent}; `fishnet compare deliver=true` sends them"
            )
        if self._journal.refused:
            parts.append(
                f"{self._journal.refused} reports were refused by the store and lie in {self._journal.path.parent}"
            )
        if self._journal.lost:
            parts.append(f"{self._journal.lost} reports could not be written to the disk and are lost")
        return "; ".join(parts)

    # ---- in the thread

    def _work(self) -> None:
        while not self._stop:
            with self._change:
                self._change.wait_for(lambda: self._stop or self._hurry, timeout=self._pause or self._every)
                self._hurry = False
            if not self._stop:
                self._deliver()

    def _deliver(self) -> None:
        try:
            while send_waiting(self._client, self._run_id, self._journal) and not self._stop:
                pass
            self._beat()
        except Exception as error:  # whatever the store or the network thinks of, training goes on
            self._note_away(error)
        else:
            self._note_back()
        with self._change:
            self._change.notify_all()

    def _beat(self) -> None:
        if time.monotonic() - self._beaten >= HEARTBEAT_EVERY:
            self._beaten = time.monotonic()
            try:
                self._client.set_tag(self._run_id, HEARTBEAT, str(int(time.time())))
            except Exception as error:
                if not is_refusal(error):  # refused: someone has deleted the run; its reports are put aside
                    raise

    def _note_away(self, error: Exception) -> None:
        if self._away_since is None:
            self._away_since = time.monotonic()
            log.warning(
                "The run store does not answer (%s): the work goes on, and what it reports waits in %s.",
                one_line(error),
                self._journal.path.parent,
            )
        self._pause = min(LONGEST_PAUSE, max(1.0, self._pause * 2))

    def _note_back(self) -> None:
        if self._away_since is not None:
            away = time.monotonic() - self._away_since
            self._away_since, self._pause = None, 0.0
            log.warning("The run store is back after %.0f s; what waited has been delivered.", away)
            with self._change:
                if away > HEARTBEAT_EVERY and not self._ended:  # another host may have closed it in between
                    self._journal.append({"kind": "status", "status": "RUNNING"})


def deliver(root: Path, *, uri: str | None = None) -> list[str]:
    """Send what ended runs below `root` could not; one sentence a run. Journals of living runs are left to them.

    With `uri`, only what is meant for that store: one that has just answered, so that no command waits for another.
    """
    sentences = [_deliver_left(journal, uri) for journal in left_journals(root)]
    return [sentence for sentence in sentences if sentence]


def _deliver_left(journal: Journal, uri: str | None) -> str:
    owner = owner_of(journal)
    records: list[dict] = journal.waiting(limit=10**9)[0]
    if owner is None or (uri is not None and owner["uri"] != uri):
        journal.close()
        return "" if owner else f"{journal.path} names no run; nothing was sent."
    try:
        client = client_for(owner["uri"])
        while send_waiting(client, owner["run_id"], journal):
            pass
        return f"Run {owner['run_id']}: {tally(records)} delivered."
    except Exception as error:
        return f"Run {owner['run_id']}: {tally(records)} still wait ({one_line(error)})."
    finally:
        journal.close()
