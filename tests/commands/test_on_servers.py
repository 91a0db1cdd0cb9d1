"""Whole trainings against real tracking servers: what a server gives back is what the embedded store would hold."""

import json
from pathlib import Path

import pytest

from fishnet.tracking.store import Store, open_store
from tests.support.processes import SMALL, Command
from tests.support.servers import postgres_server, sqlite_server

pytestmark = pytest.mark.slow

WHOLE = [
    *(setting for setting in SMALL if setting != "callbacks.heatmaps=null"),
    "callbacks.heatmaps.photos=2",
    "callbacks.heatmaps.per_class=2",
    "trainer.max_epochs=2",
]


@pytest.fixture(scope="module", params=[sqlite_server, postgres_server], ids=["sqlite", "postgres"])
def server(request, tmp_path_factory):
    with request.param(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def embedded(tmp_path_factory, shapes) -> Store:
    """The same training with the store beside it."""
    home = tmp_path_factory.mktemp("embedded")
    store = open_store(None, home=home)
    command = Command(home, "train", f"data.root={shapes}", *WHOLE, "out=run", "tracking.experiment=whole")
    assert command.wait() == 0, command.said
    return store


def runs(store: Store, experiment: str) -> list:
    client = store.client()
    return list(client.search_runs([client.get_experiment_by_name(experiment).experiment_id]))


def told(store: Store, run) -> dict[str, list[tuple[int, float]]]:
    """Every value of every metric that does not measure time."""
    client = store.client()
    keys = [key for key in run.data.metrics if not key.startswith("time/")]
    return {
        key: sorted((one.step, one.value) for one in client.get_metric_history(run.info.run_id, key)) for key in keys
    }


def artifacts(store: Store, run, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    place = Path(store.client().download_artifacts(run.info.run_id, "", str(folder)))
    return {str(path.relative_to(place)): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}


def test_a_whole_run_reads_back_as_from_the_embedded_store(server, embedded, shapes, tmp_path):
    line = [f"data.root={shapes}", *WHOLE, "out=run", "tracking.experiment=whole", f"tracking.uri={server.uri}"]
    command = Command(tmp_path, "train", *line)
    assert command.wait() == 0, command.said
    assert not (tmp_path / "mlflow.db").exists()
    store = open_store(server.uri, home=tmp_path)
    (here,), (there,) = runs(embedded, "whole"), runs(store, "whole")
    assert (there.info.status, there.info.run_name) == ("FINISHED", here.info.run_name)
    assert told(store, there) == told(embedded, here)
    assert there.data.params == here.data.params
    assert set(there.data.tags) == set(here.data.tags)
    same = ("fishnet.command", "fishnet.split_digest", "fishnet.data_digest", "fishnet.git_commit")
    assert {key: there.data.tags.get(key) for key in same} == {key: here.data.tags.get(key) for key in same}
    assert there.inputs.dataset_inputs[0].dataset.digest == here.inputs.dataset_inputs[0].dataset.digest
    kept, served = artifacts(embedded, here, tmp_path / "here"), artifacts(store, there, tmp_path / "there")
    assert sorted(served) == sorted(kept)
    assert {name.split("/")[0] for name in served} >= {"config", "split", "report", "gradcam"}
    local = {name for name in served if (tmp_path / "run" / name).is_file()}
    assert len(local) > 5
    assert all(served[name] == (tmp_path / "run" / name).read_bytes() for name in local)


def test_four_trainings_at_once(server, shapes, tmp_path):
    line = [f"data.root={shapes}", *SMALL, "trainer.max_epochs=2", "tracking.experiment=four", "name=same"]
    line += [f"tracking.uri={server.uri}"]
    commands = [Command(tmp_path, "train", *line, f"out=run{number}", f"seed={number}") for number in range(4)]
    for command in commands:
        assert command.wait(300) == 0, command.said
    store = open_store(server.uri, home=tmp_path)
    found = runs(store, "four")
    assert len({run.info.run_name for run in found}) == 4
    assert {run.info.status for run in found} == {"FINISHED"}
    assert {run.data.params["seed"] for run in found} == {"0", "1", "2", "3"}
    for run in found:
        folder = Path(run.data.tags["fishnet.folder"])
        measured = json.loads((folder / "report" / "metrics.json").read_text())
        assert run.data.metrics["test/accuracy"] == pytest.approx(measured["figures"]["accuracy"]["value"])
        assert sorted(step for step, _ in told(store, run)["val/loss"]) == [0, 1]
        names = {item.path for item in store.client().list_artifacts(run.info.run_id)}
        assert names >= {"config", "split", "report"}


def test_a_server_lost_in_mid_run_gets_the_rest_later(shapes, tmp_path):
    folder = tmp_path / "elsewhere" / "run"  # not below the folder where commands are given
    home = tmp_path / "home"
    with sqlite_server(tmp_path) as server:
        line = [f"data.root={shapes}", *SMALL, "trainer.max_epochs=40", f"tracking.uri={server.uri}", f"out={folder}"]
        command = Command(home, "train", *line)
        command.wait_for((folder / "checkpoints" / "last.ckpt").exists)
        server.kill()
        assert command.wait(300) == 0, command.said
        assert "does not answer" in command.said
        (sentence,) = [text for text in command.said.splitlines() if " wait in " in text]
        assert str(folder / "undelivered") in sentence and "fishnet compare deliver=true" in sentence
        assert "Traceback" not in command.said
        server.start()
        compare = Command(home, "compare", "deliver=true", f"tracking.uri={server.uri}")
        assert compare.wait() == 0, compare.said
        assert "delivered" in compare.said
        store = open_store(server.uri, home=home)
        (run,) = runs(store, "fishnet")
        assert run.info.status == "FINISHED"
        assert [step for step, _ in told(store, run)["val/loss"]] == list(range(40))
        assert {item.path for item in store.client().list_artifacts(run.info.run_id)} >= {"config", "split", "report"}
        assert not (folder / "undelivered").exists()
