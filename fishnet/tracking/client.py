"""The door to MLflow: its switches are set before it is first imported, because it reads many of them only then.

Importing this module costs nothing; `client_for` pays the two seconds of MLflow's own import.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

SWITCHES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    # MLflow's defaults (7 retries, 120 s) block for minutes; our outbox retries by itself, in the background.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}

# What the store says about a record that it will never take, however often it is sent.
REFUSALS = {
    "INVALID_PARAMETER_VALUE",
    "BAD_REQUEST",
    "RESOURCE_DOES_NOT_EXIST",
    "RESOURCE_ALREADY_EXISTS",
    "INVALID_STATE",
}


def set_switches() -> None:
    """A value the user has set in the environment wins."""
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)


def client_for(uri: str) -> MlflowClient:
    set_switches()
    from mlflow import MlflowClient

    for noisy in ("alembic", "mlflow.store.db", "git"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def is_refusal(error: Exception) -> bool:
    """True: the record itself is at fault. False: the store is away or busy, and may take it later."""
    return getattr(error, "error_code", None) in REFUSALS


def one_line(error: BaseException, limit: int = 160) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"
