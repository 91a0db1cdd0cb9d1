"""The trainings at hand: started as there is room, watched until they end, begun again when one was lost.

What a training has done stands in the journal; the pool only sees to it that somebody does it.
"""

import logging
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from fishnet.errors import WorkFailed, disk_trouble
from fishnet.text import counted

from .executors import Executor, Running
from .journal import Journal
from .protocol import Stage
from .supervisor import BUSY, PATIENCE, STOPPED
from .trials import Cell, Trial

log = logging.getLogger("fishnet")

POLL = 0.2
BUSY_PAUSE = 2.0  # before a training that another study has is looked at again
LOST = 3  # keepers that may die over one training


@dataclass(frozen=True)
class Limits:
    jobs: int = 1
    seconds: float | None = None
    memory: float | None = None


class Waiting(NamedTuple):
    cell: Cell
    trial: Trial
    not_before: float = 0.0


class Live(NamedTuple):
    cell: Cell
    trial: Trial
    running: Running
    since: float


class Pool:
    def __init__(self, journal: Journal, executor: Executor, limits: Limits, job: dict[str, Any]) -> None:
        self._journal, self._executor, self._limits, self._job = journal, executor, limits, job
        self._waiting: deque[Waiting] = deque()
        self._lost: dict[str, int] = {}
        self.live: dict[str, Live] = {}

    @property
    def has_room(self) -> bool:
        return len(self._waiting) + len(self.live) < self._limits.jobs

    @property
    def empty(self) -> bool:
        return not self._waiting and not self.live

    def add(self, cells: Iterable[Cell], trial: Trial) -> None:
        self._waiting.extend(Waiting(cell, trial) for cell in cells)

    def turn(self, stage: Stage, settled: Callable[[Cell, Trial], bool]) -> list[Trial]:
        """Starts what may start, takes in what has ended; returns the trials that have one training fewer to wait for.

        `settled`: a training that has its result already, or needs none.
        """
        return [*self._start(stage, settled), *self._take_in()]

    def _start(self, stage: Stage, settled: Callable[[Cell, Trial], bool]) -> list[Trial]:
        now, told = time.monotonic(), []
        for _ in range(len(self._waiting)):
            if len(self.live) >= self._limits.jobs:
                break
            cell, trial, not_before = self._waiting.popleft()
            if settled(cell, trial):
                told.append(trial)
            elif now < not_before or cell.digest in self.live or self._journal.busy(cell):
                self._waiting.append(Waiting(cell, trial, max(not_before, now + POLL)))
            else:
                self.live[cell.digest] = Live(cell, trial, self._launched(stage, cell, trial), time.time())
        return told

    def _launched(self, stage: Stage, cell: Cell, trial: Trial) -> Running:
        told = {"stage": stage.name, "trial": trial.name, "fold": cell.fold, "seed": cell.seed}
        job = {"limit": self._limits.seconds, "memory": self._limits.memory, "score": stage.score, "what": told}
        try:
            return self._executor.start(self._journal.prepare(cell, {**self._job, **job}))
        except OSError as error:
            raise disk_trouble(error) or WorkFailed(f"a training could not be started: {error}.") from error

    def _take_in(self) -> list[Trial]:
        told = []
        for digest, (cell, trial, running, _) in list(self.live.items()):
            status = running.status()
            if status is None:
                continue
            del self.live[digest]
            if self._journal.result(cell) is not None or self._given_up(cell, status):
                told.append(trial)
            else:
                self._waiting.append(Waiting(cell, trial, time.monotonic() + BUSY_PAUSE))
        return told

    def _given_up(self, cell: Cell, status: int) -> bool:
        """Its keeper ended without a word. A few times it is begun again; then it has failed."""
        if status != BUSY:
            self._lost[cell.digest] = self._lost.get(cell.digest, 0) + 1
        lost = self._lost.get(cell.digest, 0) >= LOST
        self._journal.end_orphan(cell, signal.SIGKILL if lost else signal.SIGTERM)
        if lost:
            told = "it was asked to stop" if status == STOPPED else f"its keeper ended with status {status}"
            self._journal.give_up(cell, f"{told}, {LOST} times{self._journal.last_words(cell)}", time.time())
        return lost

    def close(self) -> None:
        """Trainings that still run are asked to leave a checkpoint."""
        if self.live:
            ending = counted(len(self.live), "training")
            log.info("Ending %s: a checkpoint is left, and the same command goes on from there.", ending)
        still = [one.running for one in self.live.values()]
        for running in still:
            running.stop()
        deadline = time.monotonic() + PATIENCE + 10
        while any(running.status() is None for running in still) and time.monotonic() < deadline:
            time.sleep(POLL)
        self._executor.close()
