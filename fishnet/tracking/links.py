"""Addresses inside the MLflow UI: a new browser opens it in another mode, so the way in is said outright."""

import json
from collections.abc import Sequence
from urllib.parse import quote, urlencode

from .store import Store
from .ui_columns import SORTED_BY, VIEW

PORT = 5000
TRAINING = {"workflowType": "machine_learning"}  # the mode in which MLflow shows runs; its own default is GenAI


def base_of(store: Store, port: int = PORT) -> str:
    """The server's own address, or where `fishnet ui` will serve an embedded store."""
    return store.uri if store.is_server else f"http://127.0.0.1:{port}"


def runs_link(base: str, experiment_id: str) -> str:
    """The table with our columns; parents are closed, [+] opens them."""
    return _address(base, f"experiments/{experiment_id}/runs", {"viewStateShareKey": VIEW})


def charts_link(base: str, experiment_id: str) -> str:
    """Sorted by a figure, because MLflow then lists children beside their parents and draws what it lists."""
    wanted = {
        "compareRunsMode": "CHART",
        "searchFilter": "metrics.`optim/lr` > 0",  # trained ones: no parents
        "orderByKey": SORTED_BY,
        "orderByAsc": "false",
    }
    return _address(base, f"experiments/{experiment_id}/runs", wanted)


def run_link(base: str, experiment_id: str, run_id: str, page: str = "") -> str:
    """`page`: model-metrics, or artifacts/ and the path of a file, which then lies open."""
    return _address(base, f"experiments/{experiment_id}/runs/{run_id}" + (f"/{quote(page)}" if page else ""), {})


def compare_link(base: str, experiment_ids: Sequence[str], run_ids: Sequence[str]) -> str:
    chosen = {"runs": run_ids, "experiments": experiment_ids}
    lists = {name: json.dumps(list(ids), separators=(",", ":")) for name, ids in chosen.items()}
    return _address(base, "compare-runs", lists)


def _address(base: str, page: str, query: dict[str, str]) -> str:
    return f"{base}/#/{page}?{urlencode({**query, **TRAINING}, quote_via=quote, safe='')}"
