"""Runs a protocol: stage by stage, trials in as many processes as allowed, each stage's choice given to the next.

All that must survive is in the journal; this object can be killed at any moment and made again.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from fishnet.errors import WorkFailed

from .journal import GOOD, Journal
from .outcome import read_outcome
from .pool import POLL, Live, Pool
from .protocol import Protocol
from .sampler import ask, worst_epoch
from .scoring import OTHER_PHOTOS, Scored, StageState, photos_differ, scored
from .selection import Candidate, choose
from .settings import Settings, centred
from .supervisor import PRUNE
from .trials import Cell, Compose, Idea, Trial, compose_trial, listed, merged, point_name, unique_names

log = logging.getLogger("fishnet")

LOOK = 3.0  # seconds between two looks at the curves of trainings that run

Watch = Callable[[list[StageState]], None]


class Engine:
    """A study at work."""

    def __init__(
        self,
        protocol: Protocol,
        journal: Journal,
        *,
        compose: Compose,
        pool: Pool,
        retry: bool = False,  # whether trainings that failed in an earlier run are run again
        ended: Callable[[StageState, Trial], None] = lambda state, trial: None,  # called when a training has ended
    ) -> None:
        self.protocol, self.journal = protocol, journal
        self._compose, self._pool, self._retry, self._ended = compose, pool, retry, ended
        self._curves, self._watchers = Curves(journal), list[Watch]()
        self.states = [StageState(stage) for stage in protocol.stages]
        self._kept: dict[str | None, list[Candidate]] = {None: [Candidate()]}  # by stage; a first one has the settings
        self._retried, self._replaying = set[str](), False

    def watch(self, watchers: Sequence[Watch]) -> None:
        """Functions that are called with the states of all stages, several times a second."""
        self._watchers = list(watchers)

    def run(self) -> dict[str, Any]:
        """Run all stages and return what each has chosen; WorkFailed where a stage cannot choose."""
        chosen: dict[str, Any] = {}
        self.journal.open()
        self.journal.write_selected(chosen)  # what was chosen the last time may not be chosen now
        photos_changed = False
        try:
            for state in self.states:
                state.began = time.time()
                self._run_stage(state)
                if not photos_changed and photos_differ([entry for earlier in self.states for entry in earlier.scored]):
                    photos_changed = True
                    log.warning("stage %s: %s", state.stage.name, OTHER_PHOTOS)
                state.choice = choose(state.stage, state.scored)
                if kept_beyond := state.choice.record.get("limit", {}).get("kept_beyond"):
                    text = "stage %s: too few trials have %s; kept beyond it: %s"
                    log.warning(text, state.stage.name, state.stage.limit, ", ".join(kept_beyond))
                state.ended = time.time()
                self._kept[state.stage.name] = state.choice.candidates
                chosen[state.stage.name] = state.choice.record
                self.journal.write_selected(chosen)
                for watch in self._watchers:
                    watch(self.states)
        finally:
            self._pool.close()
            for state in self.states:
                state.running.clear()
        return chosen

    def replay(self) -> bool:
        """Reads the files without running anything; True when every stage has chosen."""
        self._replaying = True
        for state in self.states:
            state.began = state.ended = time.time()
            for trial in self._trials_of(state):
                self._admit(state, trial)
            state.scored = [self._scored(state, trial) for trial in state.trials]
            if any(entry.state == "open" for entry in state.scored):
                return False
            try:
                state.choice = choose(state.stage, state.scored)
            except WorkFailed:
                return False
            self._kept[state.stage.name] = state.choice.candidates
        return True

    def verdict(self) -> WorkFailed | None:
        """The failure to report after `run`, if any trial has failed."""
        outcomes = [entry.state for state in self.states for entry in state.scored]
        if not (failed := outcomes.count("failed")):
            return None
        return WorkFailed(
            f"{failed} of {len(outcomes)} trials failed: the table says why, log.txt in each one's folder says more. "
            "The others are finished; retry=true runs the failed ones again."
        )

    def _scored(self, state: StageState, trial: Trial) -> Scored:
        return scored(trial, state.stage, self.journal.result)

    def _run_stage(self, state: StageState) -> None:
        source = self._trials_of(state)
        exhausted = False
        while not (exhausted and self._pool.empty):
            while not exhausted and self._pool.has_room:
                trial = next(source, None)
                exhausted = trial is None
                if trial is not None:
                    self._pool.add(self._take(state, trial), trial)
            for trial in self._pool.turn(state.stage):
                self._notify(state, trial)
            state.running = {digest: live.since for digest, live in self._pool.live.items()}
            self._curves.look(state, list(self._pool.live.values()))
            state.scored = [self._scored(state, trial) for trial in state.trials]
            for watch in self._watchers:
                watch(self.states)
            if not self._pool.empty:
                time.sleep(POLL)

    def _trials_of(self, state: StageState) -> Iterator[Trial]:
        """Grids and lists at once; searches point by point, so that each point is drawn knowing the results so far."""
        stage = state.stage
        if stage.search.kind in ("grid", "list"):
            ideas = enumerate(listed(stage, self._kept))
            trials = unique_names(merged([compose_trial(stage, number, idea, self._compose) for number, idea in ideas]))
            trials = [replace(trial, number=number) for number, trial in enumerate(trials)]
            state.planned = len(trials)
            yield from trials
            return
        candidates = self._kept[stage.source]
        state.planned = stage.search.trials * len(candidates)
        for candidate in candidates:
            yield from self._searched(state, candidate, f"{candidate.name}-" if len(candidates) > 1 else "")

    def _searched(self, state: StageState, candidate: Candidate, prefix: str) -> Iterator[Trial]:
        stage = state.stage
        trials: list[Trial] = []
        space = centred(stage.search.space, candidate.settings, f"stage {stage.name}")
        origin = f"{candidate.name}/{sorted(candidate.settings.items(), key=str)}"

        def draw() -> Settings | None:
            if self._replaying:
                return None
            history = [(trial.point, self._scored(state, trial).best_so_far()) for trial in trials]
            return ask(stage.search, space, origin=origin, history=history, maximise=stage.maximise)

        while True:
            point = self.journal.ask(stage, origin, len(trials), draw)
            if point is None or len(trials) >= stage.search.trials:
                state.planned -= stage.search.trials - len(trials)
                return
            name, longer = (f"{prefix}{point_name(point, exact=exact)}" for exact in (False, True))
            idea = Idea(candidate, name, None, point, longer=longer)
            trial = compose_trial(stage, len(state.trials), idea, self._compose)
            (trial,) = unique_names([trial], [other.name for other in state.trials if other.digest != trial.digest])
            trials.append(trial)
            yield trial

    def _admit(self, state: StageState, trial: Trial) -> tuple[Cell, ...]:
        """Add the trial, or measure a known one (of another fold's search) in this fold too; returns new trainings."""
        for index, known in enumerate(state.trials):
            if known.digest == trial.digest:
                (state.trials[index],) = merged([known, trial])
                state.planned -= 1
                return state.trials[index].cells[len(known.cells) :]
        state.trials.append(trial)
        return trial.cells

    def _take(self, state: StageState, trial: Trial) -> list[Cell]:
        """Add the trial to the stage; returns its trainings that are to be run."""
        new = self._admit(state, trial)
        if self._retry:
            for cell, _ in self._scored(state, trial).deaths:
                if cell.digest not in self._retried:
                    self.journal.forget(cell)
                    self._retried.add(cell.digest)
        open_cells = [cell for cell in new if self.journal.result(cell) is None]
        if not open_cells:
            self._notify(state, trial)
        return open_cells

    def _notify(self, state: StageState, trial: Trial) -> None:
        """One of the trial's trainings has ended. The stage may have merged it with others of its configuration."""
        self._ended(state, next(known for known in state.trials if known.digest == trial.digest))


class Curves:
    """Looks at what running trainings have written: how far they are, and which are not worth going on."""

    def __init__(self, journal: Journal) -> None:
        self._journal, self._looked = journal, 0.0
        self._ended: dict[str, dict[int, float]] = {}  # by training, for it changes no more

    def look(self, state: StageState, live: Sequence[Live]) -> None:
        """Every few seconds: count the epochs of each training, and mark the hopeless ones for their supervisors."""
        if time.monotonic() - self._looked < LOOK:
            return
        self._looked, stage = time.monotonic(), state.stage
        for training in live:
            outcome = read_outcome(self._journal.run_of(training.cell))
            state.epochs[training.cell.digest] = outcome.epochs
            own = outcome.curves.get(stage.score)
            if not stage.search.prune or not own:
                continue
            others = self._others(state, training)
            epoch = worst_epoch(own, others, maximise=stage.maximise) if len(others) >= 3 else None
            if epoch is not None:
                cause = f"behind the median of {len(others)} others at epoch {epoch + 1}"
                cause += f" ({stage.score} {own[epoch]:.3f})"
                (self._journal.folder_of(training.cell) / PRUNE).write_text(cause)

    def _others(self, state: StageState, training: Live) -> list[dict[int, float]]:
        """Curves of other trials on the same fold with the same seed; that of one that died says nothing."""
        curves, where = [], (training.cell.fold, training.cell.seed)
        others = [trial for trial in state.trials if trial.digest != training.trial.digest]
        for cell in [cell for trial in others for cell in trial.cells if (cell.fold, cell.seed) == where]:
            if (self._journal.result(cell) or {}).get("status") in (GOOD, "pruned"):
                if cell.digest not in self._ended:
                    curves_of_run = read_outcome(self._journal.run_of(cell)).curves
                    self._ended[cell.digest] = curves_of_run.get(state.stage.score, {})
                curves.append(self._ended[cell.digest])
        return [curve for curve in curves if curve]
