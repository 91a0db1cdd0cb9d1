"""A handful of journal lines, told to MLflow in as few calls as it allows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .client import is_refusal, one_line

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from .journal import Journal

METRICS_A_CALL = 1000
OTHERS_A_CALL = 100
Record = dict[str, Any]


def send_waiting(client: MlflowClient, run_id: str, journal: Journal) -> bool:
    """Send one portion of what waits; False when nothing did. Raises when the store is away, and nothing is lost."""
    records, place = journal.waiting()
    if records:
        _send_portion(client, run_id, journal, records)
    if place > journal.sent:
        journal.advance(place)
    return bool(records)


def _send_portion(client: MlflowClient, run_id: str, journal: Journal, records: list[Record]) -> None:
    try:
        send(client, run_id, records)
        return
    except Exception as error:
        if not _at_fault(error):
            raise
    for record in records:
        try:
            send(client, run_id, [record])
        except Exception as error:
            if not _at_fault(error):
                raise
            journal.refuse(record, one_line(error))


def _at_fault(error: Exception) -> bool:
    return is_refusal(error) or isinstance(error, FileNotFoundError)


def send(client: MlflowClient, run_id: str, records: Sequence[Record]) -> None:
    _send_pairs(client, run_id, records)
    _send_metrics(client, run_id, records)
    for record in records:
        if record["kind"] in _ONE_BY_ONE:
            _ONE_BY_ONE[record["kind"]](client, run_id, record)
    statuses = [record for record in records if record["kind"] == "status"]
    if statuses:
        _send_status(client, run_id, statuses[-1])


def _send_metrics(client: MlflowClient, run_id: str, records: Sequence[Record]) -> None:
    from mlflow.entities import Metric

    metrics = [
        Metric(key, value, record["time"], record["step"])
        for record in records
        if record["kind"] == "metrics"
        for key, value in record["values"].items()
    ]
    for part in _parts(metrics, METRICS_A_CALL):
        client.log_batch(run_id, metrics=part)


def _send_pairs(client: MlflowClient, run_id: str, records: Sequence[Record]) -> None:
    from mlflow.entities import Param, RunTag

    params = {k: v for record in records if record["kind"] == "params" for k, v in record["values"].items()}
    tags = {k: v for record in records if record["kind"] == "tags" for k, v in record["values"].items()}
    for part in _parts([Param(k, v) for k, v in params.items()], OTHERS_A_CALL):
        client.log_batch(run_id, params=part)
    for part in _parts([RunTag(k, v) for k, v in tags.items()], OTHERS_A_CALL):
        client.log_batch(run_id, tags=part)


def _send_artifacts(client: MlflowClient, run_id: str, record: Record) -> None:
    source = Path(record["source"])
    if source.is_dir():
        client.log_artifacts(run_id, str(source), record["path"] or None)
    elif source.is_file():
        client.log_artifact(run_id, str(source), record["path"] or None)
    else:
        raise FileNotFoundError(f"{source} is gone")


def _send_text(client: MlflowClient, run_id: str, record: Record) -> None:
    client.log_text(run_id, record["text"], record["path"])


def _send_dataset(client: MlflowClient, run_id: str, record: Record) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(
        name=record["name"],
        digest=record["digest"],
        source_type="local",
        source=json.dumps({"uri": record["source"]}),
        profile=json.dumps(record["profile"]),
    )
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", record["context"])])])


def _send_status(client: MlflowClient, run_id: str, record: Record) -> None:
    if record["status"] == "RUNNING":
        client.update_run(run_id, status="RUNNING")
    else:
        client.set_terminated(run_id, record["status"], record["time"])


_ONE_BY_ONE = {"artifacts": _send_artifacts, "text": _send_text, "dataset": _send_dataset}


def _parts(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
