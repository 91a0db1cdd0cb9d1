"""Runs as rows: which ones, in what order, and what about them differs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from fishnet.errors import BadInput
from fishnet.text import nearest

from .names import PARENT
from .store import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
MOST = 5000


@dataclass
class Row:
    """One run, with plain values only."""

    run_id: str
    experiment_id: str
    experiment: str
    name: str
    status: str
    started: datetime
    seconds: float
    parent: str | None
    metrics: dict[str, float]
    params: dict[str, str]
    tags: dict[str, str] = field(default_factory=dict)
    depth: int = 0


def find_rows(
    store: Store,
    *,
    experiment: str | None = None,
    status: str | None = None,
    parent: str | None = None,
    last: int = 20,
    sort: str = "start",
) -> list[Row]:
    """The last runs that fit, as a tree: each child below its parent, which is shown even when it does not fit."""
    if last < 1:
        raise BadInput(f"last={last}: a table shows at least one run.")
    client = store.client()
    names = _experiments(client, experiment)
    runs = _search(client, names, _condition(status), MOST if parent or sort != "start" else last)
    rows = [_row(run, names) for run in runs]
    if parent is not None:
        chosen = _chosen_parent(client, names, parent, rows)
        rows = [row for row in rows if chosen in (row.run_id, row.parent)]
    rows = sorted_rows(rows, sort)[:last]
    return as_tree(_with_parents(client, names, rows))


def _experiments(client: MlflowClient, wanted: str | None) -> dict[str, str]:
    names = {found.experiment_id: found.name for found in client.search_experiments(max_results=1000)}
    if wanted is None:
        return names
    chosen = {key: name for key, name in names.items() if name == wanted}
    if not chosen:
        raise BadInput(f"experiment={wanted}: there is none of that name; {nearest(wanted, sorted(names.values()))}")
    return chosen


def _condition(status: str | None) -> str:
    if status is None:
        return ""
    if status.upper() not in STATUSES:
        raise BadInput(f"status={status}: choose from {', '.join(STATUSES).lower()}.")
    return f"attributes.status = '{status.upper()}'"


def _search(client: MlflowClient, names: dict[str, str], condition: str, most: int) -> list[Run]:
    found: list[Run] = []
    token = None
    while len(found) < most:
        page = client.search_runs(
            list(names),
            condition,
            max_results=min(1000, most - len(found)),
            order_by=["attributes.start_time DESC"],
            page_token=token,
        )
        found.extend(page)
        token = page.token
        if not token:
            break
    return found


def _row(run: Run, names: dict[str, str]) -> Row:
    info = run.info
    end = info.end_time if info.status != "RUNNING" and info.end_time else time.time() * 1000
    return Row(
        run_id=info.run_id,
        experiment_id=info.experiment_id,
        experiment=names.get(info.experiment_id, info.experiment_id),
        name=info.run_name or info.run_id[:8],
        status=info.status,
        started=datetime.fromtimestamp(info.start_time / 1000),
        seconds=max(0.0, (end - info.start_time) / 1000),
        parent=run.data.tags.get(PARENT),
        metrics=dict(run.data.metrics),
        params=dict(run.data.params),
        tags={key: value for key, value in run.data.tags.items() if key.startswith("fishnet.")},
    )


def _chosen_parent(client: MlflowClient, names: dict[str, str], wanted: str, rows: Sequence[Row]) -> str:
    """By id, by the beginning of an id, or by name (the newest of that name)."""
    parents = {row.parent for row in rows if row.parent}
    for row in rows:
        if wanted in (row.run_id, row.name) or (len(wanted) >= 6 and row.run_id.startswith(wanted)):
            return row.run_id
    if wanted in parents:
        return wanted
    known = [row.name for row in rows if row.run_id in parents]
    raise BadInput(f"parent={wanted}: no run has that id or name; {nearest(wanted, known)}")


def _with_parents(client: MlflowClient, names: dict[str, str], rows: list[Row]) -> list[Row]:
    missing = {row.parent for row in rows if row.parent} - {row.run_id for row in rows}
    if not missing:
        return rows
    quoted = ", ".join(f"'{run_id}'" for run_id in sorted(filter(None, missing)))
    found = client.search_runs(list(names), f"attributes.run_id IN ({quoted})", max_results=1000)
    return rows + [_row(run, names) for run in found]


# ---- order


def sorted_rows(rows: list[Row], sort: str) -> list[Row]:
    """Newest first; by a figure the best first: the highest, or the lowest of a loss or an error."""
    if sort == "start":
        return sorted(rows, key=lambda row: row.started, reverse=True)
    if sort == "duration":
        return sorted(rows, key=lambda row: row.seconds, reverse=True)
    metrics = sorted({key for row in rows for key in row.metrics})
    if rows and sort not in metrics:
        raise BadInput(f"sort={sort}: {_sortings(sort, metrics)}")
    low_first = "loss" in sort or "error" in sort
    sign = 1 if low_first else -1
    known = [row for row in rows if row.metrics.get(sort) == row.metrics.get(sort, 0.0) and sort in row.metrics]
    rest = [row for row in rows if row not in known]
    return sorted(known, key=lambda row: sign * row.metrics[sort]) + rest


def _sortings(wanted: str, metrics: list[str]) -> str:
    """The nearest ones; where none is near, those that are asked for most, of which these runs have some."""
    own = [key for key in metrics if not key.startswith(("mean/", "sd/", "n/")) and "_class/" not in key]
    said = nearest(wanted, ["start", "duration", *own])
    if not said.startswith("no name"):
        return said
    final = [key for key in own if key.startswith(("best/", "test/"))]
    return f"choose from start, duration, {', '.join((final or own)[:6])} …"


def as_tree(rows: list[Row]) -> list[Row]:
    """Children below their parent, in the order given; a parent stands where its first child would."""
    by_id = {row.run_id: row for row in rows}
    placed: list[Row] = []
    seen: set[str] = set()
    for row in rows:
        root = row
        while root.parent in by_id:
            root = by_id[root.parent]
        if root.run_id not in seen:
            _place(root, rows, placed, seen, 0)
    return placed


def _place(row: Row, rows: list[Row], placed: list[Row], seen: set[str], depth: int) -> None:
    row.depth = depth
    placed.append(row)
    seen.add(row.run_id)
    for child in rows:
        if child.parent == row.run_id and child.run_id not in seen:
            _place(child, rows, placed, seen, depth + 1)


def differing(rows: Sequence[Row]) -> list[str]:
    """The parameters that tell these runs apart; runs without any (parents, those that failed early) do not count."""
    runs = [row for row in rows if row.params]
    keys = sorted({key for row in runs for key in row.params})
    return [key for key in keys if len({row.params.get(key) for row in runs}) > 1]
