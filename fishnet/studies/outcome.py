"""What a training has left in its folder, read without torch and without MLflow: metrics, curves, why it ended."""

import json
import math
import re
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from fishnet.measure.metrics import direction

CURVES = ("train/", "val/", "optim/")
TAIL = 20_000  # bytes of a log that are looked at
MEMORY = re.compile(r"MemoryError|(can't|Cannot) allocate memory|not enough memory|out of memory|bad_alloc")


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


class Death(NamedTuple):
    """How a training ended, and why."""

    status: str  # finished | refused | raised | exited | killed | memory
    cause: str


def cause_of(code: int, log: Path) -> Death:
    """How a training ended and, in one sentence, why: from its exit status and the last lines of its log."""
    if code == 0:
        return Death("finished", "")
    lines = last_lines(log)
    ours = next((line.removeprefix("fishnet: ") for line in reversed(lines) if line.startswith("fishnet: ")), "")
    error = next((line for line in reversed(lines) if re.match(r"[\w.]*(Error|Exception|Interrupt)\b", line)), "")
    last = f"; its last line: {lines[-1][:200]}" if lines and not lines[-1].startswith("---") else ""
    if out_of_memory := MEMORY.search("\n".join(lines)):
        return Death("memory", f"memory ran out: {ours or error or out_of_memory[0]}"[:500])
    if code < 0:
        name = signal.Signals(-code).name if -code in list(signal.Signals) else "unknown"
        return Death("killed", f"it was ended by signal {-code} ({name}){last}")
    if ours:
        return Death("refused" if code == 2 else "raised", ours)
    if error:
        return Death("raised", error[:500])
    return Death("exited", f"it ended with status {code} and gave no reason{last}")


def last_lines(log: Path, most: int = 60) -> list[str]:
    """The end of the log, as far as it is of the last attempt."""
    if not log.is_file():
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL))
        lines = file.read().decode("utf-8", "replace").splitlines()
    begin = max((number for number, line in enumerate(lines) if line.startswith("--- attempt")), default=0)
    return [line.rstrip() for line in lines[begin:] if line.strip()][-most:]


def system_kills() -> int:
    """How many processes of this container the system has ended for want of memory."""
    for path in (Path("/sys/fs/cgroup/memory.events"), Path("/sys/fs/cgroup/memory/memory.oom_control")):
        with suppress(OSError, ValueError):
            for line in path.read_text().splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    return 0
