"""A run, from its start to its final status: what every command that is tracked reports to.

Starting and resuming speak to the store at once, so that a bad address is noticed before any work. Everything later is
a line in a journal. The status changes only in `finish`, which a command calls at its very end.
"""

from __future__ import annotations

import json
import logging
import math
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fishnet.errors import BadInput, Interrupted
from fishnet.files import LockHeld

from .delivery import EVERY, RunDelivery
from .journal import OFFLINE, Journal, Record, finite, offline_records, open_journal
from .names import CHANGED, FINAL, INFINITE, KEY, PARAM_LENGTH, PARENT, PROCESS, as_tags, cut, flat
from .process import Writer, process_tags, this_process, writer_tags
from .runs import tidy
from .store import Store

if TYPE_CHECKING:
    from mlflow.entities import Run

log = logging.getLogger("fishnet.tracking")
Points = dict[tuple[str, int], float]  # (metric, step) → the value that a run has there


class Recorder:
    """What can be reported at any time; every method returns at once and never raises."""

    def append(self, record: Record) -> None:
        """Add a line to the journal."""
        raise NotImplementedError

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """A value of None sets no tag."""
        if tags:
            self.append({"kind": "tags", "values": as_tags(tags)})

    def log_artifacts(self, source: Path | str, path: str = "") -> None:
        """A file or a whole folder, inside the run's own; it has to stay on disk until it is delivered."""
        self.append({"kind": "artifacts", "source": str(Path(source).absolute()), "path": path})

    def describe(self, text: str, page: str) -> None:
        """Fills the run's description, in Markdown, below a link to the artifact `page`; one that a person has written
        is kept."""
        self.append({"kind": "note", "text": text, "page": page})

    def log_text(self, text: str, path: str) -> None:
        """A text as the artifact `path`."""
        self.append({"kind": "text", "text": text, "path": path})

    def log_dict(self, values: Mapping[str, Any], path: str) -> None:
        """Values as a JSON file, the artifact `path`."""
        self.log_text(json.dumps(values, indent=2, ensure_ascii=False, default=str) + "\n", path)

    def log_input(
        self, *, name: str, digest: str, source: str, context: str, profile: Mapping[str, Any] | None = None
    ) -> None:
        """Fills MLflow's Dataset column: which photos, from where, for what (`train` or `test`)."""
        content = {"name": cut(name, 500), "digest": digest[:36], "source": source, "context": context}
        self.append({"kind": "dataset", **content, "profile": dict(profile or {})})


class Reports(Recorder):
    """What a run reports, as lines of a journal; every `log_…` returns at once and never raises.

    Args:
        run_id, run_name, folder: of the run; the folder is where it keeps its files.
        journal: into which the lines go; closed by `finish`.
        params: those that the run has already, when it is resumed.
        points: so are these; what an epoch that is trained again reports anew is left out.
    """

    def __init__(
        self, *, run_id: str, run_name: str, folder: Path, journal: Journal, params: dict[str, str],
        points: Points | None = None,
    ) -> None:  # fmt: skip
        self.run_id, self.run_name, self.folder = run_id, run_name, folder
        self._journal = journal
        self._params = params
        self._points = points or {}
        self._infinite: set[str] = set()
        self._ended = False

    def append(self, record: Record) -> None:
        self._journal.append(record)

    def log_metrics(self, values: Mapping[str, Any], *, step: int = 0) -> None:
        """Infinite values become NaN; the first of each metric is noted as a tag.

        MLflow can neither replace nor delete a point: a resumed run has one a step, the first. A metric that a run has
        once (`best/…`, `test/…`) is reported again where it has changed.
        """
        numbers, infinite = finite(values)
        numbers = {key: value for key, value in numbers.items() if not self._is_known(key, step, value)}
        if not numbers:
            return
        self.append({"kind": "metrics", "time": int(time.time() * 1000), "step": step, "values": numbers})
        new = [key for key in infinite if key not in self._infinite]
        self._infinite.update(new)
        self.set_tags({f"{INFINITE}{key}": f"first at step {step}; shown as NaN" for key in new})

    def _is_known(self, key: str, step: int, value: float) -> bool:
        if (key, step) not in self._points:
            return False
        known = self._points[key, step]
        same = value == known or (math.isnan(value) and math.isnan(known))
        return same or not key.startswith(FINAL)

    def log_params(self, values: Mapping[str, Any]) -> None:
        """MLflow keeps the first value of a parameter for ever; a later one becomes the tag `fishnet.changed.…`."""
        columns = flat(values)
        changed = {k: v for k, v in columns.items() if self._params.get(k, v) != v}
        new = {k: v for k, v in columns.items() if k not in self._params}
        self._params.update(new)
        if new:
            self.append({"kind": "params", "values": new})
        self.set_tags({f"{CHANGED}{key}": cut(value, PARAM_LENGTH) for key, value in changed.items()})

    def finish(self, status: str = "FINISHED", *, patience: float = 15.0, limit: float | None = None) -> str:
        """End the run; called again, nothing happens. What could not be delivered is returned, and a warning.

        Args:
            status: FINISHED, FAILED or KILLED.
            patience: seconds to wait for a store that is away.
            limit: seconds to wait in all, for long uploads: 20 when KILLED, for a scheduler that asked us to end soon
                kills for good; else ten minutes.
        """
        if self._ended:
            return ""
        self._ended = True
        limit = limit or (20.0 if status == "KILLED" else 600.0)
        final = {"kind": "status", "status": status, "time": int(time.time() * 1000)}
        sentence = self._close(final, patience=patience, limit=limit)
        if sentence:
            log.warning("%s.", sentence)
        return sentence

    def _close(self, status: Record, *, patience: float, limit: float) -> str:
        """Append the final status and close the journal."""
        raise NotImplementedError


class RunSession(Reports):
    """A run in a store: a thread delivers what is reported, and the work never waits for the store.

    Args:
        store, run: where the run is, and the run as MLflow knows it.
        folder: where the run keeps its files, and its journal.
        every: seconds between deliveries.
        resumed: whether points that it has are not reported again.
    """

    def __init__(self, *, store: Store, run: Run, folder: Path, every: float = EVERY, resumed: bool = False) -> None:
        journal = open_journal(folder, run.info.run_id, store.uri)
        super().__init__(
            run_id=run.info.run_id,
            run_name=run.info.run_name,
            folder=folder,
            journal=journal,
            params=dict(run.data.params),
            points=points_in_store(store, run) | points_of(journal.waiting(limit=10**9)[0]) if resumed else None,
        )
        self.store = store
        self.experiment_id: str = run.info.experiment_id
        self._delivery = RunDelivery(store.client(), self.run_id, self._journal, every=every)

    def flush(self, *, patience: float = 10.0, limit: float = 120.0) -> bool:
        """Wait until all is delivered; see `Delivery.flush`."""
        return self._delivery.flush(patience=patience, limit=limit)

    def _close(self, status: Record, *, patience: float, limit: float) -> str:
        return self._delivery.close(status, patience=patience, limit=limit)


class OfflineSession(Reports):
    """A run that is only written down, and sent to a store later, by another process.

    The trials of a study are such runs: they start without waiting for a store, and a store that is away costs them
    nothing. A resumed run goes on in the same journal.

    Args:
        folder: where the run keeps its files, and its journal.
        run_id, run_name, tags: of the run; a new id, and `run`, where they are None.
        again: of a run that goes on from an earlier point than its last: points that it has are reported again.
    """

    def __init__(
        self, *, folder: Path, run_id: str | None = None, run_name: str | None = None, tags: Mapping[str, Any],
        again: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(
            run_id=run_id or uuid.uuid4().hex,
            run_name=run_name or "run",
            folder=folder,
            journal=Journal(folder / OFFLINE),
            params={k: v for record in offline_records(folder, "params") for k, v in record["values"].items()},
            points=points_of(offline_records(folder, "metrics")) if run_id and not again else None,
        )
        self.set_tags(writer_tags(tags))

    def _close(self, status: Record, *, patience: float, limit: float) -> str:
        self._journal.append(status)
        self._journal.close()
        return ""


# ---- start and end


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
    """A new run, RUNNING, marked with the process that writes it.

    The experiment is made where it is missing. `run_name` gets a number behind it where a run has the name already, and
    is MLflow's choice if None. `parent` is the id of the run below which the new one is nested.
    """
    experiment_id = store.patiently(lambda: store.experiment(experiment))
    client, key = store.client(), uuid.uuid4().hex
    name = store.patiently(lambda: free_name(store, experiment_id, run_name)) if run_name else None
    labels = as_tags({**writer_tags(tags or {}), PARENT: parent, KEY: key})

    def made() -> Run:
        """The run; a server that failed may have made it all the same, and then it is found by its key."""
        known = client.search_runs([experiment_id], f"tags.`{KEY}` = '{key}'", max_results=1) if tried else []
        tried.append(True)
        return known[0] if known else client.create_run(experiment_id, tags=labels, run_name=name)

    tried: list[bool] = []
    run = store.patiently(made)
    if name is not None:
        same = store.patiently(lambda: client.search_runs([experiment_id], f"attributes.run_name = '{name}'"))
        if len(same) > 1:  # another process has chosen the same free name at the same moment
            new, run_id = f"{name}-{run.info.run_id[:6]}", run.info.run_id
            store.patiently(lambda: client.update_run(run_id, name=new))
            run = store.patiently(lambda: client.get_run(run_id))
    return RunSession(store=store, run=run, folder=Path(folder), every=every)


def points_of(records: Iterable[Record]) -> Points:
    """The metrics among the records."""
    return {
        (key, record["step"]): float(value)
        for record in records
        if record["kind"] == "metrics"
        for key, value in record["values"].items()
    }


def points_in_store(store: Store, run: Run) -> Points:
    """All metrics of a run that the store has."""
    client = store.client()
    histories = (client.get_metric_history(run.info.run_id, key) for key in run.data.metrics)
    return {(point.key, point.step): point.value for history in histories for point in history}


def resume_run(
    store: Store, run_id: str, *, folder: Path, tags: Mapping[str, Any] | None = None, every: float = EVERY,
    again: bool = False,
) -> RunSession:  # fmt: skip
    """The same run again: RUNNING, and what an earlier process left in `folder` is delivered with the rest.

    `again`: it goes on from an earlier point than its last, and points that it has are reported again.
    """
    from mlflow.exceptions import MlflowException

    client = store.client()
    try:
        run = store.patiently(lambda: client.get_run(run_id))
    except MlflowException as error:
        raise BadInput(f"There is no run {run_id} in {store.uri}: `fishnet compare` lists them.") from error
    writer = Writer.from_tag(run.data.tags.get(PROCESS, ""))
    if run.info.status == "RUNNING" and writer and writer.alive() and writer != this_process():
        raise BadInput(f"Run {run_id} is still written by process {writer.pid}: wait for it, or end it first.")

    def marked() -> None:
        for key, value in as_tags(process_tags() | dict(tags or {})).items():
            client.set_tag(run_id, key, value)
        client.update_run(run_id, status="RUNNING")

    store.patiently(marked)
    try:
        session = RunSession(store=store, run=run, folder=Path(folder), every=every, resumed=not again)
    except LockHeld as error:
        raise BadInput(f"Another process is delivering the reports of run {run_id}: try again.") from error
    session._journal.append({"kind": "status", "status": "RUNNING"})  # after a final status that was not delivered
    return session


def free_name(store: Store, experiment_id: str, name: str) -> str:
    """The name, or with `-2`, `-3`, … behind it: two runs of one name cannot be told apart in the UI."""
    name = re.sub(r"['\"`%\\]", "", name)[:200] or "run"
    alike = store.client().search_runs([experiment_id], f"attributes.run_name LIKE '{name}%'", max_results=1000)
    taken = {run.info.run_name for run in alike}
    number = 2
    candidate = name
    while candidate in taken:
        candidate = f"{name}-{number}"
        number += 1
    return candidate


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
            for sentence in session.store.patiently(lambda: tidy(session.store, outputs)):
                log.info(sentence)
        yield session
    except BaseException as raised:
        error = raised
        raise
    finally:
        if session is not None:
            session.finish(final_status(error))
