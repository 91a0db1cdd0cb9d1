"""Everything that is known of a set of tables, in one place: the page, the CSVs and MLflow all tell from it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from fishnet.errors import BadInput

from .dynamics import Dynamics, fit_table, future_table, path_table
from .predicting import Learnt
from .reading import ENTITY, Sheet, read
from .status import (
    below_bmsy,
    changes,
    class_counts,
    classified,
    joined,
    latest,
    sustainable,
    sustainable_of_stocks,
    told_once,
)


@dataclass
class Status:
    """The tables of the status chapters; empty where the sheets do not tell."""

    shares: pd.DataFrame
    changes: pd.DataFrame
    from_stocks: bool
    classes: pd.DataFrame
    now: pd.DataFrame
    below: pd.DataFrame
    counts: pd.DataFrame


@dataclass
class Findings:
    sheets: list[Sheet]
    refused: list[str]
    status: Status
    dynamics: list[Dynamics] = field(default_factory=list)
    learnt: Learnt | None = None
    not_learnt: str = ""
    truth: pd.DataFrame | None = None

    @property
    def frames(self) -> list[pd.DataFrame]:
        return [sheet.frame for sheet in self.sheets if "kind" in sheet.frame]


def paths_of(tables: str) -> list[Path]:
    """A file, a folder of CSVs, or several with commas between; a name with a comma in it is a name first."""
    whole = Path(tables).expanduser()
    parts = (
        [whole] if whole.exists() else [Path(part.strip()).expanduser() for part in tables.split(",") if part.strip()]
    )
    found: list[Path] = []
    for part in parts:
        if part.is_dir():
            inside = sorted(
                path for path in part.iterdir() if path.suffix.lower() in (".csv", ".tsv") and path.is_file()
            )
            if not inside:
                raise BadInput(f"tables={part} holds no .csv file: give a table, or a folder of tables.")
            found += inside
        elif part.exists():
            found.append(part)
        else:
            raise BadInput(f"tables={part} does not exist: give a CSV file, or a folder of them.")
    return found


def read_all(tables: str, columns: str | None) -> tuple[list[Sheet], list[str]]:
    """Of a folder, what cannot be read is a result and listed; a file that was named must be right."""
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
    tables_read = joined(sheets)
    if not tables_read:
        reason = refused[0] if refused else "its columns name species and categories only."
        raise BadInput(f"tables={tables}: none of them can be used; {reason}")
    for sheet, (_, notes) in zip(tables_read, told_once([sheet.frame for sheet in tables_read]), strict=True):
        sheet.notes += notes
    return sheets, refused


def status_of(frames: Iterable[pd.DataFrame]) -> Status:
    frames = [frame for frame, _ in told_once(list(frames))]
    told = [sustainable(frame) for frame in frames if {"sustainable", "overfished"} & set(frame)]
    shares = _together(told)
    from_stocks = not len(shares)
    if from_stocks:
        assessed = [frame for frame in frames if "b_bmsy" in frame]
        shares = sustainable_of_stocks(pd.concat(assessed)) if assessed else shares
    ratios = [frame for frame in frames if {"b_bmsy", "u_umsy"} & set(frame)]
    classes = classified(_merged(ratios)) if ratios else pd.DataFrame()
    both = {"b_bmsy", "u_umsy"} <= set(classes)
    now = latest(classes, "b_bmsy", "u_umsy") if both else pd.DataFrame()
    stocks = [frame for frame in ratios if "b_bmsy" in frame and (frame["kind"] == "stock").any()]
    return Status(
        shares=shares,
        changes=changes(shares) if len(shares) else pd.DataFrame(),
        from_stocks=from_stocks,
        classes=classes,
        now=now,
        below=below_bmsy(pd.concat(stocks)) if stocks else pd.DataFrame(),
        counts=class_counts(classes) if stocks else pd.DataFrame(),
    )


def _merged(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """A row a stock and year, where one table tells its biomass and another how hard it is fished."""
    whole = pd.concat(frames, ignore_index=True)
    return whole.groupby(list(ENTITY), sort=False).first().reset_index() if whole.duplicated(ENTITY).any() else whole


def _together(parts: list[pd.DataFrame]) -> pd.DataFrame:
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def tables_of(found: Findings) -> dict[str, pd.DataFrame]:
    """What is written beside the page, by name; the empty ones are left out by whoever writes."""
    read_as = [(sheet.name, header, meaning) for sheet in found.sheets for header, meaning in sheet.taken]
    tables = {
        "columns": pd.DataFrame(read_as, columns=["table", "column", "taken_for"]),
        "sustainable": found.status.shares,
        "status": found.status.classes,
        "below_bmsy": found.status.below,
        "fits": fit_table(found.dynamics),
        "paths": path_table(found.dynamics),
        "projections": future_table(found.dynamics),
    }
    if found.truth is not None:
        tables["truth"] = found.truth
    if found.learnt is not None:
        tables |= {
            "learning": found.learnt.figures,
            "answers": found.learnt.answers,
            "importances": found.learnt.importances,
            "reliability": found.learnt.reliability,
        }
    return tables


def figures(found: Findings) -> dict[str, float]:
    """What MLflow keeps of a run."""
    told: dict[str, float] = {"tables": len(found.sheets), "refused": len(found.refused)}
    if len(found.status.below):
        last = found.status.below.iloc[-1]
        told |= {"status/below_bmsy": last.share, "status/stocks": last.stocks}
    if len(found.status.now):
        told["status/healthy"] = float((found.status.now["quadrant"] == "healthy").mean())
    for one in found.dynamics:
        told[f"dynamics/{one.chosen.entity}/msy"] = one.doubt.intervals["msy"].value
        told[f"dynamics/{one.chosen.entity}/b_bmsy"] = one.doubt.intervals["b_bmsy"].value
    if found.learnt is not None:
        told |= {"learning/folds": found.learnt.folds, "learning/stocks": found.learnt.answers["entity"].nunique()}
        for row in found.learnt.figures.to_dict("records"):
            model = row["model"].replace(" − ", "_minus_").replace(" ", "_")
            place = "test" if model == "boosting" else model
            ends = {"": "value", "_low": "low", "_high": "high"}
            told |= {f"{place}/{row['figure']}{end}": row[column] for end, column in ends.items()}
    return {name: float(value) for name, value in told.items() if np.isfinite(value)}
