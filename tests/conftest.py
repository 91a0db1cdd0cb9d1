"""What every test may use: photos drawn on the spot, and silence from trackers and hubs."""

import os
import signal
from pathlib import Path

import pytest

from tests.support.drawing import draw_folder

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # models this small only wait for a second thread
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background would ignore it,
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and one below nohup this


@pytest.fixture(scope="session")
def shapes(tmp_path_factory) -> Path:
    """Three classes of sixteen drawn photos; shared, so never written to."""
    return draw_folder(tmp_path_factory.mktemp("shapes"), photos=16)
