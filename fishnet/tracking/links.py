"""Addresses inside the MLflow UI: a new browser opens it in another mode, so the way in is said outright."""

import json
from collections.abc import Sequence
from urllib.parse import quote

from .store import Store

PORT = 5000


def base_of(store: Store, port: int = PORT) -> str:
    """The server's own address, or where `fishnet ui` will serve an embedded store."""
    return store.uri if store.is_server else f"http://127.0.0.1:{port}"


def runs_link(base: str, experiment_id: str) -> str:
    return f"{base}/#/experiments/{experiment_id}/runs"


def charts_link(base: str, experiment_id: str) -> str:
    return f"{runs_link(base, experiment_id)}?compareRunsMode=CHART"


def run_link(base: str, experiment_id: str, run_id: str) -> str:
    return f"{runs_link(base, experiment_id)}/{run_id}"


def compare_link(base: str, experiment_ids: Sequence[str], run_ids: Sequence[str]) -> str:
    runs, experiments = (
        quote(json.dumps(list(ids), separators=(",", ":")), safe="") for ids in (run_ids, experiment_ids)
    )
    return f"{base}/#/compare-runs?runs={runs}&experiments={experiments}"
