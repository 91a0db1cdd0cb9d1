"""The parent of a multirun: made before the first job, told the mean of its children after the last."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from fishnet.tracking.compare import compare
from fishnet.tracking.runs import end_parent, run_name, start_parent
from fishnet.tracking.store import open_store

from .building import PARENT


@contextmanager
def parent_run(base: DictConfig, overrides: list[str]) -> Iterator[None]:
    """Jobs find the parent's id in the environment, also those that a launcher starts as processes."""
    home = Path.cwd()
    store = open_store(base.tracking.uri, home=home)
    folder = home / "outputs" / f"{time.strftime('%Y-%m-%d_%H-%M-%S')}_parent"
    session = start_parent(
        store,
        experiment=base.tracking.experiment,
        folder=folder,
        run_name=base.name or run_name(overrides, fallback="sweep"),
        tags={"fishnet.command": "train -m"},
    )
    os.environ[PARENT] = session.run_id
    status = "FAILED"
    try:
        yield
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        del os.environ[PARENT]
        metric = f"best/{base.monitor.replace('/', '_', 1)}"
        end_parent(session, metric=metric, largest=not metric.endswith(("loss", "error")), status=status)
        console = Console(width=None if sys.stdout.isatty() else 160)
        compare(uri=base.tracking.uri, home=home, parent=session.run_id, last=100, console=console)
