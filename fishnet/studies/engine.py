"""Runs a protocol: stage by stage, trials in as many processes as allowed, each stage's choice given to the next.

All that must survive is in the journal; this object can be killed at any moment and made again.
"""

import logging
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fishnet.errors import WorkFailed, disk_trouble
from fishnet.names import counted

from .asking import ask, worst_epoch
from .executors import Executor, Running
from .journal import GOOD, Journal
from .keeper import BUSY, PATIENCE, PRUNE, STOPPED
from .outcome import read_outcome
from .protocol import Protocol, Stage
from .scoring import OTHER_PHOTOS, Scored, photos_differ, scored
from .selection import Choice, choose
from .settings import Settings, Space, centred
from .trials import Candidate, Cell, Compose, Idea, Trial, listed, merged, point_name, realised, told_apart

log = logging.getLogger("fishnet")

POLL = 0.2
BUSY_PAUSE = 2.0  # before a training that another study has is looked at again
LOST = 3  # keepers that may die over one training
LOOK_AT_CURVES = 3.0  # seconds between two looks at what trainings have written so far


@dataclass
class StageState:
    """What is known of a stage, for tables, pages and MLflow."""

    stage: Stage
    trials: list[Trial] = field(default_factory=list)
    scored: list[Scored] = field(default_factory=list)
    choice: Choice | None = None
    running: dict[str, float] = field(default_factory=dict)  # digest of a training → since when
    epochs: dict[str, int] = field(default_factory=dict)  # digest of a training that runs → epochs so far
    planned: int = 0  # trials, as far as it is known
    began: float | None = None
    ended: float | None = None


@dataclass(frozen=True)
class Limits:
    jobs: int = 1
    seconds: float | None = None
    memory: float | None = None


Watch = Callable[[list[StageState]], None]


class Engine:
    def __init__(
        self,
        protocol: Protocol,
        journal: Journal,
        *,
        compose: Compose,
        executor: Executor,
        limits: Limits,
        job: dict[str, Any],
        retry: bool = False,
        ended: Callable[[StageState, Trial], None] = lambda state, trial: None,
    ) -> None:
        self.protocol, self.journal = protocol, journal
        self._compose, self._executor, self._limits, self._job = compose, executor, limits, job
        self._retry, self._ended = retry, ended
        self._watchers: Sequence[Watch] = ()
        self.states = [StageState(stage) for stage in protocol.stages]
        self._kept: dict[str, list[Candidate]] = {}
        self._live: dict[str, tuple[Cell, Trial, Running]] = {}
        self._lost: dict[str, int] = {}
        self._retried: set[str] = set()
        self._curves: dict[str, dict[int, float]] = {}  # of trainings that have ended
        self._looked = 0.0
        self._replaying = False

    def watch(self, watchers: Sequence[Watch]) -> None:
        """Whoever is to be told, several times a second."""
        self._watchers = watchers

    def _watch(self) -> None:
        for watch in self._watchers:
            watch(self.states)

    def run(self) -> dict[str, Any]:
        """What each stage has chosen; WorkFailed where a stage cannot choose."""
        chosen: dict[str, Any] = {}
        self.journal.open()
        self.journal.write_selected(chosen)  # what was chosen the last time may not be chosen now
        photos_changed = False
        try:
            for state in self.states:
                state.began = time.time()
                self._run_stage(state)
                if not photos_changed and photos_differ([one for earlier in self.states for one in earlier.scored]):
                    photos_changed = True
                    log.warning("stage %s: %s", state.stage.name, OTHER_PHOTOS)
                state.choice = choose(state.stage, state.scored)
                state.ended = time.time()
                self._kept[state.stage.name] = state.choice.candidates
                chosen[state.stage.name] = state.choice.told
                self.journal.write_selected(chosen)
                self._watch()
        finally:
            self._stop()
        return chosen

    def replay(self) -> bool:
        """What the files tell, without running anything; True when every stage has chosen."""
        self._replaying = True
        for state in self.states:
            state.began = state.ended = time.time()
            for trial in self._trials_of(state):
                self._admit(state, trial)
            self._score(state)
            if any(one.state == "open" for one in state.scored):
                return False
            try:
                state.choice = choose(state.stage, state.scored)
            except WorkFailed:
                return False
            self._kept[state.stage.name] = state.choice.candidates
        return True

    # ---- one stage

    def _run_stage(self, state: StageState) -> None:
        source = self._trials_of(state)
        waiting: deque[tuple[Cell, Trial, float]] = deque()
        exhausted = False
        while True:
            while not exhausted and len(waiting) + len(self._live) < self._limits.jobs:
                trial = next(source, None)
                if trial is None:
                    exhausted = True
                    break
                waiting.extend((cell, trial, 0.0) for cell in self._take(state, trial))
            self._start(state, waiting)
            self._poll(state, waiting)
            self._look(state)
            self._score(state)
            self._watch()
            if exhausted and not waiting and not self._live:
                return
            if self._live or waiting:
                time.sleep(POLL)

    def _trials_of(self, state: StageState) -> Iterator[Trial]:
        """Grids and lists at once; searches point by point, so that each question knows the answers so far."""
        stage = state.stage
        if stage.search.kind in ("grid", "list"):
            ideas = list(listed(stage, self._kept))
            trials = [realised(stage, number, idea, self._compose) for number, idea in enumerate(ideas)]
            trials = [replace(trial, number=number) for number, trial in enumerate(told_apart(merged(trials)))]
            state.planned = len(trials)
            yield from trials
            return
        received = self._kept[stage.source] if stage.source else [Candidate()]
        state.planned = stage.search.trials * len(received)
        for candidate in received:
            yield from self._searched(state, candidate, prefix=len(received) > 1)

    def _searched(self, state: StageState, candidate: Candidate, *, prefix: bool) -> Iterator[Trial]:
        stage = state.stage
        mine: list[Trial] = []
        space = centred(stage.search.space, candidate.settings, f"stage {stage.name}")
        place = f"{candidate.name}/{sorted(candidate.settings.items(), key=str)}"
        folds = None if candidate.fold is None else (candidate.fold,)
        while True:
            history = [(trial.point, scored(trial, stage, self.journal.result)) for trial in mine]
            known = [(point, one.best_so_far()) for point, one in history]
            point = self.journal.ask(
                stage,
                place,
                len(mine),
                lambda known=known: self._new_point(stage, space, place, known),  # type: ignore[misc]
            )
            if point is None or len(mine) >= stage.search.trials:
                state.planned -= stage.search.trials - len(mine)
                return
            name, longer = (
                f"{candidate.name}-{told}" if prefix else told
                for told in (point_name(point), point_name(point, whole=True))
            )
            idea = Idea(candidate, name, None, point, folds, longer=longer)
            trial = realised(stage, len(state.trials), idea, self._compose)
            (trial,) = told_apart([trial], [one.name for one in state.trials if one.digest != trial.digest])
            mine.append(trial)
            yield trial

    def _new_point(
        self, stage: Stage, space: Space, place: str, known: list[tuple[Settings, float | None]]
    ) -> Settings | None:
        if self._replaying:
            return None
        return ask(stage.search, space, place=place, history=known, largest=stage.largest)

    def _admit(self, state: StageState, trial: Trial) -> tuple[Cell, ...]:
        """The trial belongs to the stage from now on. One that is known, asked by another fold's winner, is measured in
        that fold too; returns the trainings that are new."""
        for place, known in enumerate(state.trials):
            if known.digest == trial.digest:
                (state.trials[place],) = merged([known, trial])
                state.planned -= 1
                return state.trials[place].cells[len(known.cells) :]
        state.trials.append(trial)
        return trial.cells

    def _take(self, state: StageState, trial: Trial) -> list[Cell]:
        """What of the trial is to be run."""
        new = self._admit(state, trial)
        if self._retry:
            for cell, _ in scored(trial, state.stage, self.journal.result).deaths:
                if cell.digest not in self._retried:
                    self.journal.forget(cell)
                    self._retried.add(cell.digest)
        open_cells = [cell for cell in new if self.journal.result(cell) is None]
        if not open_cells:
            self._tell(state, trial)
        return open_cells

    def _tell(self, state: StageState, trial: Trial) -> None:
        """One of its trainings has ended: as it stands in the stage, for it may have been asked by several."""
        self._ended(state, next(one for one in state.trials if one.digest == trial.digest))

    def _start(self, state: StageState, waiting: deque[tuple[Cell, Trial, float]]) -> None:
        now = time.monotonic()
        for _ in range(len(waiting)):
            if len(self._live) >= self._limits.jobs:
                return
            cell, trial, not_before = waiting.popleft()
            if self._settled(state, cell, trial):
                self._tell(state, trial)
            elif now < not_before or cell.digest in self._live or self.journal.busy(cell):
                waiting.append((cell, trial, max(not_before, now + POLL)))
            else:
                self._live[cell.digest] = cell, trial, self._launched(state.stage, cell, trial)
                state.running[cell.digest] = time.time()

    def _launched(self, stage: Stage, cell: Cell, trial: Trial) -> Running:
        told = {"stage": stage.name, "trial": trial.name, "fold": cell.fold, "seed": cell.seed}
        job = {"limit": self._limits.seconds, "memory": self._limits.memory, "score": stage.score, "what": told}
        try:
            return self._executor.start(self.journal.prepare(cell, {**self._job, **job}))
        except OSError as error:
            raise disk_trouble(error) or WorkFailed(f"a training could not be started: {error}.") from error

    def _settled(self, state: StageState, cell: Cell, trial: Trial) -> bool:
        """It has a result, or needs none: the rest of a trial that was pruned in one fold is not run."""
        if self.journal.result(cell) is not None:
            return True
        return scored(trial, state.stage, self.journal.result).state == "pruned"

    def _poll(self, state: StageState, waiting: deque[tuple[Cell, Trial, float]]) -> None:
        for digest, (cell, trial, running) in list(self._live.items()):
            status = running.status()
            if status is None:
                continue
            del self._live[digest]
            state.running.pop(digest, None)
            if self.journal.result(cell) is not None:
                self._tell(state, trial)
                continue
            if status != BUSY:
                self._lost[digest] = self._lost.get(digest, 0) + 1
            lost = self._lost.get(digest, 0) >= LOST
            self.journal.end_orphan(cell, signal.SIGKILL if lost else signal.SIGTERM)
            if lost:
                told = "it was asked to stop" if status == STOPPED else f"its keeper ended with status {status}"
                self.journal.give_up(cell, f"{told}, {LOST} times{self.journal.last_words(cell)}", time.time())
                self._tell(state, trial)
            else:
                waiting.append((cell, trial, time.monotonic() + BUSY_PAUSE))

    def _look(self, state: StageState) -> None:
        """At trainings that run: how far they are, and whether they are worth going on."""
        if time.monotonic() - self._looked < LOOK_AT_CURVES:
            return
        self._looked = time.monotonic()
        for digest, (cell, trial, _) in self._live.items():
            outcome = read_outcome(self.journal.run_of(cell))
            state.epochs[digest] = outcome.epochs
            if state.stage.search.prune:
                self._prune(state, cell, trial, outcome.curves.get(state.stage.score, {}))

    def _prune(self, state: StageState, cell: Cell, trial: Trial, own: dict[int, float]) -> None:
        stage = state.stage
        others = [
            curve
            for other in state.trials
            for twin in other.cells
            if other.digest != trial.digest
            and (twin.fold, twin.seed) == (cell.fold, cell.seed)
            and self._ended_well(twin)
            and (curve := self._curve(twin, stage.score))
        ]
        epoch = worst_epoch(own, others, largest=stage.largest) if own and len(others) >= 3 else None
        if epoch is not None:
            text = f"behind the median of {len(others)} others at epoch {epoch + 1} ({stage.score} {own[epoch]:.3f})"
            (self.journal.place(cell) / PRUNE).write_text(text)

    def _ended_well(self, cell: Cell) -> bool:
        """Of a training that died the curve says nothing about its trial."""
        result = self.journal.result(cell)
        return result is not None and result["status"] in (GOOD, "pruned")

    def _curve(self, ended: Cell, key: str) -> dict[int, float]:
        if ended.digest not in self._curves:
            self._curves[ended.digest] = read_outcome(self.journal.run_of(ended)).curves.get(key, {})
        return self._curves[ended.digest]

    def _score(self, state: StageState) -> None:
        state.scored = [scored(trial, state.stage, self.journal.result) for trial in state.trials]

    # ---- the end

    def _stop(self) -> None:
        """Trainings that still run are asked to leave a checkpoint."""
        if self._live:
            ending = counted(len(self._live), "training")
            log.info("Ending %s: a checkpoint is left, and the same command goes on from there.", ending)
        for _, _, running in self._live.values():
            running.stop()
        deadline = time.monotonic() + PATIENCE + 10
        while any(running.status() is None for _, _, running in self._live.values()) and time.monotonic() < deadline:
            time.sleep(POLL)
        for state in self.states:
            state.running.clear()
        self._executor.close()

    def deaths(self) -> list[tuple[Trial, Cell, dict[str, Any]]]:
        return [
            (one.trial, cell, result) for state in self.states for one in state.scored for cell, result in one.deaths
        ]

    def verdict(self) -> WorkFailed | None:
        """All trials have ended; were all of them well?"""
        failed = [one for state in self.states for one in state.scored if one.state == "failed"]
        if not failed:
            return None
        total = sum(len(state.scored) for state in self.states)
        return WorkFailed(
            f"{len(failed)} of {total} trials failed: the table says why, log.txt in each one's folder says more. "
            "The others are finished; retry=true runs the failed ones again."
        )
