"""Runs a protocol: stage by stage, trials in as many processes as allowed, each stage's choice given to the next.

All that must survive is in the journal; this object can be killed at any moment and made again.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from fishnet.errors import WorkFailed

from .curves import Curves
from .journal import Journal
from .pool import POLL, Pool
from .protocol import Protocol, Stage
from .sampler import ask
from .scoring import OTHER_PHOTOS, photos_differ, scored
from .selection import choose
from .settings import Settings, Space, centred
from .state import StageState, Watch
from .trials import Candidate, Cell, Compose, Idea, Trial, listed, merged, point_name, realised, told_apart

log = logging.getLogger("fishnet")


class Engine:
    def __init__(
        self,
        protocol: Protocol,
        journal: Journal,
        *,
        compose: Compose,
        pool: Pool,
        retry: bool = False,
        ended: Callable[[StageState, Trial], None] = lambda state, trial: None,
    ) -> None:
        self.protocol, self.journal = protocol, journal
        self._compose, self._pool, self._retry, self._ended = compose, pool, retry, ended
        self._curves = Curves(journal)
        self._watchers: Sequence[Watch] = ()
        self.states = [StageState(stage) for stage in protocol.stages]
        self._kept: dict[str, list[Candidate]] = {}
        self._retried: set[str] = set()
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
            self._pool.close()
            for state in self.states:
                state.running.clear()
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
        exhausted = False
        while not (exhausted and self._pool.empty):
            while not exhausted and self._pool.has_room:
                trial = next(source, None)
                exhausted = trial is None
                if trial is not None:
                    self._pool.add(self._take(state, trial), trial)
            for ended in self._pool.turn(state.stage, lambda cell, trial: self._settled(state, cell, trial)):
                self._tell(state, ended)
            state.running = {digest: one.since for digest, one in self._pool.live.items()}
            self._curves.look(state, list(self._pool.live.values()))
            self._score(state)
            self._watch()
            if not self._pool.empty:
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

    def _settled(self, state: StageState, cell: Cell, trial: Trial) -> bool:
        """It has a result, or needs none: the rest of a trial that was pruned in one fold is not run."""
        if self.journal.result(cell) is not None:
            return True
        return scored(trial, state.stage, self.journal.result).state == "pruned"

    def _score(self, state: StageState) -> None:
        state.scored = [scored(trial, state.stage, self.journal.result) for trial in state.trials]

    # ---- the end

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
