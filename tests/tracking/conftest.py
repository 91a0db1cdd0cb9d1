"""One migrated database for all tests of this room: making one takes seconds, copying it nothing."""

import functools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fishnet.tracking.session import RunSession, start_run
from fishnet.tracking.store import Store, open_store


@pytest.fixture(autouse=True)
def _no_address_from_outside(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def _migrated(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("migrated")
    open_store(str(home), home=home)
    from mlflow.store.db import utils as schema

    # half a second for each new path: it reads all migrations to learn which is the last
    schema._get_latest_schema_revision = functools.cache(schema._get_latest_schema_revision)
    return home / "mlflow.db"


@pytest.fixture
def store(tmp_path, _migrated) -> Store:
    """An embedded store of this test's own, in tmp_path/home."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(_migrated, home / "mlflow.db")
    return open_store(str(home), home=home)


@pytest.fixture
def session(store, tmp_path) -> Iterator[RunSession]:
    run = start_run(store, experiment="reef", folder=tmp_path / "run", run_name="one")
    yield run
    run.finish()
