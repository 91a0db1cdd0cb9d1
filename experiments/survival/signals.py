"""Trainings with loading processes that are ended by signals to the whole group, as terminals and schedulers send them.

    python -m experiments.survival.signals --repeats 10 --csv faults.csv

A row a fault: how many of the repeats ended with the right exit status, without a traceback, with a whole checkpoint
that is not older than the one before, and went on from there by `resume=`.
"""

import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fishnet.models.checkpoint import read_checkpoint, verified

from .__main__ import draw
from .faults import finish, parser, tally

SETTINGS = [
    *("data=folder", "data.image_size=32", "data.batch_size=4", "data.group=none", "data.workers=2"),
    *("model.backbone=cnn", "model.pretrained=false", "model.backbone_args.filters=[8,16]"),
    *("trainer.accelerator=cpu", "trainer.precision=32-true", "trainer.max_epochs=100000", "test=false"),
    *("callbacks.heatmaps=null", "callbacks.early_stopping=null", "callbacks.report.resamples=50"),
]
LONGEST = 0.5  # seconds of training before the signal, at random: steps, validations and checkpoints take turns


class Fault(NamedTuple):
    command: str  # what a user would type to do the same
    status: int
    strike: "Callable[[Terminal], None]"


class Terminal:
    """`fishnet …` as the leader of a session with a terminal of its own, whose lines are kept in a file."""

    def __init__(self, home: Path, arguments: list[str]) -> None:
        self.file = home / f"said-{time.monotonic_ns()}.txt"
        self._handle, end = pty.openpty()
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", TAKE_TERMINAL, *arguments],
            cwd=home, env=environment, stdin=end, stdout=end, stderr=end, start_new_session=True,
        )  # fmt: skip
        os.close(end)
        self._closing = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with self.file.open("wb") as file:
            while not self._closing.is_set():
                if select.select([self._handle], [], [], 0.05)[0]:
                    try:
                        file.write(os.read(self._handle, 65536))
                    except OSError:  # the last process with this terminal has ended
                        return
                    file.flush()

    @property
    def lines(self) -> str:
        return self.file.read_text(errors="replace") if self.file.exists() else ""

    def type(self, keys: bytes) -> None:
        os.write(self._handle, keys)

    def close(self) -> None:
        """The kernel sends SIGHUP to its processes, and what they write is an error from now on."""
        self._closing.set()
        self._reader.join()
        os.close(self._handle)


TAKE_TERMINAL = """
import fcntl, signal, sys, termios
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background, or nohup, ignores them
signal.signal(signal.SIGHUP, signal.SIG_DFL)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from fishnet.__main__ import main
main()
"""


def twice(terminal: Terminal) -> None:
    terminal.type(b"\x03")
    time.sleep(0.1)  # as a person presses it
    terminal.type(b"\x03")


FAULTS = {
    "SIGTERM to the process group": Fault(
        "kill -TERM -- -PGID", 143, lambda t: os.killpg(t.process.pid, signal.SIGTERM)
    ),
    "Ctrl-C twice": Fault("^C ^C in the terminal", 130, twice),
    "SIGHUP to the process group": Fault("kill -HUP -- -PGID", 129, lambda t: os.killpg(t.process.pid, signal.SIGHUP)),
    "the terminal is closed": Fault("the window of the terminal is closed", 129, Terminal.close),
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
            goal = f"exit {fault.status}, checkpoint, no traceback, resumes"
            why = (one_fault(home, fault, chance) for _ in range(chosen.repeats))
            rows.append(tally(name, fault.command, goal, why))
    finish(rows, chosen.csv)


class Underway(NamedTuple):
    """A training in a terminal, at a random moment behind its first checkpoint.

    Args:
        terminal: in which it runs.
        out: the run's folder.
        step: of the checkpoint that it had.
    """

    terminal: Terminal
    out: Path
    step: int

    @classmethod
    def begun(cls, home: Path, chance: np.random.Generator, *settings: str) -> "Underway":
        out = home / f"run-{chance.integers(2**32):08x}"
        last = out / "checkpoints" / "last.ckpt"
        terminal = Terminal(home, ["train", "data.root=photos", *SETTINGS, *settings, f"out={out.name}"])
        while not verified(last):
            if terminal.process.poll() is not None:
                raise SystemExit(terminal.lines)
            time.sleep(0.05)
        step = read_checkpoint(last)["global_step"]
        time.sleep(chance.uniform(0, LONGEST))
        return cls(terminal, out, step)

    def ended(self, seconds: float) -> int | None:
        """The exit status, below 0 where a signal itself has ended it; None where it did not end in so many seconds and
        was killed."""
        try:
            return self.terminal.process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.terminal.process.pid, signal.SIGKILL)
            return None

    def harm(self, seconds: float = 240) -> str:
        """What is wrong with its checkpoint, or with going on from there for two epochs; or nothing."""
        last = self.out / "checkpoints" / "last.ckpt"
        if not verified(last) or read_checkpoint(last)["global_step"] < self.step:
            return "no whole checkpoint, or an older one"
        epochs = read_checkpoint(last)["epoch"] + 2
        again = Terminal(self.out.parent, ["train", f"resume={self.out.name}", f"trainer.max_epochs={epochs}"])
        code = again.process.wait(seconds)
        return "" if code == 0 else f"resume: exit {code}, {again.lines[-600:]}"


def one_fault(home: Path, fault: Fault, chance: np.random.Generator) -> str:
    """Train in a terminal, strike, look, go on for two epochs; what did not hold, in words."""
    training = Underway.begun(home, chance)
    fault.strike(training.terminal)
    status, lines = training.ended(60), training.terminal.lines
    if status is None:
        return f"it did not end: {lines[-600:]}"
    if status != fault.status or "Traceback" in lines:
        return f"exit {status}, {lines[-600:]}"
    return training.harm()


if __name__ == "__main__":
    main()
