"""Trainings of two processes (gloo, on the CPU) that lose one of them, or are ended by signals.

    python -m experiments.survival.ddp --repeats 5 --csv faults.csv

It counts as held if no process of the training is left after two minutes, the exit status is right (any but 0 where a
rank was killed), no traceback was shown but of a killed rank's peer, the checkpoint is whole and no older than before,
and `resume=` goes on from it.
"""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

from fishnet.models.checkpoint import read_checkpoint, verified

from .__main__ import draw
from .faults import finish, outliving, parser, tally
from .signals import LONGEST, SETTINGS, Terminal

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
    out = home / f"run-{chance.integers(2**32):08x}"
    last = out / "checkpoints" / "last.ckpt"
    training = Terminal(home, ["train", "data.root=photos", *SETTINGS, *TWO, f"out={out.name}"])
    while not verified(last):
        if training.process.poll() is not None:
            raise SystemExit(training.lines)
        time.sleep(0.05)
    before = read_checkpoint(last)["global_step"]
    time.sleep(chance.uniform(0, LONGEST))
    began = time.monotonic()
    fault.strike(training, second_rank(training.process.pid))
    try:
        training.process.wait(BOUND)
    except subprocess.TimeoutExpired:
        os.killpg(training.process.pid, signal.SIGKILL)
        return f"it did not end: {training.lines[-800:]}"
    left = outliving("", training.process.pid, seconds=max(1.0, BOUND - (time.monotonic() - began)))
    print(f"  it ended after {time.monotonic() - began:.1f} s", flush=True)
    code = training.process.returncode
    code = 128 - code if code < 0 else code
    if left:
        return f"left behind: {left}"
    if code != fault.status if fault.status else code == 0:
        return f"exit {code}: {training.lines[-800:]}"
    if fault.status in (130, 143) and "Traceback" in training.lines:
        return f"a traceback: {training.lines[-800:]}"
    if not verified(last) or read_checkpoint(last)["global_step"] < before:
        return "no whole checkpoint, or an older one"
    epochs = read_checkpoint(last)["epoch"] + 2
    again = Terminal(home, ["train", f"resume={out.name}", f"trainer.max_epochs={epochs}"])
    return "" if again.process.wait(240) == 0 else f"resume: exit {again.process.returncode}, {again.lines[-600:]}"


def second_rank(first: int) -> int:
    """The process number of the other rank."""
    for child in psutil.Process(first).children():
        if child.environ().get("LOCAL_RANK") == "1":
            return child.pid
    raise SystemExit("there is no second rank")


if __name__ == "__main__":
    main()
