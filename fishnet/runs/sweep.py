"""The parent of a multirun: made before the first job; after the last it receives the mean over its children."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from fishnet.environment import PARENT_RUN, SWEEP_FOLDER, SWEPT_KEYS
from fishnet.measure.metrics import direction
from fishnet.tracking import names
from fishnet.tracking.compare import compare
from fishnet.tracking.runs import summarise_children
from fishnet.tracking.session import open_run, start_run
from fishnet.tracking.store import open_store

from .folders import make_folder, timestamped


@contextmanager
def parent_run(base: DictConfig, swept: list[str]) -> Iterator[None]:
    """A parent for the jobs that `base` and each value of the `swept` keys make.

    Jobs find the parent's id in the environment, also those that a launcher starts as processes.
    """
    home = Path.cwd()
    store = open_store(base.tracking.uri, home=home)
    metric = f"best/{base.monitor.replace('/', '_', 1)}"
    with make_folder(timestamped("sweep")) as folder:
        run_name = base.name or "-".join(["sweep", *(key.split(".")[-1] for key in swept)])
        tags = {names.ROLE: "parent", names.COMMAND: "train -m"}
        session = start_run(store, experiment=base.tracking.experiment, folder=folder, run_name=run_name, tags=tags)
        passed_on = {PARENT_RUN: session.run_id, SWEPT_KEYS: ",".join(swept), SWEEP_FOLDER: str(folder)}
        os.environ.update(passed_on)
        try:
            with open_run(lambda: session, outputs=home / "outputs"):
                try:
                    yield
                finally:
                    for name in passed_on:
                        os.environ.pop(name, None)
                    summarise_children(session, metric=metric, largest=direction(metric) == "max")
        finally:
            console = Console(width=None if sys.stdout.isatty() else 160)
            compare(uri=base.tracking.uri, home=home, parent=session.run_id, last=100, console=console)
