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


@pytest.fixture(scope="session")
def home_of_ray(tmp_path_factory) -> Path:
    """Ray leaves a token in the home folder, and its process then asks for that token to the end."""
    return tmp_path_factory.mktemp("home_of_ray")


@pytest.fixture
def ray_at_home(home_of_ray, monkeypatch) -> None:
    """Ray may be started: it reports to nobody, and its files lie in one folder, whichever test comes first."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    monkeypatch.setenv("HOME", str(home_of_ray))
