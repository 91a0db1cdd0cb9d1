"""How fast training went: images per second of each epoch, data loading included."""

import time

import pytorch_lightning as L


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
