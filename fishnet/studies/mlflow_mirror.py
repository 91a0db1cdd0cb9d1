"""A study in MLflow, as nested runs: study ▸ stage ▸ trial ▸ fold, made from the study's own files.

The files are the authority, and `CopyDelivery` sends what they say in the background, so that no training waits for a
store. This file only says which runs there are and what each holds.
"""

from __future__ import annotations

import hashlib
import logging
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fishnet.errors import BadInput
from fishnet.text import counted
from fishnet.tracking import names
from fishnet.tracking.delivery import CopyDelivery, RunCopy
from fishnet.tracking.runs import summary_metrics
from fishnet.tracking.session import final_status

from .journal import GOOD, Journal
from .protocol import Protocol
from .scoring import Scored, scored
from .selection import chosen_digests, ranked
from .supervisor import LOG

if TYPE_CHECKING:
    from .engine import Engine
    from .scoring import StageState
    from .trials import Cell, Trial

log = logging.getLogger("fishnet")

STATUS = {GOOD: "FINISHED", "pruned": "KILLED"}  # the others: FAILED
SUMMARISED = (names.BEST, names.TEST, names.VAL)
PATIENCE, LIMIT = 15.0, 600.0  # seconds that the end of a study waits for a store that is away, and in all
FILES = ("report.html", "results.csv", "selected.json", "study.json")


class Mirror:
    """Keeps the runs of a study in MLflow up to date; `uri` and `home` are those of `open_store`."""

    def __init__(self, protocol: Protocol, folder: Path, *, uri: str | None, home: Path, experiment: str) -> None:
        self.protocol, self.folder, self._journal = protocol, folder, Journal(folder)
        self._of_parent = {names.ROLE: "parent", names.FOLDER: str(folder)}  # tags of runs that have runs below them
        lock = folder / "mirror.lock"
        self._delivery = CopyDelivery(uri, home=home, experiment=experiment, lock=lock, goes_on="the study goes on")

    def note(self, state: StageState, trial: Trial) -> None:
        """Called when one of the trial's trainings has ended; returns at once."""
        scores = scored(trial, state.stage, self._journal.result)
        self._delivery.put([self._study(), self._stage(state), *self._trial(state, scores)])

    @contextmanager
    def opened(self, engine: Engine) -> Iterator[None]:
        """While the study runs. Several studies of one folder may: whoever ends last sends what the others did not."""
        self._journal = engine.journal
        self._delivery.put([self._study()])
        self._delivery.start()
        try:
            yield
        finally:
            self._delivery.put(self._ended(engine.states, final_status(sys.exception())), again=True)
            if not self._delivery.flush(patience=PATIENCE, limit=LIMIT):
                log.warning("MLflow did not get all of this study: the same command with deliver=true sends it.")
            self._delivery.stop()

    def deliver(self, states: list[StageState], journal: Journal, status: str) -> str:
        """Send all of a study that does not run, now; returns how much in one sentence."""
        if not any(trial.results for state in states for trial in state.scored):
            raise BadInput(f"{self.folder} holds no trials that have ended: run the study first.")
        self._journal = journal
        self._delivery.put(self._ended(states, status))
        while not self._delivery.empty:
            self._delivery.send()
        count = len(self._delivery.sent)
        return f"{counted(count, 'run')} of the study {self.protocol.name} {'is' if count == 1 else 'are'} in MLflow."

    def _ended(self, states: list[StageState], status: str) -> Iterator[RunCopy]:
        """All runs as they stand when the study has ended; a trial that has not ended by then was KILLED."""
        for state in states:
            for trial in state.trials:
                yield from self._trial(state, scored(trial, state.stage, self._journal.result), unended="KILLED")
        for state in states:
            if state.trials:
                yield self._stage(state, status="FINISHED" if state.choice else "FAILED")
        yield self._study(states, status)

    def _study(self, states: list[StageState] | None = None, status: str = "RUNNING") -> RunCopy:
        """The study; with `states`, what has come out of all of them."""
        metrics: dict[str, float] = {}
        if states is not None:  # a majority of folds may be a setting that its own stage has not measured
            kept = [[t for t in state.scored if t.trial.digest in chosen_digests(state.choice)] for state in states]
            best = next((trials[0] for trials in reversed(kept) if trials), None)
            metrics = _counts([trial for state in states for trial in state.scored]) | _metrics(best)
        return RunCopy(
            key=self._key(),
            name=f"study {self.protocol.name}",
            status=status,
            tags={**self._tags(), **self._of_parent},
            metrics=metrics,
            artifacts=[(self.folder / name, "") for name in FILES if states and (self.folder / name).is_file()],
        )

    def _stage(self, state: StageState, status: str = "RUNNING") -> RunCopy:
        """A stage; when it has ended, its best trial and what it has chosen."""
        metrics, chosen = dict[str, float](), dict[str, Any]()
        if status != "RUNNING":
            best = next(iter(ranked(state.stage, state.scored)), None)
            metrics = _counts(state.scored) | _metrics(best)
            choice = state.choice.record if state.choice else {"kept": [], "rule": None}
            chosen = {names.CHOSEN: [kept["name"] for kept in choice["kept"]], names.RULE: choice["rule"]}
        number = [stage.name for stage in self.protocol.stages].index(state.stage.name) + 1
        return RunCopy(
            key=self._key(state.stage.name),
            name=f"{self.protocol.name} {number} {state.stage.name}",
            parent=self._study(),
            status=status,
            tags={**self._tags(state), **self._of_parent, **chosen},
            metrics=metrics,
        )

    def _trial(self, state: StageState, scores: Scored, unended: str = "RUNNING") -> Iterator[RunCopy]:
        """A trial of several trainings, and each training that has ended; a trial of one training is that one."""
        trial, stage = scores.trial, state.stage
        several = bool(stage.folds) or len(stage.seeds) > 1  # also where a fold's winner has that fold alone
        run = RunCopy(
            key=self._key(stage.name, trial.digest),
            name=f"{stage.name}-{trial.name}",
            parent=self._stage(state),
            status=unended if scores.state == "open" else STATUS.get(scores.state, "FAILED"),
            tags={**self._tags(state), **self._of_parent, names.TRIAL: trial.name},
            params=trial.settings,
            metrics=_metrics(scores),
        )
        for cell in trial.cells:
            if (result := scores.results.get(cell.digest)) is not None:
                yield self._training(state, trial, cell, result, parent=run if several else None)
        if several:
            yield run

    def _training(
        self, state: StageState, trial: Trial, cell: Cell, result: dict[str, Any], parent: RunCopy | None
    ) -> RunCopy:
        in_trial = f"{trial.name}-{cell.name.replace(', ', '-').replace(' ', '')}"
        return RunCopy(
            key=self._key(state.stage.name, trial.digest, cell.digest),
            name=trial.name if parent is None else in_trial,
            parent=parent or self._stage(state),
            status=STATUS.get(result["status"], "FAILED"),
            started=result["started"],
            ended=result["ended"],
            tags={
                **self._tags(state),
                **{names.TRIAL: trial.name, names.FOLD: cell.fold, names.SEED: cell.seed},
                **{names.DIGEST: cell.digest, names.CAUSE: result["cause"] or None},
            },
            artifacts=[] if result["status"] == GOOD else [(self._journal.folder_of(cell) / LOG, "log")],
            folder=self._journal.run_of(cell),
        )

    def _key(self, *parts: str) -> str:
        """Where the study lies and which part of it this is."""
        return hashlib.sha256("/".join([str(self.folder), *parts]).encode()).hexdigest()[:32]

    def _tags(self, state: StageState | None = None) -> dict[str, Any]:
        stage = None if state is None else state.stage.name
        return {names.STUDY: self.protocol.name, names.STAGE: stage, names.COMMAND: "study"}


def _counts(trials: list[Scored]) -> dict[str, float]:
    return {names.CHILDREN: len(trials), names.CHILDREN_FINISHED: sum(trial.state == "finished" for trial in trials)}


def _metrics(trial: Scored | None) -> dict[str, float]:
    """`val/f1_macro` itself for the columns of the UI, and its mean, sd, interval and number."""
    if trial is None:
        return {}
    metrics: dict[str, float] = {}
    keys = {key for result in trial.results.values() for key in result["figures"] if key.startswith(SUMMARISED)}
    for key in sorted(keys):
        spread = trial.spread(key)
        if summary := summary_metrics(key, mean=spread.mean, sd=spread.sd, n=spread.n):
            metrics |= {key: spread.mean, **summary}
            if math.isfinite(spread.low):
                metrics |= {f"{key}{names.LOW}": spread.low, f"{key}{names.HIGH}": spread.high}
    return metrics
