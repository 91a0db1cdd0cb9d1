"""The trainings at hand: started as there is room, watched until they end, begun again when one was lost.

What a training has done stands in the journal; the pool only sees to it that somebody does it.
"""

import logging
import signal
import time
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any, NamedTuple

from fishnet.errors import WorkFailed, disk_trouble
from fishnet.jobs.executors import Executor, Running
from fishnet.jobs.tied import PATIENCE, signal_group
from fishnet.text import counted

from .claim import claimed_elsewhere
from .journal import Journal
from .protocol import Stage
from .scoring import scored
from .supervisor import BUSY, OUTPUT, STOPPED, busy, orphan, supervising
from .trials import Cell, Trial

log = logging.getLogger("fishnet")

POLL = 0.2
BUSY_PAUSE = 2.0  # before a training that another study has is looked at again
LOST = 3  # supervisors that may die over one training


class Waiting(NamedTuple):
    """A training that is to be started, not before a moment of the monotonic clock."""

    cell: Cell
    trial: Trial
    not_before: float = 0.0


class Live(NamedTuple):
    """A training that runs, and since when."""

    cell: Cell
    trial: Trial
    running: Running
    since: float


class Pool:
    """Trainings that wait and trainings that run, `jobs` at a time. The job.json of each holds, beside the arguments,
    what is in `job`: command, cwd and, on request, environment, limit (in seconds) and memory (in gigabytes)."""

    def __init__(self, journal: Journal, executor: Executor, jobs: int, job: dict[str, Any]) -> None:
        self._journal, self._executor, self._jobs, self._job = journal, executor, jobs, job
        self._waiting: deque[Waiting] = deque()
        self._other_hosts: set[str] = set()
        self._lost: Counter[str] = Counter()  # by training: supervisors that ended without a result
        self.live: dict[str, Live] = {}

    @property
    def has_room(self) -> bool:
        return len(self._waiting) + len(self.live) < self._jobs

    @property
    def empty(self) -> bool:
        return not self._waiting and not self.live

    def add(self, cells: Iterable[Cell], trial: Trial) -> None:
        self._waiting.extend(Waiting(cell, trial) for cell in cells)

    def turn(self, stage: Stage) -> list[Trial]:
        """Starts what may start, takes in what has ended; returns the trials that have one training fewer to wait for.

        A training of another study of this folder has its result already; what is left of a trial that was pruned in
        one fold is not run.
        """
        return [*self._start(stage), *self._take_in()]

    def _start(self, stage: Stage) -> list[Trial]:
        now, ended = time.monotonic(), []
        for _ in range(len(self._waiting)):
            if len(self.live) >= self._jobs:
                break
            cell, trial, not_before = self._waiting.popleft()
            pruned = scored(trial, stage, self._journal.result).state == "pruned"
            if pruned or self._journal.result(cell) is not None:
                ended.append(trial)
            elif now < not_before or cell.digest in self.live or busy(self._journal.folder_of(cell)):
                self._log_other_host(claimed_elsewhere(self._journal.folder_of(cell)))
                self._waiting.append(Waiting(cell, trial, max(not_before, now + POLL)))
            else:
                what = {"stage": stage.name, "trial": trial.name, "fold": cell.fold, "seed": cell.seed}
                try:
                    folder = self._journal.prepare(cell, {**self._job, "score": stage.score, "what": what})
                    started = self._executor.start(supervising(folder), folder / OUTPUT)
                    self.live[cell.digest] = Live(cell, trial, started, time.time())
                except OSError as error:
                    raise disk_trouble(error) or WorkFailed(f"a training could not be started: {error}.") from error
        return ended

    def _log_other_host(self, host: str) -> None:
        if host and host not in self._other_hosts:
            self._other_hosts.add(host)
            log.info("%s works on trainings of this study too: their results are taken from there.", host)

    def _take_in(self) -> list[Trial]:
        ended = []
        for digest, (cell, trial, running, _) in list(self.live.items()):
            if (status := running.status()) is None:
                continue
            del self.live[digest]
            if self._journal.result(cell) is not None or self._given_up(cell, status):
                ended.append(trial)
            else:
                self._waiting.append(Waiting(cell, trial, time.monotonic() + BUSY_PAUSE))
        return ended

    def _given_up(self, cell: Cell, status: int) -> bool:
        """Its supervisor ended without a result. A few times the training is begun again; then it has failed."""
        self._lost[cell.digest] += status != BUSY
        lost = self._lost[cell.digest] >= LOST
        if (pid := orphan(self._journal.folder_of(cell))) is not None:
            signal_group(pid, signal.SIGKILL if lost else signal.SIGTERM)
        if lost:
            why = "it was asked to stop" if status == STOPPED else f"its supervisor ended with status {status}"
            self._journal.give_up(cell, f"{why}, {LOST} times")
        return lost

    def close(self) -> None:
        """Trainings that still run are asked to leave a checkpoint."""
        if self.live:
            ending = counted(len(self.live), "training")
            log.info("Ending %s: a checkpoint is left, and the same command goes on from there.", ending)
        for live in self.live.values():
            live.running.stop()
        deadline = time.monotonic() + PATIENCE + 10
        while any(live.running.status() is None for live in self.live.values()) and time.monotonic() < deadline:
            time.sleep(POLL)
        self._executor.close()
