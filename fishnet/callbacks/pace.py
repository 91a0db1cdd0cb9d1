"""How a run went by, epoch by epoch: its speed as a metric, and one line for whoever reads the log."""

import logging
import time
from typing import ClassVar

import pytorch_lightning as L

from fishnet.measure.metrics import shown_in

log = logging.getLogger("fishnet")


class Pace(L.Callback):
    """Logs time/images_per_second: data loading included, the epoch's first step (which warms up) left out."""

    def __init__(self) -> None:
        self._images, self._begin, self._end = 0, 0.0, 0.0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx: int) -> None:
        self._end = time.perf_counter()
        if self._begin:
            self._images += len(batch["index"]) * trainer.world_size
        else:
            self._begin = self._end

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._images:
            pl_module.log("time/images_per_second", self._images / (self._end - self._begin), rank_zero_only=True)
        self._images, self._begin = 0, 0.0


class EpochLines(L.Callback):
    """One line an epoch, so that a log file tells the story of a run."""

    _ended = 0
    SHOWN: ClassVar[dict[str, str]] = {
        "train/loss": "train loss",
        "val/loss": "val loss",
        **{f"val/{metric.name}": metric.label for metric in shown_in("epoch")},
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
