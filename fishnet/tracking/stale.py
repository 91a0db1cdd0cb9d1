"""Closes runs that a dead process left RUNNING, which MLflow itself never does.

On this host the process is asked for. A writer on another host (or in another container) is believed dead when its
heartbeat, due each minute, is ten minutes old; should it only have lost the network, its run says RUNNING again as
soon as it is back. Runs that fishnet did not write are left alone.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .client import one_line
from .journal import FOLDER as WAITING
from .names import CLOSED_BY, FOLDER, HEARTBEAT, PROCESS
from .outbox import deliver
from .process import Writer, this_process
from .store import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

log = logging.getLogger("fishnet.tracking")

SILENT_FOR = 600.0


def tidy(store: Store, root: Path) -> list[str]:
    """What each command does first: deliver what waits for this store, close what died; in sentences.

    What waits lies below `root`, or in a folder that a run of this store has told as its own.
    """
    places = [root, *_folders_elsewhere(store, root)]
    delivered = [said for place in places for said in deliver(place, uri=store.uri)]  # a run's last word may be in it
    closed = close_stale_runs(store)
    return [*delivered, *(f"Run {name} was left by a dead process: now KILLED." for name in closed)]


def close_stale_runs(store: Store) -> list[str]:
    """The names of the runs that are now KILLED, with the time of their last sign of life as their end."""
    client = store.client()
    closed = []
    for run in _running(client):
        if _dead(run):
            try:
                _close(client, run)
            except Exception as error:  # deleted or closed by another command in between: not this command's concern
                log.warning("Run %s could not be closed: %s", run.info.run_name, one_line(error))
            else:
                closed.append(run.info.run_name)
    return closed


def _folders_elsewhere(store: Store, root: Path) -> list[Path]:
    """Of runs whose last word has not arrived, and that were given another folder."""
    client = store.client()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, "attributes.status != 'FINISHED'", max_results=1000)
    told = {Path(run.data.tags[FOLDER]) for run in runs if FOLDER in run.data.tags}
    return sorted(place for place in told if (place / WAITING).is_dir() and not place.is_relative_to(root))


def _running(client: MlflowClient) -> list[Run]:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    found = client.search_runs(experiments, "attributes.status = 'RUNNING'", max_results=1000)
    return [run for run in found if PROCESS in run.data.tags]


def _dead(run: Run) -> bool:
    writer = Writer.from_tag(run.data.tags[PROCESS])
    if writer is None:
        return False
    alive = writer.alive()
    return _last_sign(run) < time.time() - SILENT_FOR if alive is None else not alive


def _last_sign(run: Run) -> float:
    return float(run.data.tags.get(HEARTBEAT) or run.info.start_time / 1000)


def _close(client: MlflowClient, run: Run) -> None:
    here = this_process()
    client.set_tag(run.info.run_id, CLOSED_BY, f"process {here.pid} on {here.host}: its writer was dead")
    client.set_terminated(run.info.run_id, "KILLED", int(_last_sign(run) * 1000))
