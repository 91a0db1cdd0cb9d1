"""Verbs as real processes, forked from one that has imported everything, so that a start costs no imports."""

import multiprocessing
import os
import runpy
import signal
import sys
import tempfile
import time
from pathlib import Path

from fishnet.config.quoting import quoted

from .faults import MARK

PRELOADED = [
    "fishnet.config.building",
    "fishnet.config.resuming",
    "fishnet.runs.run",
    "fishnet.models.answer_table",
    "fishnet.explain.maps",
    "fishnet.callbacks.heatmaps",
    "fishnet.measure.report",
    "mlflow.store.tracking.sqlalchemy_store",
    "timm",
]
_context = multiprocessing.get_context("forkserver")


def prepare() -> None:
    """One thread a process: what follows is about files, not about speed."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    _context.set_forkserver_preload(PRELOADED)


def train(home: Path, *arguments: str, temporary: Path, log: Path):
    return begin("train", home, *arguments, temporary=temporary, log=log)


def begin(verb: str, home: Path, *arguments: str, temporary: Path, log: Path):
    """A verb that leads a group of its own, from the return on."""
    process = _context.Process(target=_become, args=(verb, home, list(arguments), temporary, log))
    process.start()
    while process.is_alive() and os.getpgid(process.pid) != process.pid:
        time.sleep(0.001)
    return process


def _become(verb: str, home: Path, arguments: list[str], temporary: Path, log: Path) -> None:
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background ignores it
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and nohup this
    os.chdir(home)
    os.environ["TMPDIR"] = str(temporary)
    os.environ[MARK] = log.stem
    tempfile.tempdir = None  # asked anew: it may have been settled before the fork
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(file, number)
    sys.argv = [f"fishnet.commands.{verb}", *(quoted(argument, verb) for argument in arguments)]
    runpy.run_module(f"fishnet.commands.{verb}", run_name="__main__", alter_sys=True)
