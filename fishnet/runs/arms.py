"""Tracked runs → arms: the runs that differ in nothing but fold and seed, with their figures and how these compare."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from fishnet.cells import restored_table
from fishnet.explain.maps import FolderMaps, read_maps
from fishnet.measure.metrics import metric_of
from fishnet.measure.pairs import Cell
from fishnet.measure.pictures import Curves
from fishnet.measure.significance import Difference, Spread, Verdict, paired, spread_over_folds, verdicts
from fishnet.tracking import names
from fishnet.tracking.layout import Row, short_names

BACKBONE = "model.backbone"
SHORT = 32  # letters of a run's name that can stand in a column
REPEATED = ("seed", "data.seed", "data.fold")  # parameters in which runs of one arm may differ


@dataclass(frozen=True)
class ComparedRun:
    """A run as the tracker knows it, and what lies in its folder on this machine.

    Args:
        row: of the tracker.
        curves: its learning curves.
    """

    row: Row
    curves: Curves

    @property
    def folder(self) -> Path | None:
        """None where it is not on this machine."""
        folder = Path(self.row.tags.get(names.FOLDER, "/nowhere"))
        return folder if folder.is_dir() else None

    @cached_property
    def tested(self) -> pd.DataFrame | None:
        """The answers to the photos that were measured, which `path` names by their bytes and `file` in the folder."""
        return self._answers("predictions.csv")

    @cached_property
    def validated(self) -> pd.DataFrame | None:
        """The same of the photos that it was chosen by."""
        return self._answers("validation.csv")

    @cached_property
    def maps(self) -> FolderMaps | None:
        """The heat-maps that the run has kept."""
        folder = self.folder / "gradcam" if self.folder else None
        return read_maps(folder) if folder is not None and (folder / "maps.npy").is_file() else None

    @property
    def cell(self) -> Cell:
        """Its fold, if there are several, and its seed."""
        fold, seed = (self.row.params.get(key) for key in ("data.fold", "seed"))
        return None if fold is None else int(fold), int(seed or 0)

    def _answers(self, name: str) -> pd.DataFrame | None:
        if self.folder is None or not (self.folder / "report" / name).is_file():
            return None
        texts = dict.fromkeys(("path", "class", "predicted", "group", "class_name", "predicted_name"), str)
        answers = restored_table(pd.read_csv(self.folder / "report" / name, dtype=texts, keep_default_na=False))
        split = pd.read_csv(self.folder / "split" / "split.csv", dtype=str, keep_default_na=False)
        known = answers.merge(split[["path", "sha256"]], on="path", how="left", validate="one_to_one")
        return known.assign(file=known["path"], path=known["sha256"].fillna(known["path"]))


@dataclass(frozen=True)
class Arm:
    """Runs that repeat one setting.

    Args:
        name: what tells it from the others.
        runs: at least one.
    """

    name: str
    runs: Sequence[ComparedRun]

    @cached_property
    def cells(self) -> dict[Cell, ComparedRun]:
        """By fold and seed; of runs that repeat both, each after the first has a seed of its own."""
        cells: dict[Cell, ComparedRun] = {}
        for run in self.runs:
            fold, seed = run.cell
            while (fold, seed) in cells:
                seed += 1_000_000
            cells[fold, seed] = run
        return cells

    def values(self, key: str) -> dict[Cell, float]:
        """A metric by fold and seed."""
        known = {cell: run.row.metrics[key] for cell, run in self.cells.items() if key in run.row.metrics}
        return {cell: value for cell, value in known.items() if value == value}

    def figure(self, key: str) -> Spread:
        """The mean with its interval: over folds and seeds, or of a single run over its photos."""
        spread = spread_over_folds(self.values(key))
        if spread.n != 1:
            return spread
        low, high = (self.values(f"{key}{end}") for end in (names.LOW, names.HIGH))
        ends = [next(iter(values.values()), float("nan")) for values in (low, high)]
        return spread._replace(low=ends[0], high=ends[1])


def arms_of(runs: Sequence[ComparedRun]) -> list[Arm]:
    """In the order of the runs; runs on other photos or by another command are other arms."""
    groups: dict[tuple, list[ComparedRun]] = defaultdict(list)
    for run in runs:
        setting = {key: value for key, value in run.row.params.items() if key not in REPEATED}
        tags = (run.row.tags.get(key) for key in (names.DATA_DIGEST, names.COMMAND))
        groups[(*sorted(setting.items()), *map(str, tags))].append(run)
    labels = _labels(list(groups.values()), differing_parameters(runs))
    return [Arm(label, members) for label, members in zip(labels, groups.values(), strict=True)]


def differing_parameters(runs: Sequence[ComparedRun]) -> list[str]:
    """Those that tell arms apart."""
    keys = sorted({key for run in runs for key in run.row.params} - {*REPEATED})
    return [key for key in keys if len({run.row.params.get(key) for run in runs}) > 1]


def _labels(groups: Sequence[Sequence[ComparedRun]], differing: Sequence[str]) -> list[str]:
    """A run's own name where it is short; else as many of the differing parameters as tell all of them apart."""
    first = sorted(differing, key=lambda key: (key != BACKBONE, -len({run[0].row.params.get(key) for run in groups})))
    words = dict(zip(first, short_names(first), strict=True))
    texts = [
        [text if key == BACKBONE else f"{words[key]}={text}" for key in first for text in [_value(run[0], key)]]
        for run in groups
    ]
    count = next((n for n in range(1, len(first) + 1) if len({tuple(t[:n]) for t in texts}) == len(texts)), len(first))
    labels = list[str]()
    for group, parts in zip(groups, texts, strict=True):
        own = group[0].row.name
        label = own if (len(group) == 1 and len(own) <= SHORT) or not parts else ", ".join(parts[:count])
        taken = sum(known == label or known.startswith(f"{label} (") for known in labels)
        labels.append(f"{label} ({taken + 1})" if taken else label)
    return labels


def _value(run: ComparedRun, key: str) -> str:
    return run.row.params.get(key, "–")


def compared(best: Arm, others: Sequence[Arm], key: str) -> dict[str, Verdict]:
    """Each of the others against the best, by its name."""
    return verdicts({arm.name: difference(best, arm, key) for arm in others})


def difference(best: Arm, other: Arm, key: str) -> Difference | None:
    """By how much the best is better in a metric; None where that is not known."""
    metric = metric_of(key)
    part = "validated" if "val_" in key or key.startswith("val/") else "tested"

    def both(cell: Cell) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
        return getattr(best.cells[cell], part), getattr(other.cells[cell], part)

    params: Mapping[str, Any] = best.runs[0].row.params
    return paired(
        best.values(key), other.values(key), metric.name if metric else key, both,
        folds=int(params.get("data.folds", 0)), val=float(params.get("data.val", 0)) if part == "validated" else 0.0,
    )  # fmt: skip
