"""The parent of a multirun: made before the first job, told the mean of its children after the last."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from fishnet.environment import PARENT_RUN, SWEEP_FOLDER, SWEPT_KEYS
from fishnet.errors import Interrupted
from fishnet.measure.metrics import direction
from fishnet.tracking.compare import compare
from fishnet.tracking.runs import end_parent, start_parent
from fishnet.tracking.store import open_store

from .folders import made, timed


@contextmanager
def parent_run(base: DictConfig, swept: list[str]) -> Iterator[None]:
    """A parent for the jobs that `base` and each value of the `swept` keys make.

    Jobs find the parent's id in the environment, also those that a launcher starts as processes.
    """
    home = Path.cwd()
    store = open_store(base.tracking.uri, home=home)
    with made(timed("sweep")) as folder:
        session = start_parent(
            store,
            experiment=base.tracking.experiment,
            folder=folder,
            run_name=base.name or "-".join(["sweep", *(key.split(".")[-1] for key in swept)]),
            tags={"fishnet.command": "train -m"},
        )
        passed_on = {PARENT_RUN: session.run_id, SWEPT_KEYS: ",".join(swept), SWEEP_FOLDER: str(folder)}
        os.environ.update(passed_on)
        status = "FAILED"
        try:
            yield
            status = "FINISHED"
        except (KeyboardInterrupt, Interrupted):
            status = "KILLED"
            raise
        finally:
            for name in passed_on:
                os.environ.pop(name, None)
            metric = f"best/{base.monitor.replace('/', '_', 1)}"
            end_parent(session, metric=metric, largest=direction(metric) == "max", status=status)
            console = Console(width=None if sys.stdout.isatty() else 160)
            compare(uri=base.tracking.uri, home=home, parent=session.run_id, last=100, console=console)
