"""`fishnet compare`: runs side by side in the terminal, because MLflow's own table shows no metric until asked to."""

from __future__ import annotations

import csv as csv_format
import math
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from fishnet.cells import defused_row
from fishnet.errors import BadInput
from fishnet.files import replacing
from fishnet.measure.metrics import direction
from fishnet.text import counted, nearest

from .layout import Row, fitted
from .links import PORT, charts_link, compare_link, run_link, runs_link
from .names import BEST, COUNT, MEAN, OWN, PARENT, SD, TEST
from .runs import SHORTEST, search
from .store import Store, open_store

if TYPE_CHECKING:
    from mlflow.entities import Run

STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
MOST_SEARCHED = 5000
MOST_COMPARED = 20  # runs on MLflow's page that compares them


def compare(
    *,
    uri: str | None,
    home: Path,
    experiment: str | None = None,
    status: str | None = None,
    parent: str | None = None,
    runs: Sequence[str] | None = None,
    last: int = 20,
    sort: str = "start",
    csv: str | None = None,
    overwrite: bool = False,
    port: int = PORT,
    console: Console | None = None,
) -> list[Row]:
    """Print a table of the runs (see `find_rows`) with links into the UI at `port`, and return its rows.

    `csv` names a file for every metric, parameter and tag of these runs, which may exist if `overwrite` is given.
    """
    target = free_file("csv", csv, overwrite)
    console = console or Console(width=None if os.isatty(1) else 160)
    store = open_store(uri, home=home, create=False)
    rows = store.patiently(
        lambda: find_rows(store, experiment=experiment, status=status, parent=parent, runs=runs, last=last, sort=sort)
    )
    if not rows:
        console.print("No run fits.")
        return rows
    base = store.ui_address(port)
    table, hidden = fitted(rows, base, console)
    console.print(table)
    if hidden:
        more = "1 more parameter differs" if hidden == 1 else f"{hidden} more parameters differ"
        console.print(f"{more}; a wider window shows some, csv=runs.csv all.", soft_wrap=True, highlight=False)
    for line in link_lines(rows, base, embedded=not store.is_server):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    if target is not None:
        write_csv(rows, target)
        console.print(f"{counted(len(rows), 'run')} written to {target}", soft_wrap=True, highlight=False)
    return rows


def link_lines(rows: Sequence[Row], base: str, *, embedded: bool) -> list[str]:
    """Where these runs are in the UI at `base`."""
    experiments = list(dict.fromkeys(row.experiment_id for row in rows))
    parents = {row.parent for row in rows}
    runs = [row for row in rows if row.run_id not in parents][:MOST_COMPARED]
    newest = max(rows, key=lambda row: row.started)
    lines = ["These open while `fishnet ui` runs:"] if embedded else []
    for experiment_id in experiments:
        lines += [f"  runs     {runs_link(base, experiment_id)}", f"  charts   {charts_link(base, experiment_id)}"]
    if len(runs) > 1:
        lines.append(f"  compare  {compare_link(base, experiments, [row.run_id for row in runs])}")
    return [*lines, f"  newest   {run_link(base, newest.experiment_id, newest.run_id)}"]


# ---- which runs


def find_rows(
    store: Store,
    *,
    experiment: str | None = None,
    status: str | None = None,
    parent: str | None = None,
    runs: Sequence[str] | None = None,
    last: int = 20,
    sort: str = "start",
) -> list[Row]:
    """The runs that fit, as a tree: each child below its parent, which is there even when it does not fit.

    Args:
        store, experiment, status: where the runs are, in which experiment, and in which status.
        parent: the name, the id, or the beginning of the id of a run: only this one and its children.
        runs: names, ids, or beginnings of ids: only these.
        last: at most so many, not counting parents that do not fit.
        sort: see `sorted_rows`.
    """
    if last < 1:
        raise BadInput(f"last={last}: a table shows at least one run.")
    if status is not None and status.upper() not in STATUSES:
        raise BadInput(f"status={status}: choose from {', '.join(STATUSES).lower()}.")
    client = store.client()
    names = {known.experiment_id: known.name for known in client.search_experiments(max_results=1000)}
    if experiment is not None:
        if experiment not in names.values():
            raise BadInput(
                f"experiment={experiment}: there is none of that name; {nearest(experiment, sorted(names.values()))}"
            )
        names = {key: name for key, name in names.items() if name == experiment}
    condition = "" if status is None else f"attributes.status = '{status.upper()}'"
    found = search(client, list(names), condition, MOST_SEARCHED if parent or runs or sort != "start" else last)
    rows = [_row(run, names) for run in found]
    if parent is not None:
        chosen = _parent_id(rows, parent)
        rows = [row for row in rows if chosen in (row.run_id, row.parent)]
    if runs:
        rows = [row for name in runs for row in _named(rows, name)]
        rows = list({row.run_id: row for row in rows}.values())
        last = max(last, len(rows))
    rows = sorted_rows(rows, sort)[:last]
    missing = {row.parent for row in rows if row.parent} - {row.run_id for row in rows}
    if missing:
        quoted = ", ".join(f"'{run_id}'" for run_id in sorted(missing))
        rows += [_row(run, names) for run in search(client, list(names), f"attributes.run_id IN ({quoted})")]
    return as_tree(rows)


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
        tags={key: value for key, value in run.data.tags.items() if key.startswith(OWN)},
    )


def _parent_id(rows: Sequence[Row], parent: str) -> str:
    """By id, by the beginning of an id, or by name (the newest of that name)."""
    parents = {row.parent for row in rows if row.parent}
    for row in rows:
        if parent in (row.run_id, row.name) or (len(parent) >= SHORTEST and row.run_id.startswith(parent)):
            return row.run_id
    if parent in parents:
        return parent
    known = [row.name for row in rows if row.run_id in parents]
    raise BadInput(f"parent={parent}: no run has that id or name; {nearest(parent, known)}")


def _named(rows: Sequence[Row], name: str) -> list[Row]:
    """The runs of that name, or the one whose id begins so."""
    named = [row for row in rows if name in (row.name, row.run_id)]
    named = named or [row for row in rows if len(name) >= SHORTEST and row.run_id.startswith(name)]
    if not named:
        raise BadInput(f"runs: none has the name or id {name}; {nearest(name, [row.name for row in rows])}")
    return named


# ---- in what order


def sorted_rows(rows: list[Row], sort: str) -> list[Row]:
    """By start (the newest first), by duration (the longest first), or by a metric (the best first)."""
    if sort in ("start", "duration"):
        return sorted(rows, key=attrgetter("started" if sort == "start" else "seconds"), reverse=True)
    metrics = sorted({key for row in rows for key in row.metrics})
    if rows and sort not in metrics:
        own = [key for key in metrics if not key.startswith((MEAN, SD, COUNT)) and "_class/" not in key]
        choices = nearest(sort, ["start", "duration", *own])
        if choices.startswith("no name"):  # then those that are wanted most, of which these runs have some
            final = [key for key in own if key.startswith((BEST, TEST))]
            choices = f"choose from start, duration, {', '.join((final or own)[:6])} …"
        raise BadInput(f"sort={sort}: {choices}")
    sign = 1 if direction(sort) == "min" else -1
    values = {row.run_id: sign * row.metrics.get(sort, math.nan) for row in rows}
    return sorted(rows, key=lambda row: (math.isnan(values[row.run_id]), values[row.run_id]))  # those without it last


def as_tree(rows: list[Row]) -> list[Row]:
    """Children below their parent, in the order given; a parent stands where its first child would."""
    by_id = {row.run_id: row for row in rows}
    children: dict[str | None, list[Row]] = defaultdict(list)
    for row in rows:
        children[row.parent].append(row)
    placed: dict[str, Row] = {}
    for row in rows:
        while row.parent in by_id:
            row = by_id[row.parent]
        waiting = [] if row.run_id in placed else [(row, 0)]
        while waiting:
            below, depth = waiting.pop()
            below.depth = depth
            placed[below.run_id] = below
            waiting += [(child, depth + 1) for child in reversed(children[below.run_id])]
    return list(placed.values())


# ---- the CSV


def free_file(key: str, name: str | None, overwrite: bool) -> Path | None:
    """The file to write, which may exist if `overwrite` is given; None where none is asked for."""
    if name is None:
        return None
    target = Path(name).expanduser().absolute()
    if target.is_dir() or not target.parent.is_dir():
        raise BadInput(f"{key}={name}: give the name of a file in a folder that exists.")
    if target.exists() and not overwrite:
        raise BadInput(f"{key}={name} exists: choose another name, or say overwrite=true.")
    return target


def write_csv(rows: Sequence[Row], target: Path) -> None:
    """Every metric, parameter and tag of fishnet, whole or not at all."""
    own = ["run_id", "name", "experiment", "status", "started", "seconds", "parent"]
    kinds = ("metrics", "params", "tags")
    columns = [(kind, key) for kind in kinds for key in sorted({key for row in rows for key in getattr(row, kind)})]
    with replacing(target) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv_format.writer(file)
        writer.writerow(defused_row([*own, *(key for _, key in columns)]))
        for row in rows:
            line = [row.run_id, row.name, row.experiment, row.status, row.started.isoformat(), row.seconds, row.parent]
            writer.writerow(defused_row([*line, *(getattr(row, kind).get(key) for kind, key in columns)]))
