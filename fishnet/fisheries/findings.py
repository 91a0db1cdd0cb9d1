"""Everything that is known of a set of tables, in one object: the page, the CSVs and MLflow are all written from it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from fishnet.errors import BadInput

from .dynamics import Dynamics, fit_table, future_table, path_table
from .predicting import LearningResult
from .reading import ENTITY, Sheet, read
from .status import (
    QUADRANTS,
    below_bmsy,
    changes,
    class_counts,
    classified,
    drop_repeated,
    joined,
    latest,
    sustainable,
    sustainable_of_stocks,
)

TABLES = (".csv", ".tsv")  # the names that tables of a folder end with


class Status(NamedTuple):
    """The tables of the status chapters; empty where the sheets do not have the columns."""

    shares: pd.DataFrame  # % of stocks within sustainable levels, by region and year
    changes: pd.DataFrame  # first and last share of each region
    from_stocks: bool  # whether the shares were counted from the stocks
    classes: pd.DataFrame  # every ratio with its classes
    now: pd.DataFrame  # each entity's last year with both ratios
    quadrants: dict[str, int]  # how many of them lie in each quadrant of the Kobe plot
    below: pd.DataFrame  # by year, the share of stocks below Bmsy with its interval
    counts: pd.DataFrame  # by year, stocks in each class of biomass


@dataclass
class Findings:
    """What was read, and what follows from it."""

    sheets: list[Sheet]  # the tables
    refused: list[str]  # why others were left out, a sentence each
    status: Status  # how the stocks are
    dynamics: list[Dynamics] = field(default_factory=list)  # of the stocks that were fitted
    learnt: LearningResult | None = None  # what catches alone tell; None where nothing could be learnt
    not_learnt: str = ""  # why not
    truth: pd.DataFrame | None = None  # of simulated stocks

    @property
    def frames(self) -> list[pd.DataFrame]:
        """The tables without lists of species."""
        return [sheet.frame for sheet in self.sheets if "kind" in sheet.frame]


def paths_of(tables: str) -> list[Path]:
    """A file, a folder of CSVs, or several with commas between; a name with a comma in it is a name first."""
    whole = Path(tables).expanduser()
    parts = [Path(part.strip()).expanduser() for part in tables.split(",") if part.strip()]
    paths: list[Path] = []
    for part in [whole] if whole.exists() else parts:
        if part.is_dir():
            inside = sorted(path for path in part.iterdir() if path.suffix.lower() in TABLES and path.is_file())
            if not inside:
                raise BadInput(f"tables={part} holds no .csv file: give a table, or a folder of tables.")
            paths += inside
        elif part.exists():
            paths.append(part)
        else:
            raise BadInput(f"tables={part} does not exist: give a CSV file, or a folder of them.")
    return paths


def read_all(tables: str, columns: str | None) -> tuple[list[Sheet], list[str]]:
    """The tables that could be read, and why others could not; a file that was named, not found in a folder, must be
    right."""
    sheets, refused, paths = [], [], paths_of(tables)
    words = [part.strip() for part in (tables, *tables.split(",")) if part.strip()]
    named = not any(Path(word).expanduser().is_dir() for word in words)
    for path in paths:
        try:
            sheets.append(read(path, columns))
        except BadInput as error:
            if named:
                raise
            refused.append(str(error))
    usable = joined(sheets)
    if not usable:
        reason = refused[0] if refused else "its columns name species and categories only."
        raise BadInput(f"tables={tables}: none of them can be used; {reason}")
    for sheet, (_, notes) in zip(usable, drop_repeated([sheet.frame for sheet in usable]), strict=True):
        sheet.notes += notes
    return sheets, refused


def status_of(frames: Sequence[pd.DataFrame]) -> Status:
    """The tables of the status chapters, from tidy frames."""
    frames = [frame for frame, _ in drop_repeated(list(frames))]
    published = [sustainable(frame) for frame in frames if {"sustainable", "overfished"} & set(frame)]
    published = [part for part in published if len(part)]
    shares = pd.concat(published, ignore_index=True) if published else pd.DataFrame()
    assessed = [frame for frame in frames if "b_bmsy" in frame]
    if not published and assessed:
        shares = sustainable_of_stocks(pd.concat(assessed))
    ratios = [frame for frame in frames if {"b_bmsy", "u_umsy"} & set(frame)]
    classes = pd.DataFrame()
    if ratios:  # a row a stock and year, where one table has its biomass and another how hard it is fished
        whole = pd.concat(ratios, ignore_index=True)
        repeated = whole.duplicated(ENTITY).any()
        classes = classified(whole.groupby(list(ENTITY), sort=False).first().reset_index() if repeated else whole)
    now = latest(classes, "b_bmsy", "u_umsy") if {"b_bmsy", "u_umsy"} <= set(classes) else pd.DataFrame()
    counts = now["quadrant"].value_counts() if len(now) else pd.Series(dtype=int)
    stocks = [frame for frame in assessed if (frame["kind"] == "stock").any()]
    return Status(
        shares=shares,
        changes=changes(shares) if len(shares) else pd.DataFrame(),
        from_stocks=not published,
        classes=classes,
        now=now,
        quadrants={name: int(counts.get(name, 0)) for name in QUADRANTS.values()},
        below=below_bmsy(pd.concat(stocks)) if stocks else pd.DataFrame(),
        counts=class_counts(classes) if stocks else pd.DataFrame(),
    )


def tables_of(findings: Findings) -> dict[str, pd.DataFrame]:
    """What is written beside the page, by name; the empty ones are left out by whoever writes."""
    columns = [(sheet.name, header, meaning) for sheet in findings.sheets for header, meaning in sheet.taken]
    tables = {
        "columns": pd.DataFrame(columns, columns=["table", "column", "taken_for"]),
        "sustainable": findings.status.shares,
        "status": findings.status.classes,
        "below_bmsy": findings.status.below,
        "fits": fit_table(findings.dynamics),
        "paths": path_table(findings.dynamics),
        "projections": future_table(findings.dynamics),
    }
    if findings.truth is not None:
        tables["truth"] = findings.truth
    if (learnt := findings.learnt) is not None:
        tables |= {"learning": learnt.metrics, "answers": learnt.answers}
        tables |= {"importances": learnt.importances, "reliability": learnt.reliability}
    return tables


def run_metrics(findings: Findings) -> dict[str, float]:
    """What MLflow keeps of a run."""
    metrics: dict[str, float] = {"tables": len(findings.sheets), "refused": len(findings.refused)}
    if len(findings.status.below):
        last = findings.status.below.iloc[-1]
        metrics |= {"status/below_bmsy": last.share, "status/stocks": last.stocks}
    if len(findings.status.now):
        metrics["status/healthy"] = float((findings.status.now["quadrant"] == "healthy").mean())
    for each in findings.dynamics:
        for name in ("msy", "b_bmsy"):
            metrics[f"dynamics/{each.stock.entity}/{name}"] = each.uncertainty.intervals[name].value
    if (learnt := findings.learnt) is not None:
        metrics |= {"learning/folds": learnt.folds, "learning/stocks": learnt.answers["entity"].nunique()}
        for row in learnt.metrics.to_dict("records"):
            model = row["model"].replace(" − ", "_minus_").replace(" ", "_")
            prefix = "test" if model == "boosting" else model
            ends = {"": "value", "_low": "low", "_high": "high"}
            metrics |= {f"{prefix}/{row['figure']}{end}": row[column] for end, column in ends.items()}
    return {name: float(value) for name, value in metrics.items() if np.isfinite(value)}
