"""results.csv: every trial of every stage a row, for whoever wants the figures and not the page."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from fishnet.files import write_whole

from .scoring import Scored
from .selection import chosen_digests, ranked
from .state import StageState

HEAD = ["stage", "trial", "chosen", "state", "score", "mean", "sd", "low", "high", "trainings"]
FIGURES = ["val/accuracy", "val/loss", "test/accuracy", "test/f1_macro", "test/f1_weighted", "test/loss"]
INTERVAL = ["test/accuracy_low", "test/accuracy_high"]
REST = ["lr", "best_epoch", "parameters", "learning", "seconds", "settings", "cause"]


def write_results(path: Path, states: Sequence[StageState]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*HEAD, *FIGURES, *INTERVAL, *REST])
    for state in states:
        order = ranked(state.stage, state.scored)
        for one in [*order, *(other for other in state.scored if other not in order)]:
            writer.writerow(_row(state, one))
    write_whole(path, text.getvalue())


def _row(state: StageState, one: Scored) -> list[object]:
    worth = one.spread()
    chosen = one.trial.digest in chosen_digests(state.choice)
    told = list(one.results.values())
    cause = next((result["cause"] for result in told if result["cause"]), "")
    return [
        *(state.stage.name, one.trial.name, "yes" if chosen else "", one.state, state.stage.score),
        *map(_number, (worth.mean, worth.sd, worth.low, worth.high)),
        worth.n,
        *(_number(one.spread(key).mean) for key in FIGURES),
        *map(_number, one.interval("test/accuracy")),
        ";".join(f"{result['lr']:.4g}" for result in told if result.get("lr")),
        _number(one.epochs_to_best),
        one.parameters or "",
        one.learning or "",
        f"{one.seconds:.0f}",
        " ".join(f"{key}={value}" for key, value in one.trial.settings.items()),
        cause,
    ]


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4g}"
