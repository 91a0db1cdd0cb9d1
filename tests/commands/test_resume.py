"""A run that was stopped goes on as if it had not been: the same photos, the same rates, the same weights."""

import os
import signal
from pathlib import Path

import pytest
import torch

from fishnet.callbacks.guards import SeededSteps

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
    assert fishnet("train", *tiny, *SETTINGS, "out=parts").status == 128 + number
    assert len(steps) < len(undisturbed)
    assert fishnet("train", "resume=parts").status == 0
    assert steps == undisturbed
    assert equal(tmp_path / "whole", tmp_path / "parts")
