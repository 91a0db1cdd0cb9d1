"""A checkpoint measured on a folder: called what it is, and told from which run it came."""

import json
import shutil

import pytest

from fishnet import ImageFolderData
from fishnet.errors import BadInput
from fishnet.tracking.store import open_store

BEST = "checkpoint=run/checkpoints/best.ckpt"


def evaluated(home):
    client = open_store(None, home=home).client()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    (run,) = [run for run in client.search_runs(experiments) if run.data.tags["fishnet.command"] == "evaluate"]
    return run


def test_a_whole_folder_is_not_called_a_test_set_and_the_run_knows_its_checkpoint(fishnet, trained, shapes):
    ended = fishnet("evaluate", BEST, f"data.root={shapes}", "callbacks.report.resamples=50", "callbacks.heatmaps=null")
    assert ended.status == 0, ended.err
    assert f"{shapes} (all): value and 95 % interval over groups" in " ".join(ended.out.split())
    assert "test set" not in ended.out + ended.err
    run = evaluated(trained.parent)
    assert run.info.run_name == f"evaluate-{shapes.name}"
    assert run.data.params["checkpoint"] == "run/best.ckpt"
    assert run.data.tags["fishnet.checkpoint"] == str(trained / "checkpoints" / "best.ckpt")
    foreign = ("monitor", "max_epochs", "augment", "val", "test", "patience", "views", "balance")
    assert not [key for key in run.data.params if key.split(".")[-1] in foreign]
    assert run.data.params["part"] == "all"
    assert run.data.metrics["all/accuracy"] <= 1 and "all_class/disc/f1" in run.data.metrics
    assert not [key for key in run.data.metrics if key.startswith("test")]
    (used,) = run.inputs.dataset_inputs
    assert {tag.key: tag.value for tag in used.tags}["mlflow.data.context"] == "evaluate"


def test_a_folder_of_one_class_without_intervals(fishnet, trained, shapes, tmp_path):
    shutil.copytree(shapes / "disc", tmp_path / "lake" / "disc")
    settings = ["callbacks.report.resamples=0", "callbacks.heatmaps=null", "data.root=lake"]
    ended = fishnet("evaluate", BEST, *settings)
    assert ended.status == 0, ended.err
    assert "lake (all): value" in ended.out
    assert "nan" not in ended.out and "interval" not in ended.out
    (report,) = tmp_path.glob("outputs/*_evaluate-lake/report/metrics.json")
    assert json.loads(report.read_text())["photos"] == 16


def test_a_part_of_the_folder_has_the_settings_of_its_split(fishnet, trained, shapes):
    settings = ["callbacks.report.resamples=50", "callbacks.heatmaps=null", "part=test", "data.test=0.3"]
    ended = fishnet("evaluate", BEST, f"data.root={shapes}", *settings)
    assert ended.status == 0, ended.err
    run = evaluated(trained.parent)
    assert "test/accuracy" in run.data.metrics
    assert run.data.params["data.test"] == "0.3"


def test_a_model_of_one_class_against_the_rest_says_how_to_ask_it(shapes):
    data = ImageFolderData(root=str(shapes))
    with pytest.raises(BadInput, match=r"data\.positive=disc"):
        data.for_model(classes=["not disc", "disc"])
    one_class = ImageFolderData(root=str(shapes), positive="disc").for_model(classes=["not disc", "disc"])
    assert one_class.classes == ["not disc", "disc"]
