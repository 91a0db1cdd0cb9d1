"""What a training has left in its folder, read without torch and without MLflow: its figures and its curves."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

from fishnet.tracking import names
from fishnet.tracking.journal import offline_records

CURVED = ("train/", "val/", "optim/")


@dataclass
class Outcome:
    """Figures of the best epoch and of the test; curves by epoch."""

    figures: dict[str, float] = field(default_factory=dict)
    curves: dict[str, dict[int, float]] = field(default_factory=dict)
    best_epoch: int | None = None
    parameters: int | None = None
    trained: int | None = None
    lr: float | None = None
    photos: str | None = None  # the digest of all that it had been given
    status: str | None = None  # the last word that was written down
    ended: float | None = None

    @property
    def epochs(self) -> int:
        return max(self.curves.get("train/loss", ()), default=-1) + 1


def larger_is_better(score: str) -> bool:
    return not score.rsplit("/", 1)[-1].endswith(("loss", "error"))


def read_outcome(run: Path, score: str | None = None) -> Outcome:
    """Later words win: a training that was resumed tells an epoch again, and means the second.

    A training says which epoch was its best when it ends. Of one that did not get there it is the best so far by
    `score`: a search learns from what was pruned too.
    """
    found = Outcome()
    tags: dict[str, str] = {}
    for record in offline_records(run):
        if record["kind"] == "tags":
            tags.update(record["values"])
        elif record["kind"] == "status":
            found.status, found.ended = record["status"], record.get("time", 0) / 1000
        elif record["kind"] == "metrics":
            for key, value in record["values"].items():
                if value is None or not math.isfinite(value):
                    continue
                if key.startswith(CURVED):
                    found.curves.setdefault(key, {})[record["step"]] = value
                elif key.startswith(("test/", "best/")):
                    found.figures[key] = value
    found.parameters, found.trained = (
        int(tags[key]) if key in tags else None for key in (names.PARAMETERS, names.PARAMETERS_TRAINED)
    )
    found.photos = tags.get(names.DATA_DIGEST)
    reached = found.curves.get(score or "", {})
    if names.BEST_EPOCH in tags:
        found.best_epoch = int(tags[names.BEST_EPOCH])
    elif reached:
        sign = 1 if larger_is_better(score or "") else -1
        found.best_epoch = max(reached, key=lambda epoch: (sign * reached[epoch], -epoch))
    if found.best_epoch is not None:
        for key, curve in found.curves.items():
            if found.best_epoch in curve and key.startswith("val/"):
                found.figures[key] = curve[found.best_epoch]
    found.lr = _lr(run / "report" / "lr.json")
    return found


def _lr(path: Path) -> float | None:
    try:
        value = json.loads(path.read_text())["lr"]
    except (OSError, ValueError, KeyError):
        return None
    return None if value is None else float(value)  # a range test that found none says so
