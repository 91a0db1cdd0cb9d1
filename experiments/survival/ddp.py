"""Trainings of two processes (gloo, on the CPU) that lose one of them, or are ended by signals.

    python -m experiments.survival.ddp --repeats 5 --csv faults.csv

It counts as held if no process of the training is left after two minutes, the exit status is right (any but 0 where a
rank was killed), no traceback was shown but of a killed rank's peer, the checkpoint is whole and no older than before,
and `resume=` goes on from it.
"""

import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

from .__main__ import draw
from .faults import finish, outliving, parser, tally
from .signals import Terminal, Underway

TWO = ["trainer=ddp", "trainer.devices=2", "data.workers=0"]
BOUND = 120.0  # seconds


class Fault(NamedTuple):
    command: str
    status: int | None  # None: any but 0
    strike: Callable[[Terminal, int], None]  # with the process number of the second rank


FAULTS = {
    "DDP: SIGKILL of rank 1": Fault("kill -KILL RANK1", None, lambda t, second: os.kill(second, signal.SIGKILL)),
    "DDP: SIGKILL of rank 0": Fault("kill -KILL RANK0", 137, lambda t, second: t.process.kill()),
    "DDP: SIGTERM to rank 0": Fault("kill -TERM RANK0", 143, lambda t, second: t.process.terminate()),
    "DDP: Ctrl-C": Fault("^C in the terminal", 130, lambda t, second: t.type(b"\x03")),
}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--faults", nargs="*", choices=FAULTS, default=list(FAULTS))
    chosen = options.parse_args()
    chance, rows = np.random.default_rng(chosen.seed), []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        draw(home / "photos")
        for name in chosen.faults:
            fault = FAULTS[name]
            status = fault.status or "not 0"
            goal = f"exit {status} within {BOUND:.0f} s, no process left, checkpoint whole, resumes"
            why = (one_fault(home, fault, chance) for _ in range(chosen.repeats))
            rows.append(tally(name, fault.command, goal, why))
    finish(rows, chosen.csv)


def one_fault(home: Path, fault: Fault, chance: np.random.Generator) -> str:
    """Train in a terminal, strike, look, go on for two epochs; what did not hold, in words."""
    training = Underway.begun(home, chance, *TWO)
    process = training.terminal.process
    began = time.monotonic()
    fault.strike(training.terminal, second_rank(process.pid))
    status, lines = training.ended(BOUND), training.terminal.lines
    if status is None:
        return f"it did not end: {lines[-800:]}"
    status = 128 - status if status < 0 else status
    left = outliving("", process.pid, seconds=max(1.0, BOUND - (time.monotonic() - began)))
    print(f"  it ended after {time.monotonic() - began:.1f} s", flush=True)
    if left:
        return f"left behind: {left}"
    if status != fault.status if fault.status else status == 0:
        return f"exit {status}: {lines[-800:]}"
    if fault.status in (130, 143) and "Traceback" in lines:
        return f"a traceback: {lines[-800:]}"
    return training.harm()


def second_rank(first: int) -> int:
    """The process number of the other rank."""
    for child in psutil.Process(first).children():
        if child.environ().get("LOCAL_RANK") == "1":
            return child.pid
    raise SystemExit("there is no second rank")


if __name__ == "__main__":
    main()
