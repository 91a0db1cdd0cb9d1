"""No step of a training waits for a GPU: counted on a processor are the calls that would make one wait."""

from collections import Counter

import pytest
import pytorch_lightning as L
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from fishnet import ImageClassifier, ImageFolderData
from fishnet.callbacks.guards import FiniteNumbers, SeededSteps, StopOnSignal
from fishnet.callbacks.progress import RunBar
from fishnet.callbacks.readings import Readings
from fishnet.callbacks.report import Curves, EpochLines, Speed
from fishnet.errors import WorkFailed
from tests.support.trainers import quiet_trainer

WAITING = ("_local_scalar_dense", "nonzero", "bincount", "_unique", "unique", "masked_select", "equal", "is_nonzero")


class Waits(TorchDispatchMode):
    """Counts what would wait: numbers that are asked for, and results whose size depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        boolean = name == "index" and any(i is not None and i.dtype == torch.bool for i in args[1])
        if boolean or name.startswith(WAITING):
            self.calls[name] += 1
        return function(*args, **(kwargs or {}))


class Counted(L.Callback):
    """Counts from a step's first hook to its last; it must be the first and the last callback."""

    def __init__(self, waits: Waits) -> None:
        self.waits, self.steps = waits, 0

    def on_train_batch_start(self, *_) -> None:
        if self is _[0].callbacks[0]:
            self.waits.__enter__()

    def on_train_batch_end(self, *_) -> None:
        if self is not _[0].callbacks[0]:
            self.waits.__exit__(None, None, None)
            self.steps += 1


@pytest.fixture
def late(monkeypatch):
    """Readings arrive when they are waited for, as those of a GPU may."""
    monkeypatch.setattr(Readings, "arrived", lambda self: iter(()))


def test_no_step_of_a_training_asks_for_a_number(shapes, tmp_path, late, monkeypatch):
    monkeypatch.setattr("fishnet.callbacks.progress.NOTED_EVERY", 0.0)
    data = ImageFolderData(root=str(shapes), image_size=32, batch_size=8, augment="photo")
    model = ImageClassifier(classes=data.classes, backbone="cnn", backbone_args={"filters": [8, 8], "dense": 0})
    first, last = Counted(waits := Waits()), Counted(waits)
    guards = [SeededSteps(seed=1), StopOnSignal(), FiniteNumbers(), Speed(), EpochLines(), Curves(), RunBar()]
    trainer = quiet_trainer(tmp_path, callbacks=[first, *guards, last], max_epochs=2)
    trainer.fit(model, datamodule=data)
    assert last.steps == trainer.global_step > 4
    assert not waits.calls


def test_a_loss_that_arrives_late_still_ends_the_run_before_anything_is_kept(shapes, tmp_path, late):
    class Runaway(ImageClassifier):
        def loss(self, logits, batch, stage):
            loss = super().loss(logits, batch, stage)
            return loss * float("inf") if self.trainer.global_step == 2 and stage == "train" else loss

    data = ImageFolderData(root=str(shapes), image_size=32, batch_size=8)
    model = Runaway(classes=data.classes, backbone="cnn", backbone_args={"filters": [8, 8], "dense": 0})
    trainer = quiet_trainer(tmp_path, callbacks=[FiniteNumbers()], max_epochs=2)
    with pytest.raises(WorkFailed, match=r"the loss became inf at step 2 \(epoch 0, lr 0.01\); photos of that batch: "):
        trainer.fit(model, datamodule=data)
    assert trainer.current_epoch == 0 and not [*tmp_path.rglob("*.ckpt")]


def test_no_checkpoint_is_written_behind_a_loss_that_has_not_arrived(shapes, tmp_path, late):
    class Saving(L.Callback):
        def on_train_batch_end(self, trainer, *_):
            trainer.save_checkpoint(tmp_path / f"{trainer.global_step}.ckpt")

    class Runaway(ImageClassifier):
        def loss(self, logits, batch, stage):
            return super().loss(logits, batch, stage) + (float("nan") if self.trainer.global_step == 2 else 0.0)

    data = ImageFolderData(root=str(shapes), image_size=32, batch_size=8)
    model = Runaway(classes=data.classes, backbone="cnn", backbone_args={"filters": [8, 8], "dense": 0})
    with pytest.raises(WorkFailed, match="the loss became nan at step 2"):
        quiet_trainer(tmp_path, callbacks=[FiniteNumbers(), Saving()], max_epochs=2).fit(model, datamodule=data)
    assert sorted(path.name for path in tmp_path.glob("*.ckpt")) == ["1.ckpt", "2.ckpt"]
