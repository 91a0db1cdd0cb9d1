"""The study in MLflow: study ▸ stage ▸ trial ▸ fold as nested runs, sent from the study's own files.

A thread sends, so that no training waits for a store; a store that is away costs the study nothing, for everything can
be sent later from the same files. Each run is found again by its key: what is sent twice is there once.
"""

from __future__ import annotations

import hashlib
import logging
import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from fishnet.errors import BadInput
from fishnet.tracking.client import one_line
from fishnet.tracking.offline import send_offline, start_nested, tell_parent
from fishnet.tracking.store import Store, open_store

from .journal import GOOD, Journal
from .protocol import Protocol
from .scoring import Scored, scored
from .selection import chosen_digests
from .supervisor import LOG

if TYPE_CHECKING:
    from .engine import Engine
    from .scoring import StageState
    from .trials import Cell, Trial

log = logging.getLogger("fishnet")

LAST_WORD = 60.0  # seconds that the end of a study waits for its store
AGAIN = 60.0  # seconds before a store that was away is asked again
STATUS = {"finished": "FINISHED", "pruned": "KILLED"}


class Mirror:
    def __init__(self, protocol: Protocol, folder: Path, *, uri: str | None, home: Path, experiment: str) -> None:
        self.protocol, self.folder, self.uri, self.home, self.experiment = protocol, folder, uri, home, experiment
        self._waiting: SimpleQueue[tuple[StageState, Trial] | None] = SimpleQueue()
        self._store: Store | None = None
        self._runs: dict[str, str] = {}  # key → run id
        self._sent: dict[str, str] = {}  # key → what of it was sent
        self._experiment_id = ""
        self._away = ""
        self._ask_again = 0.0

    def note(self, state: StageState, trial: Trial) -> None:
        """One of the trial's trainings has ended; returns at once."""
        self._waiting.put((state, trial))

    @contextmanager
    def opened(self, engine: Engine) -> Iterator[None]:
        """While the study runs; one study of a folder mirrors at a time, and whoever is last sends the rest."""
        thread = threading.Thread(target=self._work, args=(engine,), name="fishnet-mirror", daemon=True)
        thread.start()
        status = "FAILED"
        try:
            yield
            status = "FINISHED"
        except BaseException as error:
            status = "FAILED" if isinstance(error, Exception) else "KILLED"
            raise
        finally:
            self._waiting.put(None)
            thread.join(LAST_WORD)
            if not thread.is_alive() and self._worth_asking():
                self._locked(lambda: self._send_all(engine.states, engine.journal, status), patience=5.0)
            if self._away:
                log.warning("MLflow did not get all of this study: the same command with deliver=true sends it.")

    def _work(self, engine: Engine) -> None:
        self._locked(lambda: self._begin(engine.states))
        last = False
        while not last:
            notes = [self._waiting.get()]
            while not self._waiting.empty():
                notes.append(self._waiting.get())
            last = None in notes
            fresh = {(note[0].stage.name, note[1].digest): note for note in notes if note is not None}
            if self._worth_asking():
                self._locked(lambda fresh=fresh: self._send_these(list(fresh.values()), engine.journal))

    def _worth_asking(self) -> bool:
        """A store that was away is asked now and then; what it missed is sent at the end."""
        return not self._away or time.monotonic() >= self._ask_again

    def _locked(self, work: Any, patience: float = 0.0) -> None:
        """With the store's word that it is there; another study of this folder that mirrors is left to it."""
        try:
            with FileLock(self.folder / "mirror.lock", timeout=patience):
                work()
            if self._away:
                log.info("The run store answers again.")
                self._away = ""
        except Timeout:
            return
        except Exception as error:  # whatever the store or the network thinks of, the study goes on
            self._ask_again = time.monotonic() + AGAIN
            if not self._away:
                self._away = one_line(error)
                log.warning("The run store does not answer (%s): the study goes on.", self._away)

    def deliver(self, states: list[StageState], journal: Journal, status: str) -> str:
        """All of it, now; one sentence."""
        if not any(one.results for state in states for one in state.scored):
            raise BadInput(f"{self.folder} holds no trials that have ended: run the study first.")
        self._send_all(states, journal, status)
        return f"{len(self._sent)} runs of the study {self.protocol.name} are in MLflow."

    # ---- sending

    def _open(self) -> Store:
        if self._store is None:
            self._store = open_store(self.uri, home=self.home)
            self._experiment_id = self._store.experiment(self.experiment)
        return self._store

    def _begin(self, states: list[StageState]) -> None:
        self._parent(self._key(), f"study {self.protocol.name}", None, {"fishnet.study": self.protocol.name})

    def _send_all(self, states: list[StageState], journal: Journal, status: str) -> None:
        for state in states:
            for trial in state.trials:
                self._send(state, trial, journal, unended="KILLED")
        for state in states:
            if state.trials:
                self._close_stage(state)
        self._close_study(states, status)

    def _send_these(self, fresh: list[tuple[StageState, Trial]], journal: Journal) -> None:
        for state, trial in fresh:
            self._send(state, trial, journal)

    def _send(self, state: StageState, trial: Trial, journal: Journal, unended: str = "RUNNING") -> None:
        one = scored(trial, state.stage, journal.result)
        stage = self._stage(state)
        several = (
            bool(state.stage.folds) or len(state.stage.seeds) > 1
        )  # also where a fold's winner has that fold alone
        parent = self._trial(state, trial, stage) if several else stage
        for cell in trial.cells:
            result = one.results.get(cell.digest)
            if result is not None:
                self._send_cell(state, trial, cell, result, journal, parent, several)
        if several:
            self._close_trial(state, one, unended)

    def _send_cell(
        self,
        state: StageState,
        trial: Trial,
        cell: Cell,
        result: dict[str, Any],
        journal: Journal,
        parent: str,
        several: bool,
    ) -> None:
        key = self._key(state.stage.name, trial.digest, cell.digest)
        if self._sent.get(key) == f"{result['ended']}":
            return
        place = journal.folder_of(cell)
        name = f"{trial.name}-{cell.name.replace(', ', '-').replace(' ', '')}" if several else trial.name
        send_offline(
            self._open(),
            experiment_id=self._experiment_id,
            key=key,
            name=name,
            parent=parent,
            status="FINISHED" if result["status"] == GOOD else STATUS.get(result["status"], "FAILED"),
            started=result["started"],
            ended=result["ended"],
            folder=journal.run_of(cell),
            tags={
                **self._tags(state, trial),
                "fishnet.fold": cell.fold,
                "fishnet.seed": cell.seed,
                "fishnet.digest": cell.digest,
                "fishnet.cause": result["cause"] or None,
            },
            artifacts={} if result["status"] == GOOD else {"log": place / LOG},
        )
        self._sent[key] = f"{result['ended']}"

    def _tags(self, state: StageState, trial: Trial | None = None) -> dict[str, Any]:
        told = {"fishnet.study": self.protocol.name, "fishnet.stage": state.stage.name, "fishnet.command": "study"}
        return told if trial is None else {**told, "fishnet.trial": trial.name}

    def _key(self, *parts: str) -> str:
        """Where the study lies and which part of it this is."""
        return hashlib.sha256("/".join([str(self.folder), *parts]).encode()).hexdigest()[:32]

    def _parent(self, key: str, name: str, parent: str | None, tags: dict[str, Any]) -> str:
        if key not in self._runs:
            store = self._open()
            told = {**tags, "fishnet.role": "parent", "fishnet.folder": str(self.folder), "fishnet.command": "study"}
            self._runs[key] = start_nested(
                store, experiment_id=self._experiment_id, key=key, name=name, parent=parent, tags=told
            )
        return self._runs[key]

    def _stage(self, state: StageState) -> str:
        study = self._parent(self._key(), f"study {self.protocol.name}", None, {"fishnet.study": self.protocol.name})
        number = [one.name for one in self.protocol.stages].index(state.stage.name) + 1
        name = f"{self.protocol.name} {number} {state.stage.name}"
        return self._parent(self._key(state.stage.name), name, study, self._tags(state))

    def _trial(self, state: StageState, trial: Trial, stage: str) -> str:
        key = self._key(state.stage.name, trial.digest)
        return self._parent(key, f"{state.stage.name}-{trial.name}", stage, self._tags(state, trial))

    # ---- parents tell mean, sd and interval

    def _close_trial(self, state: StageState, one: Scored, unended: str) -> None:
        run = self._runs[self._key(state.stage.name, one.trial.digest)]
        status = unended if one.state == "open" else STATUS.get(one.state, "FAILED")
        self._tell(run, _figures(one), {}, status, params=one.trial.settings)

    def _close_stage(self, state: StageState) -> None:
        finished = [one for one in state.scored if one.state == "finished"]
        counts = {"children/all": len(state.scored), "children/finished": len(finished)}
        best = max(finished, key=lambda one: one.mean if state.stage.maximise else -one.mean, default=None)
        figures = _figures(best) if best is not None else {}
        chosen = state.choice.record if state.choice else {}
        tags = {
            "fishnet.chosen": [kept.get("name") for kept in chosen.get("kept", [])],
            "fishnet.rule": chosen.get("rule"),
        }
        status = "FINISHED" if state.choice else "FAILED"
        self._tell(self._stage(state), {**counts, **figures}, tags, status)

    def _close_study(self, states: list[StageState], status: str) -> None:
        run = self._parent(self._key(), f"study {self.protocol.name}", None, {})
        all_trials = [one for state in states for one in state.scored]
        measured = [
            (state, one) for state in states for one in state.scored if one.trial.digest in chosen_digests(state.choice)
        ]
        figures: dict[str, float] = {
            "children/all": len(all_trials),
            "children/finished": sum(one.state == "finished" for one in all_trials),
        }
        if measured:  # a majority of folds may be a setting that its own stage has not measured: then the one before
            last = measured[-1][0]
            figures |= _figures(next(one for state, one in measured if state is last))
        files = [self.folder / name for name in ("report.html", "results.csv", "selected.json", "study.json")]
        self._tell(run, figures, {}, status, [path for path in files if path.is_file()])

    def _tell(
        self,
        run: str,
        figures: dict[str, float],
        tags: dict[str, Any],
        status: str,
        files: Sequence[Path] = (),
        params: Mapping[str, Any] | None = None,
    ) -> None:
        tell_parent(
            self._open(),
            run,
            figures=figures,
            tags=tags,
            params=params or {},
            files=files,
            status=status,
            at=time.time(),
        )
        self._sent.setdefault(run, "")


def _figures(one: Scored) -> dict[str, float]:
    """`val/f1_macro` itself for the columns, and its mean, sd, interval and number."""
    found: dict[str, float] = {}
    keys = {key for result in one.results.values() for key in result["figures"]}
    for key in sorted(keys):
        if key.endswith(("_low", "_high")) or not key.startswith(("best/", "test/", "val/")):
            continue
        worth = one.spread(key)
        if worth.n:
            found |= {key: worth.mean, f"mean/{key}": worth.mean, f"n/{key}": worth.n}
        if worth.n > 1:
            found[f"sd/{key}"] = worth.sd
        if math.isfinite(worth.low):
            found |= {f"{key}_low": worth.low, f"{key}_high": worth.high}
    return found
