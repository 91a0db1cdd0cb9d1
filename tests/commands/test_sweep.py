"""A sweep: one parent, a child a job; a job that fails does not take the others with it."""

import os
from pathlib import Path

import pytest

from fishnet.config.compose import compose, swept_keys
from fishnet.environment import SWEEP_FOLDER
from fishnet.runs.sweep import parent_run
from fishnet.tracking.store import open_store
from tests.support.processes import SMALL, fishnet_itself

BRIEF = ["trainer.max_epochs=1", "test=false"]


def family(home: Path):
    """The parent and its children by name; there are no other runs."""
    client = open_store(None, home=home).client()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    found = client.search_runs(experiments)
    (parent,) = [run for run in found if run.data.tags.get("fishnet.role") == "parent"]
    children = {run.info.run_name: run for run in found if run is not parent}
    assert {run.data.tags["mlflow.parentRunId"] for run in children.values()} <= {parent.info.run_id}
    return parent, children


def test_a_parent_and_a_child_a_job(fishnet, tiny, tmp_path):
    ended = fishnet("train", *tiny, *BRIEF, "callbacks.heatmaps=null", "-m", "model.lr=0.01,0.02", "data.seed=0,1")
    assert ended.status == 0, ended.err
    parent, children = family(tmp_path)
    assert sorted(children) == [
        "000 lr 0.01, seed 0",
        "001 lr 0.01, seed 1",
        "002 lr 0.02, seed 0",
        "003 lr 0.02, seed 1",
    ]
    assert {run.info.status for run in (parent, *children.values())} == {"FINISHED"}
    values = [run.data.metrics["best/val_f1_macro"] for run in children.values()]
    assert parent.data.metrics["mean/best/val_f1_macro"] == pytest.approx(sum(values) / 4)
    assert parent.data.metrics["children/finished"] == 4
    folders = {Path(run.data.tags["fishnet.folder"]) for run in children.values()}
    assert sorted(folder.name for folder in folders) == ["0", "1", "2", "3"]
    assert all((folder / "checkpoints" / "best.ckpt").is_file() for folder in folders)
    assert all(name in ended.out for name in children)


def test_a_job_that_fails_does_not_stop_the_others(fishnet, tiny, tmp_path):
    ended = fishnet("train", *tiny, *BRIEF, "callbacks.heatmaps=null", "-m", "model.backbone=cnn,rasnet18,cnn")
    assert ended.status == 2
    (line,) = [line for line in ended.err.splitlines() if line.startswith("fishnet:")]
    assert "rasnet18" in line and "resnet18" in line
    assert "Traceback" not in ended.err
    parent, children = family(tmp_path)
    assert [run.info.status for run in children.values()] == ["FINISHED", "FINISHED"]
    assert parent.info.status == "FAILED"
    assert parent.data.metrics["children/finished"] == 2


def test_two_sweeps_of_one_second_and_one_without_a_swept_key(tmp_path, monkeypatch):
    """No job runs here: what is looked at are the parents, their names and their folders."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.strftime", lambda form, *when: "same-second")
    base = compose("train", ["seed=0"])
    with parent_run(base, swept_keys(["seed=0"])), parent_run(base, swept_keys(["seed=0,1"])):
        assert os.environ[SWEEP_FOLDER].endswith("same-second_sweep-2")
    client = open_store(None, home=tmp_path).client()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    assert sorted(run.info.run_name for run in client.search_runs(experiments)) == ["sweep", "sweep-seed"]
    assert not (tmp_path / "outputs").exists()


@pytest.mark.slow
def test_jobs_in_processes_give_the_same_tree(tmp_path, shapes):
    open_store(None, home=tmp_path)
    joblib = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    sweep = ["-m", "model.backbone=cnn,rasnet18", "model.lr=0.01,0.02"]
    ended = fishnet_itself(tmp_path, "train", f"data.root={shapes}", *SMALL, *BRIEF, *joblib, *sweep)
    assert ended.returncode == 2, ended.stdout
    assert "rasnet18" in ended.stdout and "Traceback" not in ended.stdout
    parent, children = family(tmp_path)
    assert sorted(children) == ["000 cnn, lr 0.01", "001 cnn, lr 0.02"]
    assert {run.info.status for run in children.values()} == {"FINISHED"}
    assert parent.info.status == "FAILED"
    assert parent.data.metrics["children/finished"] == 2
    folders = {Path(run.data.tags["fishnet.folder"]) for run in children.values()}
    assert {folder.name for folder in folders} == {"0", "1"}
    assert len({folder.parent for folder in folders}) == 1
