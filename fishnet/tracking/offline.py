"""A run that is only written down, and sent to a store later, by another process.

The trials of a study are such runs: they start without waiting for a store, a store that is away costs them nothing,
and the study, whose own files are the authority, mirrors them into MLflow as they end.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .client import is_refusal, one_line
from .journal import Journal, read_records
from .names import KEY, PARENT, RUN_NAME, as_tags, finite
from .sending import send
from .session import Reports, standing_tags
from .store import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

log = logging.getLogger("fishnet.tracking")

JOURNAL = Path("offline") / "journal.jsonl"
PORTION = 500


class OfflineSession(Reports):
    """A resumed run goes on in the same journal."""

    def __init__(
        self, *, folder: Path, run_id: str | None = None, run_name: str | None = None, tags: Mapping[str, Any]
    ) -> None:
        super().__init__(
            run_id=run_id or uuid.uuid4().hex,
            run_name=run_name or "run",
            folder=Path(folder),
            journal=Journal(Path(folder) / JOURNAL),
            params={k: v for record in records_of(Path(folder), "params") for k, v in record["values"].items()},
        )
        self.set_tags(standing_tags(tags))

    def finish(self, status: str = "FINISHED", *, patience: float = 15.0, limit: float | None = None) -> str:
        if not self._ended:
            self._ended = True
            self.say_last(status)
            self._journal.close()
        return ""


def records_of(folder: Path, *kinds: str) -> Iterator[dict[str, Any]]:
    """What a run in this folder has written down, whether it still goes on or not."""
    path = folder / JOURNAL
    for record in read_records(path) if path.is_file() else ():
        if not kinds or record["kind"] in kinds:
            yield record


def send_offline(
    store: Store,
    *,
    experiment_id: str,
    key: str,
    name: str,
    parent: str,
    status: str,
    started: float,
    ended: float,
    folder: Path | None = None,
    tags: Mapping[str, Any] | None = None,
    artifacts: Mapping[str, Path] | None = None,
) -> str:
    """The run that is written down in `folder`, in the store; sent twice it is still one run, found by its `key`."""
    client = store.client()
    run_id = _found(client, experiment_id, key) or _made(client, experiment_id, key, name, parent, int(started * 1000))
    records = list(records_of(folder)) if folder is not None else []
    records = [record for record in records if record["kind"] != "status"]
    records.append({"kind": "tags", "values": as_tags({**(tags or {}), RUN_NAME: name})})
    records += [{"kind": "artifacts", "source": str(path), "path": at} for at, path in (artifacts or {}).items()]
    for start in range(0, len(records), PORTION):
        _send(client, run_id, records[start : start + PORTION])
    client.set_terminated(run_id, status, int(ended * 1000))
    return run_id


def _found(client: MlflowClient, experiment_id: str, key: str) -> str | None:
    runs: list[Run] = list(client.search_runs([experiment_id], f"tags.`{KEY}` = '{key}'", max_results=1))
    return runs[0].info.run_id if runs else None


def _made(client: MlflowClient, experiment_id: str, key: str, name: str, parent: str, started: int) -> str:
    run = client.create_run(experiment_id, start_time=started, tags={KEY: key, PARENT: parent}, run_name=name)
    return run.info.run_id


def _send(client: MlflowClient, run_id: str, records: list[dict[str, Any]]) -> None:
    """Together; where a record is at fault, one by one, and that one is left out."""
    try:
        send(client, run_id, records)
        return
    except Exception as error:
        if not (is_refusal(error) or isinstance(error, FileNotFoundError)):
            raise
    for record in records:
        try:
            send(client, run_id, [record])
        except Exception as error:
            if not (is_refusal(error) or isinstance(error, FileNotFoundError)):
                raise
            log.warning("A report was refused by the run store: %s", one_line(error))


def start_nested(
    store: Store, *, experiment_id: str, key: str, name: str, parent: str | None, tags: Mapping[str, Any]
) -> str:
    """A parent without a process of its own: RUNNING until `tell_parent` says otherwise, and found by its key."""
    client = store.client()
    run_id = _found(client, experiment_id, key)
    own = as_tags({**standing_tags(tags), KEY: key, **({PARENT: parent} if parent else {})})
    if run_id is not None:
        _send(client, run_id, [{"kind": "tags", "values": own}, {"kind": "status", "status": "RUNNING"}])
        return run_id
    return client.create_run(experiment_id, tags=own, run_name=name).info.run_id


def tell_parent(
    store: Store,
    run_id: str,
    *,
    figures: Mapping[str, float],
    tags: Mapping[str, Any],
    params: Mapping[str, Any],
    files: Sequence[Path],
    status: str,
    at: float,
) -> None:
    moment = int(at * 1000)
    numbers, _ = finite(figures)
    records: list[dict[str, Any]] = [{"kind": "metrics", "time": moment, "step": 0, "values": numbers}]
    records += [{"kind": "tags", "values": as_tags(tags)}] if tags else []
    records += [{"kind": "params", "values": dict(params)}] if params else []
    records += [{"kind": "artifacts", "source": str(path), "path": ""} for path in files]
    records.append({"kind": "status", "status": status, "time": moment})
    _send(store.client(), run_id, records)
