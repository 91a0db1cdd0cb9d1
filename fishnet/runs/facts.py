"""What a run's folder knows of its model: figures, thresholds, data and licences, as plain values for a bundle."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fishnet.cells import restored_table
from fishnet.models.bundle import is_bundle, read_bundle
from fishnet.models.run_model import AUDIT, MODELS

from .records import RECORD

RIGHT = 0.95  # of a class's answers from its threshold on, in validation photos
FEWEST = 10  # answers that a threshold is taken from


def run_of(checkpoint: Path) -> Path | None:
    """The folder of the run that the checkpoint is the model of; None for one that lies alone."""
    run = checkpoint.parent.parent
    known = f"{checkpoint.parent.name}/{checkpoint.name}" in MODELS
    return run if known and (run / RECORD).is_file() else None


def run_facts(run: Path) -> dict[str, Any]:
    """`thresholds`, `metrics`, `data` and `trained` of the run; what it does not know is left out."""
    record = json.loads((run / RECORD).read_text(encoding="utf-8"))
    facts: dict[str, Any] = {"trained": {"run_id": record["run_id"]}}  # no commands: they name folders of the user's
    if (file := run / "report" / "validation.csv").is_file():
        facts["thresholds"] = thresholds_of(restored_table(pd.read_csv(file, dtype={"class": str, "predicted": str})))
    if (file := run / "report" / "metrics.json").is_file():
        measured = json.loads(file.read_text(encoding="utf-8"))
        facts["metrics"] = {key: measured[key] for key in ("photos", "groups", "interval", "figures")}
    if "data" in record:
        facts["data"] = record["data"]
    return facts


def thresholds_known(checkpoint: Path) -> dict[str, float | None] | None:
    """What was measured for a model: in its bundle, or in the run whose model it is; None where nothing is known."""
    path = checkpoint.expanduser().absolute()
    if is_bundle(path):
        return read_bundle(path).about.get("thresholds")
    run = run_of(path)
    return run_facts(run).get("thresholds") if run else None


def audit_of(run: Path) -> dict[str, Any] | None:
    """What an audit of the run's model has shown; None where there was none."""
    file = run / AUDIT
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def thresholds_of(validation: pd.DataFrame) -> dict[str, float | None]:
    """For each class the probability from which on its answers are right in RIGHT of the validation photos.

    Args:
        validation: `class`, `predicted` and `probability` of each photo.

    Returns:
        By class; None where no probability is enough, or where the class was answered too seldom to know.
    """
    classes = sorted({*validation["class"], *validation["predicted"]})
    return {name: _threshold(validation[validation["predicted"] == name], name) for name in classes}


def _threshold(answers: pd.DataFrame, name: str) -> float | None:
    ranked = answers.sort_values("probability", ascending=False)
    right = (ranked["class"] == name).to_numpy()
    share = right.cumsum() / np.arange(1, len(right) + 1)
    enough = np.flatnonzero((share >= RIGHT) & (np.arange(1, len(right) + 1) >= FEWEST))
    return float(ranked["probability"].iloc[enough[-1]]) if len(enough) else None
