"""Real processes for slow tests, without paying ten seconds of imports for each: forked from one that has imported all.

Each child is a process of its own with its own number, so it can be killed, and the parent lives on.
"""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from fishnet.config.quoting import quoted

PRELOADED = [
    "fishnet.config.building",
    "fishnet.runs.run",
    "fishnet.config.resuming",
    "fishnet.runs.sweep",
    "fishnet.commands.evaluate",
    "fishnet.models.checkpoint",
    "fishnet.callbacks.heatmaps",
    "fishnet.measure.report",
    "fishnet.measure.pictures",
    "mlflow.store.tracking.rest_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "timm",
]
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

# A training of seconds; what only costs time here is switched off.
SMALL = [
    "data=folder",
    "data.image_size=32",
    "data.batch_size=8",
    "model.backbone=cnn",
    "model.pretrained=false",
    "model.backbone_args.filters=[8,16]",
    "trainer.accelerator=cpu",
    "trainer.precision=32-true",
    "callbacks.heatmaps=null",
    "callbacks.early_stopping=null",
    "callbacks.report.resamples=50",
]

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(PRELOADED)


class Command:
    """One `fishnet <verb> …` in a process of its own; what it says goes to a file."""

    def __init__(self, home: Path, verb: str, *arguments: str, **environment: str) -> None:
        home.mkdir(parents=True, exist_ok=True)
        number = len(list(home.glob("said_*.txt")))
        self.said_in = home / f"said_{number:03d}.txt"
        self.said_in.touch()
        self._process = _context.Process(
            target=_become, args=(verb, list(arguments), home, self.said_in, ONE_THREAD | environment)
        )
        self._process.start()
        atexit.register(self._process.kill)  # whatever a failed test leaves behind
        self.pid = self._process.pid

    @property
    def said(self) -> str:
        return self.said_in.read_text(encoding="utf-8", errors="replace")

    @property
    def running(self) -> bool:
        return self._process.is_alive()

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def signal_group(self, number: int) -> None:
        """To it and all processes that it has started, as a terminal or a scheduler does."""
        os.killpg(self.pid, number)

    def wait_for(self, condition: Callable[[], bool], patience: float = 120.0) -> None:
        """Until it has come that far."""
        deadline = time.monotonic() + patience
        while not condition():
            if not self.running or time.monotonic() > deadline:
                self._process.kill()
                raise AssertionError(f"it did not come that far:\n{self.said[-3000:]}")
            time.sleep(0.05)

    def wait(self, patience: float = 180.0) -> int:
        """The exit status as a shell shows it: 128 + n for a process that died of signal n."""
        self._process.join(patience)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
            raise AssertionError(f"it did not end within {patience:.0f} s:\n{self.said[-3000:]}")
        code = self._process.exitcode
        return 128 - code if code < 0 else code


def environment() -> dict[str, str]:
    """For processes that are not forked: this checkout's fishnet, one thread."""
    return {**os.environ, **ONE_THREAD, "PYTHONPATH": str(Path(__file__).parents[2])}


def fishnet_itself(home: Path, *arguments: str, patience: float = 300.0) -> subprocess.CompletedProcess:
    """The whole way from the command line on, imports and all; stdout holds what it said on both streams."""
    return subprocess.run(
        [sys.executable, "-m", "fishnet", *arguments],
        cwd=home,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=patience,
        check=False,
    )


def _become(verb: str, arguments: list[str], home: Path, said_in: Path, environment: dict[str, str]) -> None:
    os.setsid()
    os.chdir(home)
    os.environ.update(environment)
    file = os.open(said_in, os.O_WRONLY | os.O_APPEND)
    for number in (1, 2):
        os.dup2(file, number)
    sys.argv = [f"fishnet.commands.{verb}", *(quoted(argument, verb) for argument in arguments)]
    runpy.run_module(f"fishnet.commands.{verb}", run_name="__main__", alter_sys=True)
