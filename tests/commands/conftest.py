"""Verbs run in this process, and what they have left."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from fishnet.callbacks.guards import SeededSteps
from tests.support.verbs import in_this_process

TINY = [
    "data=folder",
    "model.backbone=cnn",
    "model.pretrained=false",
    "model.backbone_args.filters=[8,16]",
    "data.image_size=32",
    "data.batch_size=8",
    "trainer.max_epochs=2",
    "trainer.accelerator=cpu",
    "trainer.precision=32-true",
    "callbacks.report.resamples=50",
    "callbacks.heatmaps.photos=2",
    "callbacks.heatmaps.per_class=2",
]


@dataclass
class Ended:
    status: int
    out: str
    err: str


@pytest.fixture
def fishnet(monkeypatch, capfd, tmp_path):
    """`fishnet("train", "data.root=…")` in a fresh folder → its exit status and what it said."""
    monkeypatch.chdir(tmp_path)

    def run(verb: str, *arguments: str) -> Ended:
        status = in_this_process(verb, *arguments)
        said = capfd.readouterr()
        return Ended(status, said.out, said.err)

    return run


@pytest.fixture(scope="session")
def _trained(shapes, tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        settings = ["callbacks.heatmaps=null", "test=false", "out=run"]
        assert in_this_process("train", f"data.root={shapes}", *TINY, *settings) == 0
    return home


@pytest.fixture
def trained(_trained, tmp_path) -> Path:
    """A run of two epochs in the folder where the test works, with its store: made once, copied for each test."""
    shutil.copytree(_trained, tmp_path, dirs_exist_ok=True)
    return tmp_path / "run"


@pytest.fixture(scope="session")
def migrated(tmp_path_factory) -> Path:
    """A run store as it is before the first run; copying it costs nothing, making it costs seconds."""
    from fishnet.tracking.store import open_store

    home = tmp_path_factory.mktemp("store")
    open_store(None, home=home)
    return home


@pytest.fixture
def tiny(shapes) -> list[str]:
    """A training that takes a second or two."""
    return [f"data.root={shapes}", *TINY]


@pytest.fixture
def watched(monkeypatch):
    """What each step was fed, and at which rate; `stop_at` sends a signal at a step, as an operator would."""
    steps: list[tuple] = []
    stop_at: dict[tuple[int, int], int] = {}
    original = SeededSteps.on_train_batch_start

    def record(self, trainer, pl_module, batch, batch_idx):
        original(self, trainer, pl_module, batch, batch_idx)
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        steps.append((trainer.current_epoch, batch_idx, tuple(batch["index"].tolist()), rate))
        number = stop_at.pop((trainer.current_epoch, batch_idx), None)
        if number:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(SeededSteps, "on_train_batch_start", record)
    return steps, stop_at
