"""Checkpoints that survive a kill (written beside the old one and renamed, with a digest), and early stopping."""

from pathlib import Path
from typing import Annotated, Any, Literal

import pytorch_lightning as L
import torch
from pytorch_lightning.callbacks import Checkpoint, EarlyStopping, ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import Tensor

from fishnet.measure.metrics import direction
from fishnet.models.checkpoint import BEFORE_TRAINING, write_checkpoint
from fishnet.ranges import AtLeast, check_ranges

from .lightning_internals import at_step_end, validate_again


class DurableCheckpointIO(TorchCheckpointIO):
    """Lightning writes to $TMPDIR and moves, which can leave half a file; here only whole files get their name."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path, storage_options: Any | None = None) -> None:
        write_checkpoint(checkpoint, Path(path))


class BestCheckpoint(ModelCheckpoint):
    """best.ckpt: the epoch with the best monitored value, and of several as good the one with the lowest `val/loss`.
    What could answer before the first epoch is only given up for a better value.

    Args:
        monitor: one of `fishnet.measure.metrics.MONITORS`, or of a GAN one of GAN_MONITORS.
        among: `all` epochs, or the `last` alone. Beside either stands what can answer before the first epoch. A rate
            that rises and falls in one cycle has its best network at its end; an epoch in its middle that a few
            validation photos prefer is luck.
    """

    def __init__(self, *, monitor: str = "val/f1_macro", among: Literal["all", "last"] = "all") -> None:
        super().__init__(
            filename="best",
            monitor=monitor,
            mode=direction(monitor),
            auto_insert_metric_name=False,
            enable_version_counter=False,
            save_on_train_epoch_end=False,
            save_weights_only=False,
        )
        self.among = among
        self.loss_of_best = float("inf")
        self._before_training = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Where the model can answer before its first step, keep it as it is: the first that an epoch has to beat."""
        super().on_train_start(trainer, pl_module)
        values = getattr(pl_module, "before_training", {})
        if self.monitor not in values or self.dirpath is None:
            return
        path, value = str(Path(self.dirpath) / "best.ckpt"), torch.tensor(values[self.monitor])
        self.best_model_path = self.kth_best_model_path = path
        self.best_model_score = self.kth_value = self.current_score = value
        self.best_k_models = {path: value}
        self.loss_of_best = float("-inf")
        self._before_training = True
        try:
            trainer.save_checkpoint(path, weights_only=False)
        finally:
            self._before_training = False

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        if self._before_training:
            checkpoint["epoch"] = BEFORE_TRAINING

    def check_monitor_top_k(self, trainer: L.Trainer, current: Tensor | None = None) -> bool:
        """Whether this epoch becomes the best; all processes decide alike."""
        if self.among == "last" and trainer.current_epoch + 1 < (trainer.max_epochs or 0):
            return False
        if self.among == "last" and self.loss_of_best > float("-inf"):  # the last epoch of a training that was shorter
            self.best_k_models, self.loss_of_best = {}, float("inf")
        loss = float(trainer.callback_metrics.get("val/loss", float("inf")))
        better = super().check_monitor_top_k(trainer, current)
        if not better and current is not None and current == self.best_model_score:
            better = trainer.strategy.reduce_boolean_decision(loss < self.loss_of_best)
        if better:
            self.loss_of_best = loss
        return better

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "loss_of_best": self.loss_of_best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.loss_of_best = state_dict.get("loss_of_best", float("inf"))

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self.dirpath = str(Path(trainer.default_root_dir) / "checkpoints")
        super().setup(trainer, pl_module, stage)


class Patience(EarlyStopping):
    """Stops when the monitored value has not become better for a while; judged at the end of validation.

    Args:
        monitor: one of `fishnet.measure.metrics.MONITORS`.
        patience: epochs without a better value.
    """

    def __init__(self, *, monitor: str = "val/f1_macro", patience: Annotated[int, AtLeast(0)] = 10) -> None:
        check_ranges(Patience.__init__, locals())
        super().__init__(monitor=monitor, mode=direction(monitor), patience=patience, check_on_train_epoch_end=False)


class LastCheckpoint(Checkpoint):
    """last.ckpt: where to go on. Written when an epoch ends, every n steps if asked, and when a signal comes.

    Args:
        every_n_steps: also within an epoch; 0 leaves it to the end of epochs.
    """

    def __init__(self, *, every_n_steps: Annotated[int, AtLeast(0)] = 0) -> None:
        super().__init__()
        check_ranges(LastCheckpoint.__init__, locals())
        self.every_n_steps = every_n_steps
        self._in_validation = False

    def save(self, trainer: L.Trainer) -> None:
        trainer.save_checkpoint(Path(trainer.default_root_dir) / "checkpoints" / "last.ckpt", weights_only=False)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx: int) -> None:
        if self.every_n_steps and (batch_idx + 1) % self.every_n_steps == 0 and at_step_end(trainer):
            self.save(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.save(trainer)

    def save_in_validation(self, trainer: L.Trainer) -> None:
        """Training of the epoch is done, its validation is not: the checkpoint makes validation start anew."""
        self._in_validation = True
        try:
            self.save(trainer)
        finally:
            self._in_validation = False

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        if self._in_validation:
            validate_again(checkpoint)
