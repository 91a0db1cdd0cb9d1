"""Checkpoints that survive: written beside their place and renamed, with a digest, taken up where they stopped."""

from pathlib import Path
from typing import Any

import pytorch_lightning as L
from pytorch_lightning.callbacks import Checkpoint, EarlyStopping, ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from fishnet.measure.metrics import direction
from fishnet.models.checkpoint import write_checkpoint


class DurableCheckpointIO(TorchCheckpointIO):
    """Lightning writes to $TMPDIR and moves, which tears across file systems; here nothing torn has a final name."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path, storage_options: Any | None = None) -> None:
        write_checkpoint(checkpoint, Path(path))


class BestCheckpoint(ModelCheckpoint):
    """best.ckpt: the epoch with the best monitored value."""

    def __init__(self, *, monitor: str = "val/f1_macro") -> None:
        super().__init__(
            filename="best",
            monitor=monitor,
            mode=direction(monitor),
            auto_insert_metric_name=False,
            enable_version_counter=False,
            save_on_train_epoch_end=False,
            save_weights_only=False,
        )

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self.dirpath = str(Path(trainer.default_root_dir) / "checkpoints")
        super().setup(trainer, pl_module, stage)


class Patience(EarlyStopping):
    """Stops when the monitored value has not become better for a while; judged at the end of validation."""

    def __init__(self, *, monitor: str = "val/f1_macro", patience: int = 10) -> None:
        super().__init__(monitor=monitor, mode=direction(monitor), patience=patience, check_on_train_epoch_end=False)


class LastCheckpoint(Checkpoint):
    """last.ckpt: where to go on. Written when an epoch ends, every n steps if asked, and when a signal comes."""

    def __init__(self, *, every_n_steps: int = 0) -> None:
        super().__init__()
        self.every_n_steps = every_n_steps
        self._in_validation = False

    def save(self, trainer: L.Trainer) -> None:
        trainer.save_checkpoint(Path(trainer.default_root_dir) / "checkpoints" / "last.ckpt", weights_only=False)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx: int) -> None:
        if self.every_n_steps and (batch_idx + 1) % self.every_n_steps == 0 and self.at_step_end(trainer):
            self.save(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.save(trainer)

    def save_in_validation(self, trainer: L.Trainer) -> None:
        """Training of the epoch is done, its validation is not: the checkpoint says that validation starts anew."""
        self._in_validation = True
        try:
            self.save(trainer)
        finally:
            self._in_validation = False

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        if self._in_validation:
            progress = checkpoint["loops"]["fit_loop"]["epoch_loop.val_loop.batch_progress"]
            progress["total"] = {"ready": 1, "completed": 0, "started": 1, "processed": 0}
            progress["current"] = {"ready": 0, "completed": 0, "started": 0, "processed": 0}

    @staticmethod
    def at_step_end(trainer: L.Trainer) -> bool:
        """Not inside an accumulation window (its gradients are not kept), nor behind the epoch's last batch."""
        done = trainer.fit_loop.epoch_loop.batch_progress.current.ready
        return done % trainer.accumulate_grad_batches == 0 and done < trainer.num_training_batches
