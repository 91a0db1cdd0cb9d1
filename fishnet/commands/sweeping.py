"""The parent of a multirun: made before the first job, told the mean of its children after the last."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from fishnet.errors import Interrupted
from fishnet.tracking.compare import compare
from fishnet.tracking.runs import end_parent, start_parent
from fishnet.tracking.store import open_store

from .building import PARENT, SWEPT
from .entry import parsed
from .folders import made, timed

SWEEP_FOLDER = "FISHNET_SWEEP_FOLDER"


@contextmanager
def parent_run(base: DictConfig, overrides: list[str]) -> Iterator[None]:
    """Jobs find the parent's id in the environment, also those that a launcher starts as processes."""
    home = Path.cwd()
    store = open_store(base.tracking.uri, home=home)
    swept = [override.get_key_element() for override in parsed(overrides) if override.is_sweep_override()]
    with made(timed("sweep")) as folder:
        session = start_parent(
            store,
            experiment=base.tracking.experiment,
            folder=folder,
            run_name=base.name or "-".join(["sweep", *(key.split(".")[-1] for key in swept)]),
            tags={"fishnet.command": "train -m"},
        )
        told = {PARENT: session.run_id, SWEPT: ",".join(swept), SWEEP_FOLDER: str(folder)}
        os.environ.update(told)
        status = "FAILED"
        try:
            yield
            status = "FINISHED"
        except (KeyboardInterrupt, Interrupted):
            status = "KILLED"
            raise
        finally:
            for name in told:
                os.environ.pop(name, None)
            metric = f"best/{base.monitor.replace('/', '_', 1)}"
            end_parent(session, metric=metric, largest=not metric.endswith(("loss", "error")), status=status)
            console = Console(width=None if sys.stdout.isatty() else 160)
            compare(uri=base.tracking.uri, home=home, parent=session.run_id, last=100, console=console)
