"""`fishnet compare deliver=true` sends what a run could not, wherever the run's folder lies."""

import shutil

import pytest

from fishnet.tracking.session import start_run
from fishnet.tracking.store import open_store


@pytest.fixture
def unsent(migrated, tmp_path, monkeypatch):
    """`unsent(folder)`: a run that ended while its store was away; its last word waits in the folder."""
    home = tmp_path
    shutil.copy(migrated / "mlflow.db", home / "mlflow.db")
    store = open_store(None, home=home)

    def away(*arguments, **options):
        raise ConnectionError("Connection refused")

    def make(folder):
        tags = {"fishnet.folder": str(folder)}
        with monkeypatch.context() as patch:
            patch.setattr("fishnet.tracking.delivery.send_waiting", away)
            run = start_run(store, experiment="reef", folder=folder, run_name="one", tags=tags)
            run.log_metrics({"val/loss": 0.5}, step=1)
            assert "wait in" in run.finish(patience=0.1)
        return store, run.run_id

    return make


@pytest.mark.parametrize("place", ["outputs/run", "run", "../elsewhere/run"])
def test_what_waits_is_found(fishnet, unsent, tmp_path, place):
    store, run_id = unsent((tmp_path / place).resolve())
    ended = fishnet("compare", "deliver=true")
    assert ended.status == 0, ended.err
    assert f"Run {run_id}: 1 metric value and 1 other entry delivered." in ended.out
    run = store.client().get_run(run_id)
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"val/loss": 0.5})
    assert "Nothing waits to be delivered." in fishnet("compare", "deliver=true").out


def test_nothing_waits_where_no_runs_are_kept(fishnet):
    assert fishnet("compare", "deliver=true").status == 2
