"""`fishnet compare`: runs side by side in the terminal, because MLflow's own table shows no metric until asked to."""

from __future__ import annotations

import csv as csv_format
import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fishnet.errors import BadInput

from .links import PORT, base_of, charts_link, compare_link, run_link, runs_link
from .store import open_store
from .table import Row, differing, find_rows

MOST_PARAMETERS = 6
MOST_COMPARED = 20
# heading → the metrics that may fill it, the first that a run has
FIGURES = {
    "val F1": ("best/val_f1_macro", "val/f1_macro"),
    "test accuracy": ("test/accuracy",),
    "test F1": ("test/f1_macro",),
}
COLOURS = {"RUNNING": "cyan", "FINISHED": "green", "FAILED": "red", "KILLED": "yellow"}


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
    hidden = max(0, len(differing(rows)) - MOST_PARAMETERS)
    console.print(run_table(rows, base))
    if hidden:
        console.print(f"{hidden} more parameters differ; csv=runs.csv writes them all.")
    for line in link_lines(rows, base, embedded=not store.is_server):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    if target is not None:
        write_csv(rows, target)
        console.print(f"{len(rows)} runs written to {target}", soft_wrap=True, highlight=False)
    return rows


# ---- the table


def run_table(rows: Sequence[Row], base: str) -> Table:
    table = Table()
    several = len({row.experiment for row in rows}) > 1
    parameters = differing(rows)[:MOST_PARAMETERS]
    for heading in (["experiment"] if several else []) + ["run", "status", "started", "took"]:
        table.add_column(heading, overflow="fold")
    for heading in FIGURES:
        table.add_column(heading, justify="right")
    for heading in short_names(parameters):
        table.add_column(heading, justify="right", overflow="fold")
    for row in rows:
        table.add_row(*([row.experiment] if several else []), *_cells(row, parameters, base))
    return table


def _cells(row: Row, parameters: Sequence[str], base: str) -> list[Text | str]:
    link = f"link {run_link(base, row.experiment_id, row.run_id)}"
    name = Text("  " * max(0, row.depth - 1) + ("└ " if row.depth else "")) + Text(row.name, style=link)
    return [
        name,
        Text(row.status.lower(), style=COLOURS.get(row.status, "")),
        f"{row.started:%Y-%m-%d %H:%M}",
        duration(row.seconds),
        *(figure(row, keys) for keys in FIGURES.values()),
        *(Text(row.params.get(key, "")) for key in parameters),
    ]


def figure(row: Row, keys: Sequence[str]) -> str:
    """0.912 [0.88, 0.94] with an interval, 0.912 ± 0.010 for a parent, empty when the run has none."""
    for key in keys:
        if f"mean/{key}" in row.metrics:
            spread = row.metrics.get(f"sd/{key}")
            return f"{row.metrics[f'mean/{key}']:.3f}" + ("" if spread is None else f" ± {spread:.3f}")
        if key in row.metrics:
            low, high = (row.metrics.get(f"{key}_{end}") for end in ("low", "high"))
            interval = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
            return f"{row.metrics[key]:.3f}{interval}"
    return ""


def short_names(keys: Sequence[str]) -> list[str]:
    """`lr` for `model.lr`, unless another key ends alike."""
    ends = [key.rsplit(".", 1)[-1] for key in keys]
    return [end if ends.count(end) == 1 else key for key, end in zip(keys, ends, strict=True)]


def duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


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
    fresh = target.with_name(f".{target.name}.new")
    with fresh.open("w", newline="", encoding="utf-8") as file:
        writer = csv_format.writer(file)
        writer.writerow([*own, *metrics, *params, *tags])
        for row in rows:
            line = [row.run_id, row.name, row.experiment, row.status, row.started.isoformat(), row.seconds, row.parent]
            line += [row.metrics.get(key) for key in metrics] + [row.params.get(key) for key in params]
            writer.writerow(line + [row.tags.get(key) for key in tags])
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, target)
