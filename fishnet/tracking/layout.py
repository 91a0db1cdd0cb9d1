"""Runs as a terminal table of one line a run, whatever the width: what matters least goes first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .links import run_link
from .table import Row, differing

MOST_PARAMETERS = 6
# heading → the metrics that may fill it, the first that a run has
FIGURES = {
    "val F1": ("best/val_f1_macro", "val/f1_macro"),
    "test acc.": ("test/accuracy",),
    "test F1": ("test/f1_macro",),
}
# shown where a run has them: a whole folder that was measured, which is no test set
WHOLE = {"folder acc.": ("all/accuracy",), "folder F1": ("all/f1_macro",)}
COLOURS = {"RUNNING": "cyan", "FINISHED": "green", "FAILED": "red", "KILLED": "yellow"}


@dataclass(frozen=True)
class Layout:
    """How much of each run is told."""

    parameters: int
    name: int = 60
    value: int = 28  # letters of a parameter
    date: str = "%Y-%m-%d %H:%M"
    took: bool = True
    doubt: Literal["interval", "sd", "none"] = "interval"


def layouts(parameters: int) -> Iterator[Layout]:
    """From all there is to the figures alone."""
    yield Layout(parameters)
    yield Layout(parameters, date="%m-%d %H:%M")
    yield Layout(parameters, date="%m-%d %H:%M", name=32, value=20)
    lean = Layout(parameters, date="%m-%d %H:%M", name=32, value=20, doubt="sd")
    yield lean
    lean = replace(lean, date="")
    yield lean
    lean = replace(lean, took=False, name=24, value=14)
    yield lean
    for kept in range(parameters, -1, -1):
        yield replace(lean, doubt="none", parameters=kept)


def fitted(rows: Sequence[Row], base: str, console: Console) -> tuple[Table, int]:
    """The fullest table that fits the console, and how many differing parameters it leaves out."""
    keys = differing(rows)
    for layout in layouts(min(MOST_PARAMETERS, len(keys))):
        table = run_table(rows, base, layout, keys[: layout.parameters])
        if console.measure(table, options=console.options.update(max_width=10_000)).maximum <= console.width:
            break
    return table, len(keys) - layout.parameters


def figures_of(rows: Sequence[Row]) -> dict[str, tuple[str, ...]]:
    whole = any(key in row.metrics for keys in WHOLE.values() for key in keys for row in rows)
    return {**FIGURES, **(WHOLE if whole else {})}


def run_table(rows: Sequence[Row], base: str, layout: Layout, parameters: Sequence[str]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False)
    several = len({row.experiment for row in rows}) > 1
    figures = figures_of(rows)
    for heading in (["experiment"] if several else []) + ["run", "status"]:
        table.add_column(heading, no_wrap=True)
    for heading, shown in (("started", layout.date), ("took", layout.took)):
        if shown:
            table.add_column(heading, no_wrap=True)
    for heading in (*figures, *(cut(name, layout.value) for name in short_names(parameters))):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*([Text(row.experiment)] if several else []), *_cells(row, figures, parameters, base, layout))
    return table


def _cells(
    row: Row, figures: dict[str, tuple[str, ...]], parameters: Sequence[str], base: str, layout: Layout
) -> list[Text | str]:
    link = f"link {run_link(base, row.experiment_id, row.run_id)}"
    branch = "  " * max(0, row.depth - 1) + ("└ " if row.depth else "")
    cells: list[Text | str] = [
        Text(branch).append(cut(row.name, layout.name - len(branch)), style=link),
        Text(row.status.lower(), style=COLOURS.get(row.status, "")),
    ]
    if layout.date:
        cells.append(row.started.strftime(layout.date))
    if layout.took:
        cells.append(duration(row.seconds))
    cells += [Text(figure(row, keys, doubt=layout.doubt)) for keys in figures.values()]
    return cells + [Text(cut(row.params.get(key, ""), layout.value)) for key in parameters]


def figure(row: Row, keys: Sequence[str], *, doubt: str = "interval") -> str:
    """0.912 [0.88, 0.94] with an interval, 0.912 ± 0.010 for a parent, empty when the run has none."""
    for key in keys:
        if f"mean/{key}" in row.metrics:
            spread = row.metrics.get(f"sd/{key}") if doubt != "none" else None
            return f"{row.metrics[f'mean/{key}']:.3f}" + ("" if spread is None else f" ± {spread:.3f}")
        if key in row.metrics:
            low, high = (row.metrics.get(f"{key}_{end}") for end in ("low", "high"))
            known = doubt == "interval" and low is not None and high is not None
            return f"{row.metrics[key]:.3f}" + (f" [{low:.2f}, {high:.2f}]" if known else "")
    return ""


def cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


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
