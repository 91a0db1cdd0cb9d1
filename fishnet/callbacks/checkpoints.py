"""Checkpoints that survive: written beside their place and renamed, with a digest, taken up where they stopped."""

import json
from pathlib import Path
from typing import Any

import pytorch_lightning as L
import torch
from pytorch_lightning.callbacks import Checkpoint, EarlyStopping, ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from fishnet.errors import BadInput, WorkFailed
from fishnet.whole import flush, replacing, write_whole

from .verified import DIGESTS, digest_of, known_digests, verified


def direction(monitor: str) -> str:
    """Losses and errors are minimised, everything else is maximised."""
    return "min" if monitor.rsplit("/", 1)[-1].endswith(("loss", "error")) else "max"


class DurableCheckpointIO(TorchCheckpointIO):
    """Lightning writes to $TMPDIR and moves, which tears across file systems; here nothing torn has a final name."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path, storage_options: Any | None = None) -> None:
        write_checkpoint(checkpoint, Path(path))


def write_checkpoint(checkpoint: dict[str, Any], path: Path) -> None:
    """Temp file in the same folder, flushed to disk, renamed; the digest file knows the old and the new meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with replacing(path, alone=True) as temporary:
            with open(temporary, "wb") as file:
                torch.save(checkpoint, file)
            digest = digest_of(temporary)
            _write_digests(path, [*known_digests(path)[-1:], digest])
        _write_digests(path, [digest])
        flush(path.parent)
    except (OSError, RuntimeError) as error:  # torch tells a full disk as a RuntimeError
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise WorkFailed(
            f"{path} could not be written ({reason}): is the disk full? What was there is intact."
        ) from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint from disk, tensors and plain values only; anything torn or foreign is one sentence."""
    if not path.is_file():
        raise BadInput(f"{path}: there is no such checkpoint.")
    if known_digests(path) and not verified(path):
        raise BadInput(f"{path} is not what was written (its digest differs): it is cut short or was changed.")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        checkpoint["hyper_parameters"], checkpoint["state_dict"]
    except Exception as error:
        raise BadInput(f"{path} is no checkpoint that can be read safely ({type(error).__name__}).") from error
    return checkpoint


def _write_digests(path: Path, digests: list[str]) -> None:
    write_whole(path.with_name(path.name + DIGESTS), json.dumps(digests), alone=True)


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
