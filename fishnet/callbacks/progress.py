"""A training as a piece of work that is shown: all epochs are a single bar, and the measuring after them another."""

import time
from contextlib import ExitStack
from typing import Any

import pytorch_lightning as L
import torch

from fishnet.progress import Work, working

from .readings import Readings

NOTED_EVERY = 0.5  # seconds between readings of the loss


class RunBar(L.Callback):
    """Shows how far the run is, with loss, images a second and the time left; epochs count from 1."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._training: Work | None = None
        self._measuring: Work | None = None
        self._noted = self._begin = 0.0
        self._images = 0
        self._losses = Readings()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        steps, epochs = trainer.num_training_batches, trainer.max_epochs or -1
        if trainer.is_global_zero and isinstance(steps, int) and steps and epochs > 0:
            self._training = self._open.enter_context(working("training", steps * epochs))
            self._training.begin_at(steps * trainer.current_epoch)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._images, self._begin = 0, time.monotonic()
        self._note(trainer, "")

    def on_train_batch_end(self, trainer, pl_module, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self._training is None:
            return
        done, now = trainer.current_epoch * int(trainer.num_training_batches) + batch_idx + 1, time.monotonic()
        self._images += images_in(batch) * trainer.world_size
        if now - self._noted >= NOTED_EVERY:
            self._noted = now
            loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
            self._losses.note(loss is not None, torch.zeros(()) if loss is None else torch.as_tensor(loss))
        note = None
        for known, value in self._losses.arrived():
            note = self._epoch(trainer)
            note += f" · loss {value * trainer.accumulate_grad_batches:.3g}" if known else ""
            if now > self._begin and self._images:
                note += f" · {self._images / (now - self._begin):.3g} images/s"
        self._training.update(done, note)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn == "validate":
            self._measure(trainer, "measuring validation photos", trainer.num_val_batches)
        else:
            self._note(trainer, " · validating")

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._measure(trainer, "measuring test photos", trainer.num_test_batches)

    def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0) -> None:
        if self._measuring is not None:
            self._measuring.advance()

    on_test_batch_end = on_validation_batch_end

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._close()

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self._close()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self._close()

    def _measure(self, trainer: L.Trainer, label: str, batches: list[int | float]) -> None:
        if trainer.is_global_zero and all(isinstance(count, int) for count in batches):
            self._measuring = self._open.enter_context(working(label, int(sum(batches))))

    def _epoch(self, trainer: L.Trainer) -> str:
        return f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"

    def _note(self, trainer: L.Trainer, more: str) -> None:
        if self._training is not None:
            self._training.update(self._training.done, self._epoch(trainer) + more)

    def _close(self) -> None:
        self._training = self._measuring = None
        self._open.close()


def images_in(batch: Any) -> int:
    """How many photos a batch holds, as a mapping or a tuple."""
    first = batch.get("image", next(iter(batch.values()))) if isinstance(batch, dict) else batch[0]
    return len(first)
