"""Lightning's table of metrics, for a run that goes on: its own begins a new file, and the earlier rows are gone."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter
from pytorch_lightning.utilities.rank_zero import rank_zero_only

FOLDER = "csv"  # in the run's folder
ONCE = ("train/", "optim/")  # what is reported at the end of an epoch, and again when a run goes on behind it


def metric_table(folder: Path, steps: int | None) -> CSVLogger:
    """The table in a run's folder; of a run that goes on, with the rows of the `steps` that it has taken."""
    if steps is None or getattr(rank_zero_only, "rank", 0) != 0:  # of several processes only the first writes
        return CSVLogger(str(folder), name="", version=FOLDER)
    return ResumedTable(folder, steps)


class ResumedTable(CSVLogger):
    """Begins with the rows that are kept, and reports no epoch's metrics twice.

    Args:
        folder: of the run.
        steps: the rows of so many are kept; those behind are of steps that are trained again.
    """

    def __init__(self, folder: Path, steps: int) -> None:
        file = folder / FOLDER / ExperimentWriter.NAME_METRICS_FILE
        rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines())) if file.is_file() else []
        kept = [{key: value for key, value in row.items() if value} for row in rows if int(row["step"]) < steps]
        file.unlink(missing_ok=True)
        super().__init__(str(folder), name="", version=FOLDER)
        self.experiment.metrics = kept
        self.experiment.save()
        self._known = {(row["epoch"], key) for row in kept if "epoch" in row for key in row if key.startswith(ONCE)}

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:  # type: ignore[override]
        epoch = str(int(metrics["epoch"])) if "epoch" in metrics else ""
        new = {key: value for key, value in metrics.items() if key.endswith("_step") or (epoch, key) not in self._known}
        if new.keys() - {"epoch"}:
            super().log_metrics(new, step)
