"""Two processes (gloo, on the CPU) are one run: one folder, one entry in the store, and the figures of one process."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
import torch

from fishnet.models.checkpoint import verified
from fishnet.tracking.store import open_store
from tests.support.drawing import draw_folder
from tests.support.processes import SMALL, Command, environment, fishnet_itself

pytestmark = pytest.mark.slow

TWO = ["trainer=ddp", "trainer.devices=2"]


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A run of two processes over an odd number of photos."""
    folder = tmp_path_factory.mktemp("ddp")
    open_store(None, home=folder)
    draw_folder(folder / "photos", photos=23)
    settings = [*SMALL, *TWO, "trainer.accelerator=cpu", "trainer.max_epochs=2", "data.val=0.2", "data.test=0.3"]
    ended = fishnet_itself(folder, "train", "data.root=photos", *settings, "out=run")
    assert ended.returncode == 0, ended.stdout
    assert "Traceback" not in ended.stdout
    return folder


def runs(home: Path) -> dict[str, object]:
    client = open_store(None, home=home).client()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return {Path(run.data.tags["fishnet.folder"]).name: run for run in client.search_runs(experiments)}


def figures(run) -> dict[str, float]:
    return {key: value for key, value in run.data.metrics.items() if key.startswith(("test/", "test_class/"))}


def test_two_processes_are_one_run(home):
    parts = pd.read_csv(home / "run" / "split" / "split.csv")["split"].value_counts()
    assert parts["train"] % 2 and parts["test"] % 2  # both ranks need a filler, which must count nowhere
    assert list(runs(home)) == ["run"]
    assert not (home / "outputs").exists()
    run = runs(home)["run"]
    assert run.info.status == "FINISHED"
    client = open_store(None, home=home).client()
    assert [entry.step for entry in client.get_metric_history(run.info.run_id, "val/loss")] == [0, 1]
    predictions = pd.read_csv(home / "run" / "report" / "predictions.csv")
    assert len(predictions) == parts["test"] and predictions.path.is_unique


def test_measuring_is_the_same_in_one_process_and_in_two(home):
    same = ["checkpoint=run/checkpoints/best.ckpt", "data.root=photos", "data.split_file=run/split/split.csv"]
    same += ["part=test", "trainer.accelerator=cpu", "callbacks.heatmaps=null"]
    one = Command(home, "evaluate", *same, "out=one")
    assert one.wait() == 0, one.said
    two = fishnet_itself(home, "evaluate", *TWO, *same, "out=two")
    assert two.returncode == 0, two.stdout
    measured = runs(home)
    assert len(figures(measured["one"])) > 10
    assert figures(measured["two"]) == pytest.approx(figures(measured["one"]), abs=1e-6)
    assert figures(measured["run"])["test/accuracy"] == pytest.approx(figures(measured["one"])["test/accuracy"])
    one, two = (pd.read_csv(home / name / "report" / "predictions.csv") for name in ("one", "two"))
    pd.testing.assert_frame_equal(two, one, atol=1e-5)  # photo by photo, in the same order


PREDICTING = """
import sys

import pytorch_lightning as L
import torch
from fishnet import ImageClassifier, ImageFolderData

model = ImageClassifier.load_from_checkpoint("run/checkpoints/best.ckpt", weights_only=True)
data = ImageFolderData(root="photos", split_file="run/split/split.csv", batch_size=4)
many = {"devices": int(sys.argv[1]), "strategy": "ddp"} if sys.argv[1] != "1" else {}
trainer = L.Trainer(accelerator="cpu", logger=False, **many)
answers = trainer.predict(model, datamodule=data)
torch.save(answers, f"answers-{sys.argv[1]}-{trainer.global_rank}.pt")
"""


def test_lightnings_own_prediction_gives_the_same_rows_in_one_process_and_in_two(home):
    (home / "predicting.py").write_text(PREDICTING, encoding="utf-8")
    for many in ("1", "2"):
        line = [sys.executable, "predicting.py", many]
        subprocess.run(line, cwd=home, env=environment(), check=True, timeout=300)
    alone = rows_of(home / "answers-1-0.pt")
    first, second = rows_of(home / "answers-2-0.pt"), rows_of(home / "answers-2-1.pt")
    assert first and second and not {*first} & {*second}
    assert {*first} | {*second} == {*alone}
    for row, probabilities in (first | second).items():
        assert probabilities == pytest.approx(alone[row], abs=1e-5)


def rows_of(file: Path) -> dict[int, list[float]]:
    found = {}
    for batch in torch.load(file, weights_only=True):
        found |= zip(batch["index"].tolist(), batch["probabilities"].tolist(), strict=True)
    return found


def test_a_signal_to_the_first_process_ends_both(home):
    last = home / "ended" / "checkpoints" / "last.ckpt"
    line = [sys.executable, "-m", "fishnet", "train", "data.root=photos", *SMALL, *TWO, "trainer.accelerator=cpu"]
    line += ["trainer.max_epochs=5000", "out=ended"]
    said = home / "ended.txt"
    with (
        said.open("wb") as file,
        subprocess.Popen(line, cwd=home, env=environment(), stdout=file, stderr=file) as process,
    ):
        try:
            deadline = time.monotonic() + 240
            while not last.exists():
                assert process.poll() is None and time.monotonic() < deadline, said.read_text()
                time.sleep(0.1)
            others = psutil.Process(process.pid).children(recursive=True)
            assert others
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 143, said.read_text()
            assert psutil.wait_procs(others, timeout=20)[1] == []
        finally:
            process.kill()
    assert verified(last)
    assert runs(home)["ended"].info.status == "KILLED"


def test_a_loss_that_is_no_number_ends_both(home):
    settings = [*SMALL, *TWO, "trainer.accelerator=cpu", "model.lr=1e30", "out=ruined"]
    ended = fishnet_itself(home, "train", "data.root=photos", *settings, patience=200)
    assert ended.returncode == 1, ended.stdout
    assert "at step 1 " in ended.stdout and "Traceback" not in ended.stdout
    assert runs(home)["ruined"].info.status == "FAILED"
