"""What a training has left in its folder, read without torch and without MLflow: metrics and curves."""

import json
import math
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from fishnet.measure.metrics import direction

CURVES = ("train/", "val/", "optim/")


@dataclass
class Outcome:
    """Metrics of the best epoch and of the test; curves by epoch."""

    figures: dict[str, float] = field(default_factory=dict)
    curves: dict[str, dict[int, float]] = field(default_factory=dict)
    epochs: int = 0
    best_epoch: int | None = None
    parameters: int | None = None
    trained: int | None = None
    lr: float | None = None  # what a range test has chosen
    photos: str | None = None  # the digest of all that it had been given
    status: str | None = None  # the last that was written down


def read_outcome(run: Path, score: str | None = None) -> Outcome:
    """The outcome as far as the run's journal has it; a later line about an epoch replaces an earlier one (resumed).

    A training names its best epoch when it ends. Of one that did not get there it is the best so far by `score`: a
    search learns from what was pruned too.
    """
    from fishnet.tracking import names
    from fishnet.tracking.journal import offline_records

    outcome, tags = Outcome(), dict[str, str]()
    for record in offline_records(run):
        if record["kind"] == "tags":
            tags.update(record["values"])
        elif record["kind"] == "status":
            outcome.status = record["status"]
        elif record["kind"] == "metrics":
            finite = {k: value for k, value in record["values"].items() if value is not None and math.isfinite(value)}
            outcome.figures |= {key: value for key, value in finite.items() if key.startswith(("test/", "best/"))}
            for key in filter(lambda key: key.startswith(CURVES), finite):
                outcome.curves.setdefault(key, {})[record["step"]] = finite[key]
    keys = (names.PARAMETERS, names.PARAMETERS_TRAINED, names.BEST_EPOCH)
    counts = (int(tags[key]) if key in tags else None for key in keys)
    outcome.parameters, outcome.trained, outcome.best_epoch = counts
    outcome.epochs = max(outcome.curves.get("train/loss", ()), default=-1) + 1
    outcome.photos = tags.get(names.DATA_DIGEST)
    if outcome.best_epoch is None and score and (so_far := outcome.curves.get(score)):
        sign = -1 if direction(score) == "min" else 1
        outcome.best_epoch = max(so_far, key=lambda epoch: (sign * so_far[epoch], -epoch))
    for key, curve in outcome.curves.items():
        if key.startswith("val/") and outcome.best_epoch in curve:
            outcome.figures[key] = curve[outcome.best_epoch]
    with suppress(OSError, ValueError, KeyError, TypeError):  # a range test that chose no rate has written null
        outcome.lr = float(json.loads((run / "report" / "lr.json").read_text())["lr"])
    return outcome
