"""Runs as a terminal table of one line a run, whatever its width: what matters least is left out first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fishnet.measure.metrics import shown_in

from .links import run_link
from .names import HIGH, LOW, MEAN, SD, cut

MOST_PARAMETERS = 6
SHOWN = {metric.label.replace("accuracy", "acc."): metric.name for metric in shown_in("compare")}
# heading → the metrics that may fill it, the first that a run has
METRICS: dict[str, tuple[str, ...]] = {
    "val F1": ("best/val_f1_macro", "val/f1_macro"),
    **{f"test {label}": (f"test/{name}",) for label, name in SHOWN.items()},
}
# shown where a run has them: a whole folder that was measured, which is no test set
OF_A_FOLDER = {f"folder {label}": (f"all/{name}",) for label, name in SHOWN.items()}
OF_AN_AUDIT = {"reliance": ("audit/reliance_max",)}  # of runs whose checkpoint was audited
COLOURS = {"RUNNING": "cyan", "FINISHED": "green", "FAILED": "red", "KILLED": "yellow"}


@dataclass
class Row:
    """A run with plain values only; `depth` is how far below its uppermost parent it is nested."""

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


@dataclass(frozen=True)
class Layout:
    """How much of each run is shown: the number of parameters, the letters of its name and of a parameter's value,
    the form of its start, whether it says how long it took, and how uncertain a metric is."""

    parameters: int
    name: int = 60
    value: int = 28
    date: str = "%Y-%m-%d %H:%M"
    took: bool = True
    uncertainty: Literal["interval", "sd", "none"] = "interval"


# what is shortened or left out, step by step
STEPS: tuple[dict[str, Any], ...] = (
    {},
    {"date": "%m-%d %H:%M"},
    {"name": 32, "value": 20},
    {"uncertainty": "sd"},
    {"date": ""},
    {"took": False, "name": 24, "value": 14},
)


def layouts(parameters: int) -> Iterator[Layout]:
    """From all there is to the metrics alone."""
    layout = Layout(parameters)
    for step in STEPS:
        layout = replace(layout, **step)
        yield layout
    for count in range(parameters, -1, -1):
        yield replace(layout, uncertainty="none", parameters=count)


def fitted(rows: Sequence[Row], base: str, console: Console) -> tuple[Table, int]:
    """The fullest table that fits the console, and how many of the differing parameters it leaves out."""
    runs = [row for row in rows if row.params]  # parents, and those that failed early, have none
    keys = sorted({key for row in runs for key in row.params})
    keys = [key for key in keys if len({row.params.get(key) for row in runs}) > 1]
    for layout in layouts(min(MOST_PARAMETERS, len(keys))):
        table = run_table(rows, base, layout, keys[: layout.parameters])
        if console.measure(table, options=console.options.update(max_width=10_000)).maximum <= console.width:
            break
    return table, len(keys) - layout.parameters


def run_table(rows: Sequence[Row], base: str, layout: Layout, parameters: Sequence[str]) -> Table:
    """The table of these rows; a name is a link to its run in the UI at `base`."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False)
    several = len({row.experiment for row in rows}) > 1
    metrics = dict(METRICS)
    for more in (OF_A_FOLDER, OF_AN_AUDIT):
        if any(key in row.metrics for keys in more.values() for key in keys for row in rows):
            metrics |= more
    columns = {"experiment": several, "run": True, "status": True, "started": layout.date, "took": layout.took}
    for heading, shown in columns.items():
        if shown:
            table.add_column(heading, no_wrap=True)
    for heading in (*metrics, *(cut(name, layout.value) for name in short_names(parameters))):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        branch = "  " * max(0, row.depth - 1) + ("└ " if row.depth else "")
        link = f"link {run_link(base, row.experiment_id, row.run_id)}"
        cells: dict[str, Text | str] = {
            "experiment": Text(row.experiment),
            "run": Text(branch).append(cut(row.name, layout.name - len(branch)), style=link),
            "status": Text(row.status.lower(), style=COLOURS.get(row.status, "")),
            "started": row.started.strftime(layout.date),
            "took": duration(row.seconds),
        }
        table.add_row(
            *(cell for heading, cell in cells.items() if columns[heading]),
            *(Text(metric_text(row, keys, layout.uncertainty)) for keys in metrics.values()),
            *(Text(cut(row.params.get(key, ""), layout.value)) for key in parameters),
        )
    return table


def metric_text(row: Row, keys: Sequence[str], uncertainty: str = "interval") -> str:
    """0.912 [0.88, 0.94] with an interval, 0.912 ± 0.010 for a parent, empty when the run has none of the metrics."""
    for key in keys:
        if f"{MEAN}{key}" in row.metrics:
            sd = row.metrics.get(f"{SD}{key}") if uncertainty != "none" else None
            return f"{row.metrics[f'{MEAN}{key}']:.3f}" + ("" if sd is None else f" ± {sd:.3f}")
        if key in row.metrics:
            low, high = (row.metrics.get(f"{key}{end}") for end in (LOW, HIGH))
            known = uncertainty == "interval" and low is not None and high is not None
            return f"{row.metrics[key]:.3f}" + (f" [{low:.2f}, {high:.2f}]" if known else "")
    return ""


def short_names(keys: Sequence[str]) -> list[str]:
    """`lr` for `model.lr`, unless another key ends alike."""
    ends = [key.rsplit(".", 1)[-1] for key in keys]
    return [end if ends.count(end) == 1 else key for key, end in zip(keys, ends, strict=True)]


def duration(seconds: float) -> str:
    """`4 s`, `1 min 01 s`, `1 h 02 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
