"""One run, from its creation to its last word: what every verb that is tracked holds in its hand.

Creating and resuming speak to the store at once, so that a bad address is found before any work. Everything later is
a line in the journal. The status changes only in `finish`, which a command calls at its very end.
"""

from __future__ import annotations

import getpass
import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fishnet.errors import BadInput, Interrupted

from . import names
from .journal import Journal, open_journal
from .names import PARAM_LENGTH, as_tags, cut, finite, flat
from .outbox import EVERY, Outbox
from .process import Writer, this_process
from .stale import tidy
from .store import Store

if TYPE_CHECKING:
    from mlflow.entities import Run

log = logging.getLogger("fishnet.tracking")


class Reports:
    """What a run says of itself, as lines of a journal; every `log_…` returns at once and never raises."""

    def __init__(self, *, run_id: str, run_name: str, folder: Path, journal: Journal, params: dict[str, str]) -> None:
        self.run_id, self.run_name, self.folder = run_id, run_name, folder
        self._journal = journal
        self._params = params
        self._infinite: set[str] = set()
        self._ended = False

    def log_metrics(self, values: Mapping[str, Any], *, step: int = 0) -> None:
        numbers, infinite = finite(values)
        if not numbers:
            return
        self._journal.append({"kind": "metrics", "time": _now(), "step": step, "values": numbers})
        new = [key for key in infinite if key not in self._infinite]
        if new:
            self._infinite.update(new)
            self.set_tags({f"{names.INFINITE}{key}": f"first at step {step}; shown as NaN" for key in new})

    def log_params(self, values: Mapping[str, Any]) -> None:
        """MLflow keeps the first value of a parameter for ever; a later one is told as the tag `fishnet.changed.…`."""
        columns = flat(values)
        changed = {k: v for k, v in columns.items() if self._params.get(k, v) != v}
        new = {k: v for k, v in columns.items() if k not in self._params}
        self._params.update(new)
        if new:
            self._journal.append({"kind": "params", "values": new})
        self.set_tags({f"{names.CHANGED}{key}": cut(value, PARAM_LENGTH) for key, value in changed.items()})

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        if tags:
            self._journal.append({"kind": "tags", "values": as_tags(tags)})

    def log_artifacts(self, source: Path | str, path: str = "") -> None:
        """A file or a whole folder; it has to stay on disk until it is delivered."""
        self._journal.append({"kind": "artifacts", "source": str(Path(source).absolute()), "path": path})

    def log_text(self, text: str, path: str) -> None:
        self._journal.append({"kind": "text", "text": text, "path": path})

    def log_dict(self, values: Mapping[str, Any], path: str) -> None:
        self.log_text(json.dumps(values, indent=2, ensure_ascii=False, default=str) + "\n", path)

    def log_input(
        self, *, name: str, digest: str, source: str, context: str, profile: Mapping[str, Any] | None = None
    ) -> None:
        """Fills MLflow's Dataset column: which photos, from where, for what (`train` or `test`)."""
        self._journal.append(
            {
                "kind": "dataset",
                "name": cut(name, 500),
                "digest": digest[:36],
                "source": source,
                "context": context,
                "profile": dict(profile or {}),
            }
        )

    def say_last(self, status: str) -> None:
        self._journal.append({"kind": "status", "status": status, "time": _now()})

    def finish(self, status: str = "FINISHED", *, patience: float = 15.0, limit: float | None = None) -> str:
        """The last word; a sentence when something could not be delivered."""
        raise NotImplementedError


class RunSession(Reports):
    """A run in a store: a thread delivers what is reported, and the work never waits for the store."""

    def __init__(self, *, store: Store, run: Run, folder: Path, every: float = EVERY) -> None:
        super().__init__(
            run_id=run.info.run_id,
            run_name=run.info.run_name,
            folder=folder,
            journal=open_journal(folder, run.info.run_id, store.uri),
            params=dict(run.data.params),
        )
        self.store = store
        self.experiment_id: str = run.info.experiment_id
        self._outbox = Outbox(store.client(), self.run_id, self._journal, every=every)

    def flush(self, *, patience: float = 10.0, limit: float = 120.0) -> bool:
        return self._outbox.flush(patience=patience, limit=limit)

    def finish(self, status: str = "FINISHED", *, patience: float = 15.0, limit: float | None = None) -> str:
        """FINISHED, FAILED or KILLED. What could not be delivered is said once, in a warning, and returned.

        `patience` is for a store that is away, `limit` for long uploads: 20 s when KILLED, for a scheduler that
        asked us to end soon kills for good; else ten minutes.
        """
        if self._ended:
            return ""
        self._ended = True
        limit = limit or (20.0 if status == "KILLED" else 600.0)
        last_word = {"kind": "status", "status": status, "time": _now()}
        sentence = self._outbox.close(last_word, patience=patience, limit=limit)
        if sentence:
            log.warning("%s.", sentence)
        return sentence


def start_run(
    store: Store,
    *,
    experiment: str,
    folder: Path,
    run_name: str | None = None,
    tags: Mapping[str, Any] | None = None,
    parent: str | None = None,
    every: float = EVERY,
) -> RunSession:
    """A new run, RUNNING, marked with the process that writes it."""
    experiment_id = store.experiment(experiment)
    client = store.client()
    name = free_name(store, experiment_id, run_name) if run_name else None
    all_tags = {**standing_tags(tags or {}), **({names.PARENT: parent} if parent else {})}
    run = client.create_run(experiment_id, tags=as_tags(all_tags), run_name=name)
    if name is not None:
        _settle_name(store, run)
    return RunSession(store=store, run=run, folder=Path(folder), every=every)


def resume_run(
    store: Store, run_id: str, *, folder: Path, tags: Mapping[str, Any] | None = None, every: float = EVERY
) -> RunSession:
    """The same run again: RUNNING, and what an earlier process left in `folder` is delivered with the rest."""
    from filelock import Timeout
    from mlflow.exceptions import MlflowException

    client = store.client()
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        raise BadInput(f"There is no run {run_id} in {store.uri}: `fishnet compare` lists them.") from error
    writer = Writer.from_tag(run.data.tags.get(names.PROCESS, ""))
    if run.info.status == "RUNNING" and writer and writer.alive() and writer != this_process():
        raise BadInput(f"Run {run_id} is still written by process {writer.pid}: wait for it, or end it first.")
    for key, value in as_tags(_process_tags() | dict(tags or {})).items():
        client.set_tag(run_id, key, value)
    client.update_run(run_id, status="RUNNING")
    try:
        session = RunSession(store=store, run=run, folder=Path(folder), every=every)
    except Timeout as error:
        raise BadInput(f"Another process is delivering the reports of run {run_id}: try again.") from error
    session._journal.append({"kind": "status", "status": "RUNNING"})  # after an older word that was not delivered
    return session


Session = TypeVar("Session", bound="Reports | None")


def final_status(error: BaseException | None) -> str:
    """The status of a run that `error` has ended: FINISHED without one, KILLED by a signal or Ctrl-C, else FAILED."""
    if error is None:
        return "FINISHED"
    return "KILLED" if isinstance(error, (Interrupted, KeyboardInterrupt)) else "FAILED"


@contextmanager
def open_run(start: Callable[[], Session], *, outputs: Path) -> Iterator[Session]:
    """A run from its start to its final status, which it gets whatever ends the block.

    Runs that dead processes have left in the same store are delivered and closed first, each with a line in the log.

    Args:
        start: starts or resumes the run, e.g. `logger.start` or `lambda: start_run(store, …)`. What it returns is
            yielded: None in those of several processes that do not write.
        outputs: the folder below which runs keep their files, to find what earlier ones could not deliver.
    """
    session = start()
    error: BaseException | None = None
    try:
        if isinstance(session, RunSession):
            for sentence in tidy(session.store, outputs):
                log.info(sentence)
        yield session
    except BaseException as raised:
        error = raised
        raise
    finally:
        if session is not None:
            session.finish(final_status(error))


# ---- names


def free_name(store: Store, experiment_id: str, name: str) -> str:
    """The name, or with `-2`, `-3`, … behind it: two runs of one name cannot be told apart in the UI."""
    name = re.sub(r"['\"`%\\]", "", name)[:200] or "run"
    found = store.client().search_runs([experiment_id], f"attributes.run_name LIKE '{name}%'", max_results=1000)
    taken = {run.info.run_name for run in found}
    number = 2
    candidate = name
    while candidate in taken:
        candidate = f"{name}-{number}"
        number += 1
    return candidate


def _settle_name(store: Store, run: Run) -> None:
    """Two processes may have chosen one free name at the same moment: who sees the other adds a piece of its run id."""
    name, client = run.info.run_name, store.client()
    same = client.search_runs([run.info.experiment_id], f"attributes.run_name = '{name}'")
    if len(same) > 1:
        run.info._run_name = f"{name}-{run.info.run_id[:6]}"
        client.update_run(run.info.run_id, name=run.info._run_name)


# ---- tags


def standing_tags(tags: Mapping[str, Any]) -> dict[str, Any]:
    """Ours, and under MLflow's own names what fills its User and Source columns."""
    standing = {names.USER: _user(), names.SOURCE_TYPE: "LOCAL", **_process_tags(), **tags}
    if names.COMMAND in tags:
        standing[names.SOURCE_NAME] = f"fishnet {tags[names.COMMAND]}"
    if names.GIT_COMMIT in tags:
        standing[names.SOURCE_COMMIT] = tags[names.GIT_COMMIT]
    return standing


def _process_tags() -> dict[str, Any]:
    return {names.PROCESS: this_process().to_tag(), names.HEARTBEAT: int(time.time())}


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def _now() -> int:
    return int(time.time() * 1000)
