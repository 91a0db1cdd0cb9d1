"""A run that was stopped goes on as if it had not been: the same photos, the same rates, the same weights."""

import json
import math
import signal
from pathlib import Path

import pandas as pd
import pytest
import torch

from fishnet.callbacks.report import curves_file
from fishnet.measure.report import TestReport
from fishnet.tracking.store import open_store
from tests.support.drawing import draw_folder

SETTINGS = [
    "trainer.max_epochs=4",
    "model.dropout=0.3",
    "model.lr=0.05",
    "model.patience=0",
    "data.augment=light",
    "data.batch_size=8",
    "test=false",
    "callbacks.heatmaps=null",
]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def equal(first: Path, second: Path) -> bool:
    one, two = weights(first), weights(second)
    return all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(
    ("moment", "number"),
    [((1, 2), signal.SIGTERM), ((0, 0), signal.SIGUSR1), ((2, 2), signal.SIGINT), ((1, 3), signal.SIGTERM)],
    ids=["mid-epoch", "first-step", "late", "last-step"],
)
def test_a_stopped_run_goes_on_exactly(fishnet, tiny, tmp_path, watched, moment, number):
    steps, stop_at = watched
    assert fishnet("train", *tiny, *SETTINGS, "out=whole").status == 0
    undisturbed = list(steps)
    steps.clear()
    stop_at[moment] = number
    ended = fishnet("train", *tiny, *SETTINGS, "out=parts")
    assert ended.status == 128 + number
    assert ended.err.endswith("are kept in last.ckpt. Go on with: fishnet train resume=parts\n")
    assert len(steps) < len(undisturbed)
    assert fishnet("train", "resume=parts").status == 0
    assert steps == undisturbed
    assert equal(tmp_path / "whole", tmp_path / "parts")
    whole, parts = (pd.read_csv(curves_file(tmp_path / name), index_col="epoch") for name in ("whole", "parts"))
    validated = [key for key in whole if key.startswith("val/")]  # training's metrics are of the steps since the stop
    pd.testing.assert_frame_equal(parts[validated], whole[validated])


def test_a_table_of_metrics_goes_on_where_the_checkpoint_is(fishnet, tiny, tmp_path, watched):
    """Rows of steps that are trained again are there once, and those before are kept."""
    stop_at, settings = watched[1], [*SETTINGS, "trainer.log_every_n_steps=1", "logger=csv", "tracking.offline=true"]
    assert fishnet("train", *tiny, *settings, "out=whole").status == 0
    stop_at[2, 2] = signal.SIGTERM
    assert fishnet("train", *tiny, *settings, "out=parts").status == 143
    table = tmp_path / "parts/csv/metrics.csv"
    rows = table.read_text().splitlines()
    later = rows[-1].split(",")
    later[rows[0].split(",").index("step")] = "999"
    table.write_text("\n".join([*rows, ",".join(later)]) + "\n")  # as a kill behind the checkpoint would leave it
    assert fishnet("train", "resume=parts").status == 0
    whole, parts = (pd.read_csv(tmp_path / name / "csv/metrics.csv") for name in ("whole", "parts"))
    shown = ["step", "epoch", *(key for key in whole if key.startswith("val/"))]
    pd.testing.assert_frame_equal(
        parts[shown].dropna().reset_index(drop=True), whole[shown].dropna().reset_index(drop=True)
    )
    assert sorted(parts["step"]) == sorted(whole["step"])


def test_a_signal_without_a_last_checkpoint_ends_at_the_step_and_says_so(fishnet, tiny, tmp_path, watched):
    steps, stop_at = watched
    stop_at[1, 2] = signal.SIGTERM
    ended = fishnet("train", *tiny, *SETTINGS, "callbacks.last=null", "out=run")
    assert ended.status == 128 + signal.SIGTERM
    assert steps[-1][:2] == (1, 2)
    assert "nothing of this epoch was kept" in ended.err and "Traceback" not in ended.err
    assert not (tmp_path / "run" / "checkpoints" / "last.ckpt").exists()


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("trainer.max_epochs=1", ["trainer.max_epochs=1", "epoch 2", "2 or more"]),
        ("model.lr=0.5", ["model.lr=0.01"]),
        ("model.scheduler=cosine", ["model.scheduler=plateau"]),
        ("data.augment=none", ["data.augment=light"]),
        ("data.seed=1", ["data.seed=0"]),
        ("seed=1", ["seed=0"]),
        ("model=classifier", ["model"]),
        ("trainer.precision=none", ["trainer"]),
    ],
)
def test_what_cannot_be_changed_in_mid_run_is_refused_and_not_written_down(fishnet, trained, override, words):
    before = (trained / "config" / "config.yaml").read_text()
    ended = fishnet("train", "resume=run", override)
    assert ended.status == 2
    (line,) = [line for line in ended.err.splitlines() if line.startswith("fishnet:")]
    assert all(word in line for word in words), line
    assert (trained / "config" / "config.yaml").read_text() == before


def test_a_cosine_keeps_its_length(fishnet, trained):
    saved = trained / "config" / "config.yaml"
    saved.write_text(saved.read_text().replace("scheduler: plateau", "scheduler: cosine"))
    ended = fishnet("train", "resume=run", "trainer.max_epochs=9")
    assert ended.status == 2
    assert "trainer.max_epochs" in ended.err and "cosine" in ended.err


def test_a_folder_of_other_classes_is_refused_by_name(fishnet, trained, tmp_path):
    draw_folder(tmp_path / "photos", ["disc", "box", "newt"], photos=4)
    ended = fishnet("train", "resume=run", f"data.root={tmp_path / 'photos'}")
    assert ended.status == 2
    (line,) = [line for line in ended.err.splitlines() if line.startswith("fishnet:")]
    assert "lacks bar" in line and "also holds newt" in line


def test_the_beginning_of_a_run_id_is_enough_and_each_command_is_written_down(fishnet, trained, monkeypatch):
    run_id = json.loads((trained / "run.json").read_text())["run_id"]
    assert fishnet("train", f"resume={run_id[:5]}").status == 2
    monkeypatch.setenv("FISHNET_COMMAND", f"fishnet train resume={run_id[:6]}")
    monkeypatch.setattr("fishnet.tracking.names.FOLDER", "fishnet.moved")  # the copy of the run, not the original
    client = open_store(None, home=trained.parent).client()
    client.set_tag(run_id, "fishnet.moved", str(trained))
    ended = fishnet("train", f"resume={run_id[:6]}", "trainer.max_epochs=3", "model.lr=0.01")
    assert ended.status == 0, ended.err
    first, second = (trained / "config" / "command.txt").read_text().splitlines()
    assert first.startswith("fishnet train ") and second == f"fishnet train resume={run_id[:6]}"
    assert "max_epochs: 3" in (trained / "config" / "config.yaml").read_text()


def test_an_epoch_that_is_resumed_behind_its_steps_tells_what_they_gave(fishnet, trained):
    """best.ckpt is written in validation: what is resumed there has only the end of an epoch before it."""
    run_id = json.loads((trained / "run.json").read_text())["run_id"]
    ended = fishnet("train", "resume=run/checkpoints/best.ckpt", "trainer.max_epochs=3")
    assert ended.status == 0, ended.err
    assert "nan" not in ended.err
    client = open_store(None, home=trained.parent).client()
    for key in ("train/loss", "train/accuracy", "optim/lr"):
        told: dict[int, set[float]] = {}
        for entry in client.get_metric_history(run_id, key):
            assert math.isfinite(entry.value)
            told.setdefault(entry.step, set()).add(entry.value)
        assert sorted(told) == [0, 1, 2]
        assert all(len(values) == 1 for values in told.values())


@pytest.mark.slow
def test_figures_of_weights_of_before_are_not_shown_as_the_runs_own(fishnet, tiny, tmp_path):
    assert (
        fishnet("train", *tiny, "trainer.max_epochs=1", "model.optimizer=adamw", "monitor=val/loss", "out=run").status
        == 0
    )
    report = tmp_path / "run" / "report"
    assert {*TestReport.FILES} <= {path.name for path in report.iterdir()}
    assert "Right on" in (report / "report.html").read_text()
    same = fishnet("train", "resume=run", "test=false")  # no step more: the weights are those that were tested
    assert same.status == 0 and "taken away" not in same.err, same.err
    assert "Right on" in (report / "report.html").read_text()
    more = fishnet("train", "resume=run", "test=false", "trainer.max_epochs=4")
    assert more.status == 0 and "the figures of that test are taken away" in more.err, more.err
    assert not {*TestReport.FILES} & {path.name for path in report.iterdir()}
    assert not list((tmp_path / "run" / "gradcam").glob("*.jpg")) and (tmp_path / "run" / "gradcam" / "panel").is_dir()
    page = (report / "report.html").read_text()
    store = open_store(None, home=tmp_path).client()
    run_id = json.loads((tmp_path / "run" / "run.json").read_text())["run_id"]
    metrics = store.get_run(run_id).data.metrics
    tested = {name for name in metrics if name.startswith("test")}
    assert {"test/f1_macro", "test/accuracy"} < tested and all(math.isnan(metrics[name]) for name in tested)
    assert math.isfinite(metrics["best/val_f1_macro"])
    assert "Right on" not in page and "There is no report on test photos." in page and "Learning curves" in page


@pytest.mark.slow
def test_folders_that_are_called_like_variables_are_folders(fishnet, tiny, tmp_path, monkeypatch):
    home = tmp_path / "w ${HOME}"  # with a colon it would be refused: no file may have values computed
    draw_folder(home / "p${x}", photos=16)
    monkeypatch.chdir(home)
    settings = [each for each in tiny if not each.startswith("data.root=")]
    typed = ["data.root=p${x}", *settings, "test=false", "callbacks.heatmaps=null", "out=r${y}"]
    assert fishnet("train", *typed, "trainer.max_epochs=1").status == 0
    assert fishnet("train", "resume=r${y}", "trainer.max_epochs=2").status == 0
    best = "checkpoint=r${y}/checkpoints/best.ckpt"
    assert fishnet("evaluate", best, "out=e${z}").status == 0  # on the folder that the run names
    assert fishnet("predict", best, "images=p${x}/*/*.jpg", "out=a${z}.csv").status == 0
    assert {"p${x}", "r${y}", "e${z}", "a${z}.csv"} <= {each.name for each in home.iterdir()}
