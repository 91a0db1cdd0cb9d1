"""How fast training went: images per second of each epoch, data loading included."""

import logging
import time
from typing import ClassVar

import pytorch_lightning as L

log = logging.getLogger("fishnet")


class Pace(L.Callback):
    """Logs time/images_per_second."""

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._begin, self._images = time.perf_counter(), 0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx: int) -> None:
        if batch_idx == 0 or not hasattr(self, "_begin"):
            self._begin, self._images = time.perf_counter(), 0  # the first step warms up
            return
        self._images += len(batch["index"]) * trainer.world_size
        self._end = time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._images:
            pl_module.log("time/images_per_second", self._images / (self._end - self._begin), rank_zero_only=True)


class EpochLines(L.Callback):
    """One line an epoch, so that a log file tells the story of a run."""

    _ended = 0
    SHOWN: ClassVar[dict[str, str]] = {
        "train/loss": "train loss",
        "val/loss": "val loss",
        "val/accuracy": "accuracy",
        "val/f1_macro": "F1",
        "optim/lr": "lr",
        "time/images_per_second": "images/s",
    }

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._ended = trainer.current_epoch + 1  # the module reports its figures after this; the line waits for them

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._say(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._say(trainer)

    def _say(self, trainer: L.Trainer) -> None:
        values = trainer.callback_metrics
        shown = "  ".join(f"{word} {float(values[key]):.4g}" for key, word in self.SHOWN.items() if key in values)
        if self._ended and trainer.is_global_zero:
            log.info("epoch %d/%d  %s", self._ended, trainer.max_epochs, shown)
        self._ended = 0
