"""What runs are called, where they lie, and how several become one: the parent of a sweep or of folds."""

from __future__ import annotations

import logging
import math
import re
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .client import one_line
from .names import BEST_CHILD, BEST_CHILD_NAME, FOLDER, PARENT, ROLE
from .session import RunSession, start_run
from .store import Store, open_store

if TYPE_CHECKING:
    from mlflow.entities import Run

log = logging.getLogger("fishnet.tracking")

SUMMARISED = ("test/", "best/")
ID_LENGTH, SHORTEST = 32, 6  # of a run's id, and of its beginning where that is enough

# Keys that say where and not what, or that the name already says otherwise.
_UNNAMED = ("hydra", "tracking", "callbacks", "out", "name", "resume", "test", "checkpoint", "folds", "root", "seed")
_SELF_EVIDENT = ("backbone", "optimizer", "scheduler", "augment", "data", "experiment", "trainer")


# ---- names


def run_name(overrides: Sequence[str], *, number: int | None = None, fallback: str = "run") -> str:
    """`t003-lr0.1-resnet101-f2`: the trial and what was asked for, so that runs are told apart in any chart."""
    parts = [] if number is None else [f"t{number:03d}"]
    for override in overrides:
        key, _, value = override.lstrip("+").partition("=")
        part = _name_part(key, value)
        if part:
            parts.append(part)
    return "-".join(parts)[:80].strip("-.") or fallback


def _name_part(key: str, value: str) -> str:
    first, last = key.split(".")[0], key.split(".")[-1]
    if key.startswith("~") or first in _UNNAMED or last in _UNNAMED or value in ("", "null"):
        return ""
    word = re.sub(r"[^A-Za-z0-9]+", "-", last).strip("-")
    if value in ("true", "false"):
        return word if value == "true" else f"no-{word}"
    plain = re.sub(r"[^A-Za-z0-9.+]+", "-", Path(value).stem if "/" in value else value).strip("-.")[:24]
    if last == "fold":
        return f"f{plain}"
    return plain if last in _SELF_EVIDENT else f"{word}{plain}"


def git_commit() -> str | None:
    """The commit of fishnet's own code, with a `+` when it was changed since; None for an installed wheel."""
    house = Path(__file__).parent.parent.parent
    if not (house / ".git").exists():
        return None
    try:
        head = _git(house, "rev-parse", "HEAD")
        return f"{head}+" if _git(house, "status", "--porcelain", "--untracked-files=no") else head
    except (OSError, subprocess.SubprocessError):
        return None


def _git(house: Path, *arguments: str) -> str:
    command = ["git", "-C", str(house), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()


def folder_of(run_id: str, *, uri: str | None, home: Path) -> Path | None:
    """Where a run keeps its files; None when the store knows no such run. Six letters of its id are enough."""
    from mlflow.exceptions import MlflowException

    from fishnet.errors import BadInput

    try:
        store = open_store(uri, home=home, create=False)
        found = [store.client().get_run(run_id)] if len(run_id) == ID_LENGTH else _begins_with(run_id, store)
    except (BadInput, MlflowException):
        return None
    if len(found) > 1:
        raise BadInput(f"{run_id} begins the ids of {len(found)} runs: give more of it.")
    folder = found[0].data.tags.get(FOLDER) if found else None
    return Path(folder) if folder else None


def _begins_with(beginning: str, store: Store) -> list[Run]:
    """The runs whose id begins so; MLflow cannot search for that."""
    if len(beginning) < SHORTEST or not set(beginning) <= set("0123456789abcdef"):
        return []
    client, found, token = store.client(), [], None
    experiments = [experiment.experiment_id for experiment in client.search_experiments(max_results=1000)]
    while True:
        page = client.search_runs(experiments, max_results=1000, page_token=token)
        found += [run for run in page if run.info.run_id.startswith(beginning)]
        token = page.token
        if not token:
            return found


# ---- parents


def start_parent(
    store: Store, *, experiment: str, folder: Path, run_name: str | None = None, tags: Mapping[str, Any] | None = None
) -> RunSession:
    """The run under which the runs of a sweep or of folds are folded in the UI; give them its `run_id` as parent."""
    return start_run(
        store, experiment=experiment, folder=folder, run_name=run_name, tags={**(tags or {}), ROLE: "parent"}
    )


def end_parent(
    session: RunSession, *, metric: str = "best/val_f1_macro", largest: bool = True, status: str = "FINISHED"
) -> str:
    """Summarise the children of the run, then end it."""
    summarise_children(session, metric=metric, largest=largest)
    return session.finish(status)


def summarise_children(session: RunSession, *, metric: str, largest: bool) -> None:
    """Log, in a parent run, the mean ± sd of its children, which the UI cannot compute, and which child was the best.

    Called before the parent ends; raises nothing, for a parent has to end even when the store does not answer.
    """
    try:
        children = children_of(session.store, session.experiment_id, session.run_id)
        _summarise(session, children, metric, largest)
    except Exception as error:
        log.warning("The parent run %s could not be summarised: %s", session.run_name, one_line(error))


def children_of(store: Store, experiment_id: str, parent: str) -> list[Run]:
    return list(store.client().search_runs([experiment_id], f"tags.`{PARENT}` = '{parent}'", max_results=1000))


def _summarise(session: RunSession, children: list[Run], metric: str, largest: bool) -> None:
    finished = [child for child in children if child.info.status == "FINISHED"]
    session.log_metrics({"children/all": len(children), "children/finished": len(finished), **spread(finished)})
    scored = [child for child in finished if math.isfinite(child.data.metrics.get(metric, math.nan))]
    if scored:
        best = (max if largest else min)(scored, key=lambda child: child.data.metrics[metric])
        session.log_metrics({metric: best.data.metrics[metric]})
        session.set_tags({BEST_CHILD: best.info.run_id, BEST_CHILD_NAME: best.info.run_name})


def _summarised(key: str) -> bool:
    return key.startswith(SUMMARISED) and not key.endswith(("_low", "_high"))


def spread(runs: Sequence[Run]) -> dict[str, float]:
    """`mean/…`, `sd/…` (of the sample, from two runs on) and `n/…` of every final figure."""
    result: dict[str, float] = {}
    for key in sorted({key for run in runs for key in run.data.metrics if _summarised(key)}):
        values = [value for run in runs if math.isfinite(value := run.data.metrics.get(key, math.nan))]
        if values:
            result[f"mean/{key}"], result[f"n/{key}"] = statistics.fmean(values), len(values)
        if len(values) > 1:
            result[f"sd/{key}"] = statistics.stdev(values)
    return result
