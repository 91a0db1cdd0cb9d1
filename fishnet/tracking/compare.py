"""`fishnet compare`: runs side by side in the terminal, because MLflow's own table shows no metric until asked to."""

from __future__ import annotations

import csv as csv_format
import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from fishnet.errors import BadInput
from fishnet.files import replacing

from .layout import fitted
from .links import PORT, base_of, charts_link, compare_link, run_link, runs_link
from .store import open_store
from .table import Row, find_rows

MOST_COMPARED = 20


def compare(
    *,
    uri: str | None,
    home: Path,
    experiment: str | None = None,
    status: str | None = None,
    parent: str | None = None,
    last: int = 20,
    sort: str = "start",
    csv: str | None = None,
    overwrite: bool = False,
    port: int = PORT,
    console: Console | None = None,
) -> list[Row]:
    """Print the table and the links, write the CSV if one is asked for, and return the rows."""
    target = _csv_target(csv, overwrite)
    console = console or Console(width=None if os.isatty(1) else 160)
    store = open_store(uri, home=home, create=False)
    rows = find_rows(store, experiment=experiment, status=status, parent=parent, last=last, sort=sort)
    if not rows:
        console.print("No run fits.")
        return rows
    base = base_of(store, port)
    table, hidden = fitted(rows, base, console)
    console.print(table)
    if hidden:
        more = "1 more parameter differs" if hidden == 1 else f"{hidden} more parameters differ"
        console.print(f"{more}; a wider window shows some, csv=runs.csv all.", soft_wrap=True, highlight=False)
    for line in link_lines(rows, base, embedded=not store.is_server):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    if target is not None:
        write_csv(rows, target)
        console.print(f"{len(rows)} runs written to {target}", soft_wrap=True, highlight=False)
    return rows


# ---- links


def link_lines(rows: Sequence[Row], base: str, *, embedded: bool) -> list[str]:
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


# ---- the CSV


def _csv_target(csv: str | None, overwrite: bool) -> Path | None:
    if csv is None:
        return None
    target = Path(csv).expanduser().absolute()
    if target.is_dir() or not target.parent.is_dir():
        raise BadInput(f"csv={csv}: give the name of a file in a folder that exists.")
    if target.exists() and not overwrite:
        raise BadInput(f"csv={csv} exists: choose another name, or say overwrite=true.")
    return target


def write_csv(rows: Sequence[Row], target: Path) -> None:
    """Every metric, parameter and tag of our own, whole or not at all."""
    own = ["run_id", "name", "experiment", "status", "started", "seconds", "parent"]
    metrics = sorted({key for row in rows for key in row.metrics})
    params = sorted({key for row in rows for key in row.params})
    tags = sorted({key for row in rows for key in row.tags})
    with replacing(target) as fresh, fresh.open("w", newline="", encoding="utf-8") as file:
        writer = csv_format.writer(file)
        writer.writerow([*own, *metrics, *params, *tags])
        for row in rows:
            line = [row.run_id, row.name, row.experiment, row.status, row.started.isoformat(), row.seconds, row.parent]
            line += [row.metrics.get(key) for key in metrics] + [row.params.get(key) for key in params]
            writer.writerow(line + [row.tags.get(key) for key in tags])
