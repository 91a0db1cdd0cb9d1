"""Addresses and columns of MLflow's UI.

A new browser opens the UI in another mode, and its run table shows no metric by default. So every link names the mode,
and each experiment holds a shared view (a tag that a link can name) with the columns that matter.
"""

import json
from collections.abc import Sequence
from urllib.parse import quote, urlencode

from .names import SHARED_VIEW

PORT = 5000
TRAINING = {"workflowType": "machine_learning"}  # the mode in which MLflow shows runs; its own default is GenAI
VIEW = "fishnet"
SORTED_BY = "metrics.`best/val_f1_macro`"
# column → width in pixels; the first three and the duration are always there
COLUMNS = {
    "0": 60,
    "attributes.`Run Name`": 200,
    "runDateAndNestInfo": 150,
    SORTED_BY: 130,
    "metrics.`test/f1_macro`": 110,
    "metrics.`test/accuracy`": 110,
    "params.`model.backbone`": 130,
    "params.`model.lr`": 80,
    "duration": 80,
    "attributes.`Dataset`": 220,
}


def view_tags() -> dict[str, str]:
    """The shared view as tags of an experiment; always the same text, so that writing it again changes nothing."""
    chosen = [column for column in COLUMNS if "`" in column and "Run Name" not in column]
    state = {"selectedColumns": chosen, "columnOrder": list(COLUMNS), "columnWidths": COLUMNS}
    return {f"{SHARED_VIEW}.{VIEW}": json.dumps({"name": VIEW, "createdAt": 0, "state": json.dumps(state)})}


def runs_link(base: str, experiment_id: str) -> str:
    """The run table with the columns of the shared view; parents are closed, [+] opens them."""
    return _address(base, f"experiments/{experiment_id}/runs", {"viewStateShareKey": VIEW})


def charts_link(base: str, experiment_id: str) -> str:
    """The charts, sorted by a metric: MLflow then lists children beside their parents, and draws what it lists."""
    query = {
        "compareRunsMode": "CHART",
        "searchFilter": "metrics.`optim/lr` > 0",  # trained ones: no parents
        "orderByKey": SORTED_BY,
        "orderByAsc": "false",
    }
    return _address(base, f"experiments/{experiment_id}/runs", query)


def run_link(base: str, experiment_id: str, run_id: str, page: str = "") -> str:
    """A run; `page` is `model-metrics`, or `artifacts/` and the path of a file, which then lies open."""
    return _address(base, f"experiments/{experiment_id}/runs/{run_id}" + (f"/{quote(page)}" if page else ""), {})


def compare_link(base: str, experiment_ids: Sequence[str], run_ids: Sequence[str]) -> str:
    """MLflow's page that compares the runs."""
    chosen = {"runs": run_ids, "experiments": experiment_ids}
    lists = {name: json.dumps(list(ids), separators=(",", ":")) for name, ids in chosen.items()}
    return _address(base, "compare-runs", lists)


def _address(base: str, page: str, query: dict[str, str]) -> str:
    return f"{base}/#/{page}?{urlencode({**query, **TRAINING}, quote_via=quote, safe='')}"
