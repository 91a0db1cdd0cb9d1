"""Runs as a whole: how they are named, where they lie, how a parent sums up its children, which ones are stale."""

from __future__ import annotations

import logging
import math
import re
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fishnet.errors import BadInput

from . import names
from .delivery import deliver
from .journal import FOLDER as UNDELIVERED
from .process import SILENT_FOR, Writer, this_process
from .store import Store, one_line, open_store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from .session import RunSession

log = logging.getLogger("fishnet.tracking")

LONGEST_NAME = 80
ID_LENGTH, SHORTEST = 32, 6  # of a run's id, and of its beginning where that is enough

# Keys that say where and not what, or that the name already says otherwise.
_UNNAMED = ("hydra", "tracking", "callbacks", "out", "name", "resume", "test", "checkpoint", "folds", "root")
_SELF_EVIDENT = ("backbone", "optimizer", "scheduler", "augment", "data", "experiment", "trainer")


# ---- names and folders


def run_name(overrides: Sequence[str], *, subject: str = "", number: int | None = None) -> str:
    """`lake resnet50 frozen, lr 0.1, seed 1`: what was trained on what, and what else was asked for; of a sweep's job
    `003 lr 0.1, fold 2`. So runs can be told apart in any list and any chart.

    Args:
        overrides: as typed, without those that `subject` says already.
        subject: photos and network.
        number: of the job in its sweep.
    """
    pairs = (override.lstrip("+").partition("=") for override in overrides)
    parts = list(filter(None, (_name_part(key, value) for key, _, value in pairs)))
    if number is not None:
        parts = [" ".join([f"{number:03d}", *parts[:1]]), *parts[1:]]
    text = ", ".join(filter(None, [subject, *parts]))
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 2].rpartition(",")[0] + " …"


def _name_part(key: str, value: str) -> str:
    first, last = key.split(".")[0], key.split(".")[-1]
    if key.startswith("~") or first in _UNNAMED or last in _UNNAMED or value in ("", "null"):
        return ""
    word = last.replace("_", " ").strip()
    if value in ("true", "false"):
        return word if value == "true" else f"no {word}"
    shown = re.sub(r"\s+", " ", Path(value).stem if "/" in value else value).strip("[]'\" ")[:24]
    return shown if last in _SELF_EVIDENT else f"{word} {shown}"


def git_commit() -> str | None:
    """The commit of fishnet's own code, with a `+` when it was changed since; None for an installed wheel."""
    house = Path(__file__).parent.parent.parent
    if not (house / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(house), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        head = git("rev-parse", "HEAD")
        return f"{head}+" if git("status", "--porcelain", "--untracked-files=no") else head
    except (OSError, subprocess.SubprocessError):
        return None


def folder_of(run_id: str, *, uri: str | None, home: Path) -> Path | None:
    """Where a run keeps its files; None when the store knows no such run. Six letters of its id are enough."""
    from mlflow.exceptions import MlflowException

    try:
        client = open_store(uri, home=home, create=False).client()
        runs: list[Run] = []
        if len(run_id) == ID_LENGTH:
            runs = [client.get_run(run_id)]
        elif len(run_id) >= SHORTEST and set(run_id) <= set("0123456789abcdef"):  # MLflow cannot search for that
            experiments = [experiment.experiment_id for experiment in client.search_experiments(max_results=1000)]
            runs = [run for run in search(client, experiments) if run.info.run_id.startswith(run_id)]
    except (BadInput, MlflowException):
        return None
    if len(runs) > 1:
        raise BadInput(f"{run_id} begins the ids of {len(runs)} runs: give more of it.")
    folder = runs[0].data.tags.get(names.FOLDER) if runs else None
    return Path(folder) if folder else None


def search(client: MlflowClient, experiments: Sequence[str], condition: str = "", most: int | None = None) -> list[Run]:
    """The newest runs that fit the condition, page by page; all of them where `most` is None."""
    runs: list[Run] = []
    token = None
    while most is None or len(runs) < most:
        page = client.search_runs(
            list(experiments),
            condition,
            max_results=1000 if most is None else min(1000, most - len(runs)),
            order_by=["attributes.start_time DESC"],
            page_token=token,
        )
        runs.extend(page)
        token = page.token
        if not token:
            break
    return runs


def metric_curves(store: Store, run_ids: Sequence[str], keys: Sequence[str]) -> dict[str, dict[str, dict[int, float]]]:
    """By run and metric, the values by epoch; of an epoch that was measured twice (resumed) the later one."""
    client = store.client()
    curves: dict[str, dict[str, dict[int, float]]] = {}
    for run_id in run_ids:
        known = set(client.get_run(run_id).data.metrics)
        histories = {key: client.get_metric_history(run_id, key) for key in keys if key in known}
        curves[run_id] = {
            key: {entry.step: entry.value for entry in sorted(history, key=lambda entry: entry.timestamp)}
            for key, history in histories.items()
        }
    return curves


# ---- parents


def summarise_children(session: RunSession, *, metric: str, largest: bool) -> None:
    """Log, in a parent run, the mean ± sd of its children, which the UI cannot compute, and which child was the best.

    The best one has the most of `metric`, or the least where `largest` is false; the parent gets its value. Called
    before the parent ends; raises nothing, for a parent has to end even when the store does not answer.
    """
    try:
        condition = f"tags.`{names.PARENT}` = '{session.run_id}'"
        children = session.store.client().search_runs([session.experiment_id], condition, max_results=1000)
    except Exception as error:
        log.warning("The parent run %s could not be summarised: %s", session.run_name, one_line(error))
        return
    finished = [child for child in children if child.info.status == "FINISHED"]
    summary: dict[str, float] = {names.CHILDREN: len(children), names.CHILDREN_FINISHED: len(finished)}
    final = (names.TEST, names.BEST)
    for key in sorted({key for run in finished for key in run.data.metrics if key.startswith(final)}):
        values = [value for run in finished if math.isfinite(value := run.data.metrics.get(key, math.nan))]
        if values:
            sd = statistics.stdev(values) if len(values) > 1 else math.nan
            mean = statistics.fmean(values)
            summary |= summary_metrics(key, mean=mean, sd=sd, n=len(values))
            if key.startswith(names.TEST) and not key.endswith((names.LOW, names.HIGH)):
                summary[key] = mean  # the column of MLflow's list in which the children have theirs
    session.log_metrics(summary)
    scored = [child for child in finished if math.isfinite(child.data.metrics.get(metric, math.nan))]
    if scored:
        best = (max if largest else min)(scored, key=lambda child: child.data.metrics[metric])
        session.log_metrics({metric: best.data.metrics[metric]})
        session.set_tags({names.BEST_CHILD: best.info.run_id, names.BEST_CHILD_NAME: best.info.run_name})


def summary_metrics(key: str, *, mean: float, sd: float, n: int) -> dict[str, float]:
    """`mean/…`, `n/…` and, from two children on, `sd/…` of a metric: what a parent run says of its children.

    Nothing without children, and nothing of a metric that is the end of an interval.
    """
    if not n or key.endswith((names.LOW, names.HIGH)):
        return {}
    return {f"{names.MEAN}{key}": mean, f"{names.COUNT}{key}": n} | ({f"{names.SD}{key}": sd} if n > 1 else {})


def add_metrics(store: Store, run_id: str, metrics: Mapping[str, float]) -> bool:
    """Log metrics on a run that has ended; False where the store does not hold it."""
    from mlflow.entities import Metric
    from mlflow.exceptions import MlflowException

    client, now = store.client(), int(time.time() * 1000)
    try:
        client.log_batch(run_id, [Metric(names.safe_key(key), value, now, 0) for key, value in metrics.items()])
    except MlflowException as error:  # another store, or deleted since
        log.debug("Run %s takes no metrics: %s", run_id, one_line(error))
        return False
    return True


# ---- stale runs


def tidy(store: Store, root: Path) -> list[str]:
    """Deliver what waits for this store and close the runs of dead processes, before any other work; in sentences.

    What waits lies below `root`, or in a folder that a run of this store names as its own.
    """
    client = store.client()
    folders = {Path(run.data.tags[names.FOLDER]) for run in _unfinished(client) if names.FOLDER in run.data.tags}
    elsewhere = (folder for folder in folders if (folder / UNDELIVERED).is_dir() and not folder.is_relative_to(root))
    sentences = [
        sentence for folder in [root, *sorted(elsewhere)] for sentence in deliver(folder, uri=store.uri, home=root)
    ]
    # afterwards, for the final status of a run may have been among what waited
    return [*sentences, *(f"Run {name} was left by a dead process: now KILLED." for name in close_stale_runs(store))]


def close_stale_runs(store: Store) -> list[str]:
    """Close runs that a dead process left RUNNING, which MLflow itself never does; returns their names.

    They become KILLED, with the time of their last sign of life as their end. A writer on another host, or in another
    container, counts as dead when its heartbeat, due each minute, is ten minutes old; should it only have lost the
    network, its run says RUNNING again as soon as it is back. Runs that fishnet did not write are left alone.
    """
    client = store.client()
    here = this_process()
    closed = []
    for run in _unfinished(client, "attributes.status = 'RUNNING'"):
        writer = Writer.from_tag(run.data.tags.get(names.PROCESS, ""))
        last_sign = float(run.data.tags.get(names.HEARTBEAT) or run.info.start_time / 1000)
        alive = True if writer is None else writer.alive()  # of what fishnet did not write, nothing is known
        if last_sign >= time.time() - SILENT_FOR if alive is None else alive:
            continue
        try:
            client.set_tag(run.info.run_id, names.CLOSED_BY, f"process {here.pid} on {here.host}: its writer was dead")
            client.set_terminated(run.info.run_id, "KILLED", int(last_sign * 1000))
            closed.append(run.info.run_name)
        except Exception as error:  # deleted or closed by another command in between: not this command's concern
            log.warning("Run %s could not be closed: %s", run.info.run_name, one_line(error))
    return closed


def _unfinished(client: MlflowClient, condition: str = "attributes.status != 'FINISHED'") -> list[Run]:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(experiments, condition, max_results=1000))
