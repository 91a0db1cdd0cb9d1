"""One machine that delivers to MLflow what waits on disk, so that no training and no study waits for a store.

A thread sends portions of records. When the store is away it says so once and tries again with growing pauses; when
the store is back it sends what has waited. A live run delivers its journal. A study delivers copies of its runs, from
files: each is found again by a key, so that what is sent twice is there once.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fishnet.files import LockHeld, locked

from .journal import Journal, Record, finite, left_journals, offline_records, owner_of, tally
from .links import run_link
from .names import DATA_CONTEXT, HEARTBEAT, KEY, NOTE, OUR_NOTE, PARENT, RUN_NAME, TAG_LENGTH, as_tags, cut
from .process import writer_tags
from .store import client_for, is_refusal, is_same_store, one_line, open_store, shown_place

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger("fishnet.tracking")
Item = TypeVar("Item")

EVERY = 5.0  # seconds between deliveries: at most two calls an epoch, and a UI that follows
HEARTBEAT_EVERY = 60.0
LONGEST_PAUSE = 30.0
PORTION = 500  # records
METRICS_A_CALL = 1000
OTHERS_A_CALL = 100
WITHIN = "within"  # of a record of artifacts: the folder in which they must lie


# ---- records → MLflow's calls


def send_portion(
    client: MlflowClient, run_id: str, records: Sequence[Record], refuse: Callable[[Record, str], None]
) -> None:
    """Send the records together; where one is at fault, one by one, and that one is given to `refuse` with the reason.

    Raises what the store or the network raises when the store is away: then all of them can be sent again.
    """
    try:
        send(client, run_id, records)
        return
    except Exception as error:
        if not is_refusal(error):
            raise
    for record in records:
        try:
            send(client, run_id, [record])
        except Exception as error:
            if not is_refusal(error):
                raise
            refuse(record, one_line(error))


def send(client: MlflowClient, run_id: str, records: Sequence[Record]) -> None:
    """Send the records in as few calls as MLflow allows; of several statuses the last one counts."""
    from mlflow.entities import Metric, Param, RunTag

    columns = {k: v for record in records if record["kind"] == "params" for k, v in record["values"].items()}
    labels = {k: v for record in records if record["kind"] == "tags" for k, v in record["values"].items()}
    values = [
        Metric(key, value, record["time"], record["step"])
        for record in records
        if record["kind"] == "metrics"
        for key, value in record["values"].items()
    ]
    for params in _parts([Param(*column) for column in columns.items()], OTHERS_A_CALL):
        client.log_batch(run_id, params=params)
    for tags in _parts([RunTag(*label) for label in labels.items()], OTHERS_A_CALL):
        client.log_batch(run_id, tags=tags)
    for metrics in _parts(values, METRICS_A_CALL):
        client.log_batch(run_id, metrics=metrics)
    for record in records:
        if record["kind"] == "artifacts":
            _send_artifacts(client, run_id, record)
        elif record["kind"] == "text":
            client.log_text(run_id, record["text"], record["path"])
        elif record["kind"] == "dataset":
            _send_dataset(client, run_id, record)
        elif record["kind"] == "note":
            _send_note(client, run_id, record)
    statuses = [record for record in records if record["kind"] == "status"]
    if statuses and statuses[-1]["status"] == "RUNNING":
        client.update_run(run_id, status="RUNNING")
    elif statuses:
        client.set_terminated(run_id, statuses[-1]["status"], statuses[-1]["time"])


def _parts(items: list[Item], size: int) -> Iterator[list[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def within(records: Iterable[Record], folder: Path) -> list[Record]:
    """Records of a journal with the folder of their run, outside of which no artifact is taken: a journal may be a
    stranger's."""
    return [{**record, WITHIN: str(folder)} if record["kind"] == "artifacts" else record for record in records]


def _send_artifacts(client: MlflowClient, run_id: str, record: Record) -> None:
    source = Path(record["source"])
    if WITHIN in record:
        _check_inside(source, Path(record[WITHIN]))
    if source.is_dir():
        client.log_artifacts(run_id, str(source), record["path"] or None)
    elif source.is_file():
        client.log_artifact(run_id, str(source), record["path"] or None)
    else:
        raise FileNotFoundError(f"{source} is gone")


def _check_inside(source: Path, folder: Path) -> None:
    """Refuse what lies outside of a run's folder, by its path or by a link, and what is neither a file nor a folder."""
    root = folder.resolve()
    for path in (source, *(source.rglob("*") if source.is_dir() else ())):
        if path.exists() and not (path.resolve().is_relative_to(root) and (path.is_file() or path.is_dir())):
            raise FileNotFoundError(f"{path} lies outside of the run's folder, and is not sent")


def _send_note(client: MlflowClient, run_id: str, record: Record) -> None:
    """The description, unless somebody has written another in its place."""
    run = client.get_run(run_id)
    known = run.data.tags.get(NOTE, "")
    if not known or known.endswith(OUR_NOTE):
        link = run_link("", run.info.experiment_id, run_id, f"artifacts/{record['page']}").lstrip("/")
        text = f"[All of it on one page]({link})\n\n{record['text']}"
        client.set_tag(run_id, NOTE, f"{cut(text, TAG_LENGTH - len(OUR_NOTE))}{OUR_NOTE}")


def _send_dataset(client: MlflowClient, run_id: str, record: Record) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(
        name=record["name"],
        digest=record["digest"],
        source_type="local",
        source=json.dumps({"uri": record["source"]}),
        profile=json.dumps(record["profile"]),
    )
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag(DATA_CONTEXT, record["context"])])])


def send_waiting(client: MlflowClient, run_id: str, journal: Journal) -> bool:
    """Send one portion of what waits in a journal; False when nothing did."""
    records, offset = journal.waiting(PORTION)
    if records:
        send_portion(client, run_id, within(records, journal.path.parent.parent), journal.refuse)
    if offset > journal.sent:
        journal.advance(offset)
    return bool(records)


# ---- the thread


class Delivery:
    """Sends in a thread what waits; a subclass says what that is.

    Args:
        goes_on: the end of the warning that the store does not answer: what goes on, and where the reports wait.
        every: seconds between deliveries.
    """

    def __init__(self, *, goes_on: str, every: float = EVERY) -> None:
        self._goes_on, self._every = goes_on, every
        self._change = threading.Condition()
        self._stop = self._hurry = False
        self._pause = 0.0
        self._away_since: float | None = None
        self._thread = threading.Thread(target=self._work, name="fishnet-delivery", daemon=True)

    @property
    def empty(self) -> bool:
        """Whether everything was sent."""
        raise NotImplementedError

    def send(self) -> bool:
        """Send one portion; False when nothing can be sent now. Raises when the store is away, and nothing is lost."""
        raise NotImplementedError

    def store_came_back(self, seconds: float) -> None:
        """Called after the first delivery to a store that was away for so long."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def flush(self, *, patience: float, limit: float) -> bool:
        """Wait until all is delivered: `patience` seconds for a store that is away, `limit` seconds in all."""
        start = time.monotonic()
        with self._change:
            self._hurry, self._pause = True, 0.0
            self._change.notify_all()
            while not self.empty:
                waited = time.monotonic() - start
                most = limit if self._away_since is None else min(patience, limit)
                if waited > most or not self._thread.is_alive():
                    return False
                self._change.wait(0.1)
        return True

    def stop(self) -> bool:
        """End the thread after the portion that it sends; False when that portion does not end within a second."""
        with self._change:
            self._stop = True
            self._change.notify_all()
        self._thread.join(1.0)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while True:
            with self._change:
                self._change.notify_all()  # whoever waits in `flush` looks again
                self._change.wait_for(lambda: self._stop or self._hurry, timeout=self._pause or self._every)
                self._hurry = False
            if self._stop:
                return
            try:
                while self.send() and not self._stop:
                    pass
            except Exception as error:  # whatever the store or the network raises, the work goes on
                self._pause = min(LONGEST_PAUSE, max(1.0, self._pause * 2))
                if self._away_since is None:
                    self._away_since = time.monotonic()
                    log.warning("The run store does not answer (%s): %s.", one_line(error), self._goes_on)
                continue
            if self._away_since is not None:
                seconds = time.monotonic() - self._away_since
                self._away_since, self._pause = None, 0.0
                log.warning("The run store is back after %.0f s; what waited has been delivered.", seconds)
                self.store_came_back(seconds)


class RunDelivery(Delivery):
    """Delivers the journal of a live run, and a sign of life every minute."""

    def __init__(self, client: MlflowClient, run_id: str, journal: Journal, *, every: float = EVERY) -> None:
        super().__init__(goes_on=f"the work goes on, and what it reports waits in {journal.path.parent}", every=every)
        self._client, self._run_id, self._journal = client, run_id, journal
        self._ended = False
        self._last_heartbeat = time.monotonic()
        self.start()

    @property
    def empty(self) -> bool:
        return self._journal.empty

    def send(self) -> bool:
        if send_waiting(self._client, self._run_id, self._journal):
            return True
        if time.monotonic() - self._last_heartbeat >= HEARTBEAT_EVERY:
            self._last_heartbeat = time.monotonic()
            self._journal.touch()
            try:
                self._client.set_tag(self._run_id, HEARTBEAT, str(int(time.time())))
            except Exception as error:
                if not is_refusal(error):  # refused: someone has deleted the run; its reports are put aside
                    raise
        return False

    def store_came_back(self, seconds: float) -> None:
        """Another host may have closed the run in between."""
        with self._change:
            if seconds > HEARTBEAT_EVERY and not self._ended:
                self._journal.append({"kind": "status", "status": "RUNNING"})

    def close(self, status: Record, *, patience: float, limit: float) -> str:
        """Deliver all with the final status, and end; what could not be delivered in one sentence, or nothing."""
        with self._change:
            self._ended = True
            self._journal.append(status)
        self.flush(patience=patience, limit=limit)
        stopped, journal, folder = self.stop(), self._journal, self._journal.path.parent
        parts = []
        if not journal.empty:
            records = journal.waiting(limit=10**9)[0]
            uri = str((owner_of(journal) or {}).get("uri", ""))
            where = f" tracking.uri={uri}" if uri.startswith("http") else ""
            parts.append(f"{tally(records)} wait in {folder}; `fishnet compare deliver=true{where}` sends them")
        if journal.refused:
            parts.append(f"{journal.refused} reports were refused by the store and lie in {folder}")
        if journal.lost:
            parts.append(f"{journal.lost} reports could not be written to the disk and are lost")
        if stopped:
            journal.close()
        return "; ".join(parts)


# ---- runs that are copied from files


@dataclass(frozen=True)
class RunCopy:
    """A run as it stands in files at the moment, for the store.

    Args:
        key: finds the run in its experiment; it never changes.
        name: of the run.
        parent: the run below which it is nested; made first where it is missing.
        status: RUNNING, or the final status.
        started, ended: seconds since 1970; None means now.
        tags, params, metrics: what is sent of it.
        artifacts: files by the folder of the run's artifacts into which they go ("" is the uppermost).
        folder: of an offline run: what its journal holds is sent too. None for a parent without a process of its own.
    """

    key: str
    name: str
    parent: RunCopy | None = field(default=None, compare=False)
    status: str = "RUNNING"
    started: float | None = None
    ended: float | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    artifacts: Sequence[tuple[Path, str]] = ()
    folder: Path | None = None

    def records(self) -> list[Record]:
        """All that is sent, in the order in which it is sent; the status, the final one too, comes last."""
        now = int(time.time() * 1000)
        lines = [] if self.folder is None else [r for r in offline_records(self.folder) if r["kind"] != "status"]
        records = [] if self.folder is None else within(lines, self.folder)
        if self.metrics:
            records.append({"kind": "metrics", "time": now, "step": 0, "values": finite(self.metrics)[0]})
        records.append({"kind": "tags", "values": as_tags({**self.tags, RUN_NAME: self.name})})
        records.append({"kind": "params", "values": dict(self.params)})
        records += [{"kind": "artifacts", "source": str(path), "path": into} for path, into in self.artifacts]
        ended = now if self.ended is None else int(self.ended * 1000)
        return [*records, {"kind": "status", "status": self.status, "time": ended}]


class CopyDelivery(Delivery):
    """Delivers copies of runs; of one run only the newest copy that was put.

    Args:
        uri, home: of the store, which is opened by the first delivery; see `open_store`.
        experiment: the name of the experiment in which the runs are made.
        lock: a lock file: of several processes that copy the same runs, one at a time makes and sends a run.
        goes_on: see `Delivery`.
    """

    def __init__(self, uri: str | None, *, home: Path, experiment: str, lock: Path, goes_on: str) -> None:
        super().__init__(goes_on=goes_on)
        self._uri, self._home, self._experiment, self._lock = uri, home, experiment, lock
        self._client: MlflowClient | None = None
        self._experiment_id = ""
        self._waiting: dict[str, RunCopy] = {}  # by key, in the order in which they are sent
        self.sent: dict[str, RunCopy] = {}
        self._run_ids: dict[str, str] = {}

    @property
    def empty(self) -> bool:
        return not self._waiting

    def put(self, copies: Iterable[RunCopy], *, again: bool = False) -> None:
        """Queue copies, except those that were sent just so; `again`: parents all the same.

        Another process may have sent a parent meanwhile as it knew it, so whoever ends last sends parents again.
        """
        with self._change:
            for copy in copies:
                if self.sent.get(copy.key) != copy or (again and copy.folder is None):
                    self._waiting[copy.key] = copy

    def send(self) -> bool:
        with self._change:
            copy = next(iter(self._waiting.values()), None)
        if copy is None:
            return False
        try:
            with locked(self._lock, timeout=1.0):
                if self._client is None:
                    store = open_store(self._uri, home=self._home)
                    self._experiment_id = store.experiment(self._experiment)
                    self._client = store.client()
                run_id = self._run_id(self._client, copy)
                for portion in _parts(copy.records(), PORTION):
                    send_portion(self._client, run_id, portion, _warn_of_refusal)
        except LockHeld:
            return False
        self.sent[copy.key] = copy
        with self._change:
            if self._waiting.get(copy.key) is copy:
                del self._waiting[copy.key]
        return True

    def _run_id(self, client: MlflowClient, copy: RunCopy) -> str:
        """Of the run with this key, which is made where the experiment has none."""
        if copy.key in self._run_ids:
            return self._run_ids[copy.key]
        parent = None if copy.parent is None else self._run_id(client, copy.parent)
        tags: dict[str, Any] = {} if copy.folder else writer_tags(copy.tags)  # a run with a journal has its own
        tags |= {KEY: copy.key, PARENT: parent}
        known = client.search_runs([self._experiment_id], f"tags.`{KEY}` = '{copy.key}'", max_results=1)
        if known:
            run = known[0]
            send_portion(client, run.info.run_id, [{"kind": "tags", "values": as_tags(tags)}], _warn_of_refusal)
        else:
            started = None if copy.started is None else int(copy.started * 1000)
            run = client.create_run(self._experiment_id, start_time=started, tags=as_tags(tags), run_name=copy.name)
        self._run_ids[copy.key] = run.info.run_id
        return run.info.run_id


def _warn_of_refusal(record: Record, reason: str) -> None:
    log.warning("A report was refused by the run store: %s", reason)


# ---- what ended runs have left


def deliver(root: Path, *, uri: str, home: Path) -> list[str]:
    """Send what ended runs below `root` could not; one sentence a run. Journals of living runs are left to them.

    Args:
        root: the folder below which journals are looked for.
        uri: of the store that the user has asked for; what is meant for another is never sent, whatever a journal says.
        home: the folder that relative addresses are seen from.
    """
    sentences = []
    for journal in left_journals(root):
        owner = owner_of(journal)
        if owner is None or "run_id" not in owner:
            sentences.append(f"{journal.path} names no run; nothing was sent.")
        elif is_same_store(owner.get("uri"), uri, home=home):
            waiting = tally(journal.waiting(limit=10**9)[0])
            try:
                client = client_for(uri)
                while send_waiting(client, str(owner["run_id"]), journal):
                    pass
                sentences.append(f"Run {owner['run_id']}: {waiting} delivered.")
            except Exception as error:
                sentences.append(f"Run {owner['run_id']}: {waiting} still wait ({one_line(error)}).")
        journal.close()
    return sentences


def waiting_for_others(root: Path, *, uri: str | None, home: Path) -> list[str]:
    """What ended runs below `root` have for other stores than the one asked for, and how those are asked for."""
    sentences = []
    for journal in left_journals(root):
        owner = owner_of(journal)
        if owner is not None and not journal.empty and not is_same_store(owner.get("uri"), uri, home=home):
            place = shown_place(str(owner.get("uri")), home=home)
            sentences.append(
                f"Run {owner.get('run_id')}: {tally(journal.waiting(limit=10**9)[0])} wait for {place}, as "
                f"{journal.path} says; `fishnet compare deliver=true tracking.uri={place}` sends them there."
            )
        journal.close()
    return sentences
