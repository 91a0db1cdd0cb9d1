"""Guards of every training: signals end it with a checkpoint, the loss stays finite, steps can be repeated."""

import logging
import math
import random
import signal as signals
from collections.abc import Callable
from types import FrameType

import numpy as np
import pytorch_lightning as L
import torch
from torch import Tensor

from fishnet.errors import Interrupted, WorkFailed

from .checkpoints import LastCheckpoint
from .lightning_internals import at_step_end

log = logging.getLogger("fishnet")

WATCHED = (signals.SIGTERM, signals.SIGINT, signals.SIGUSR1)  # USR1: Slurm's warning before the time limit

MOST_NAMED = 32  # photos in a sentence


class StopOnSignal(L.Callback):
    """During training a signal waits for the end of the step and leaves a checkpoint; anywhere else it ends at once."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._waiting = False
        self._watch()

    def _watch(self, trainer: L.Trainer | None = None, pl_module: L.LightningModule | None = None) -> None:
        """Handle the signals; again at each stage, because Lightning puts its own handler before ours.

        That one ends with status 0 and no checkpoint, and with several processes it broadcasts from inside the signal
        handler, which can lock them.
        """
        for number in WATCHED:
            signals.signal(number, self._note)

    on_validation_start = on_test_start = _watch

    def _note(self, number: int, frame: FrameType | None) -> None:
        impatient = self.signal is not None and number == signals.SIGINT
        self.signal = number
        if not self._waiting or impatient:
            raise Interrupted(number)

    def _stop_if_signalled(self, trainer: L.Trainer, keep: Callable[[LastCheckpoint], None] | None) -> None:
        """Stop where a signal came, here or in another process, all at the same step; `keep` writes the checkpoint."""
        signalled = self.signal is not None
        if trainer.world_size > 1:
            signalled = trainer.strategy.reduce_boolean_decision(signalled, all=False)
        if not signalled:
            return
        last = next((c for c in trainer.callbacks if isinstance(c, LastCheckpoint)), None)  # type: ignore[attr-defined]
        if keep and last:
            keep(last)
        elif keep:
            log.warning("Stopped by a signal; nothing of this epoch was kept (callbacks.last=null).")
        raise Interrupted(self.signal or signals.SIGTERM)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._waiting = True
        self._watch()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._waiting = False
        self._stop_if_signalled(trainer, None)  # behind the last step: last.ckpt is there already

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self._waiting = False

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx: int) -> None:
        if at_step_end(trainer):
            self._stop_if_signalled(trainer, lambda last: last.save(trainer))

    def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0) -> None:
        if self._waiting and not trainer.sanity_checking:
            self._stop_if_signalled(trainer, lambda last: last.save_in_validation(trainer))


class FiniteNumbers(L.Callback):
    """Stops before a value that is no finite number reaches weights or checkpoint; names step, rate and photos."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx: int) -> None:
        self._rows = batch["index"] if isinstance(batch, dict) and "index" in batch else []

    def on_before_backward(self, trainer: L.Trainer, pl_module: L.LightningModule, loss: Tensor) -> None:
        value = loss.item()
        elsewhere = "the loss of another process became infinite or no number"
        self._check(trainer, math.isfinite(value), f"the loss became {value}", elsewhere)

    def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0) -> None:
        self._check_logits(outputs, trainer, "validation")

    def on_test_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0) -> None:
        self._check_logits(outputs, trainer, "the test")

    def _check_logits(self, outputs: dict[str, Tensor], trainer: L.Trainer, part: str) -> None:
        """Finite weights can still give other logits: such predictions are neither measured nor kept as the best."""
        if trainer.sanity_checking:
            return
        finite = torch.isfinite(outputs["logits"]).all(dim=-1)
        all_finite = bool(finite.all())
        self._rows = outputs["index"] if all_finite else outputs["index"][~finite]
        here = f"the network's answers in {part} became infinite or no number"
        elsewhere = f"an answer in {part}, of another process, became infinite or no number"
        self._check(trainer, all_finite, here, elsewhere)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict) -> None:
        """The loss of the last step was a number, but its update may have ruined the weights."""
        ruined = [name for name, value in checkpoint["state_dict"].items() if not bool(torch.isfinite(value).all())]
        if ruined:
            self._fail(trainer, f"weights ({ruined[0]}) became infinite or no number")

    def _check(self, trainer: L.Trainer, finite: bool, here: str, elsewhere: str) -> None:
        """Fail where it is not finite in this process, or in another one; all of them must ask together."""
        everywhere = trainer.strategy.reduce_boolean_decision(finite, all=True) if trainer.world_size > 1 else finite
        if not everywhere:
            self._fail(trainer, elsewhere if finite else here)

    def _fail(self, trainer: L.Trainer, failure: str) -> None:
        where = f"at step {trainer.global_step} (epoch {trainer.current_epoch}"
        cure = "The weights of the checkpoint are ruined or were trained otherwise; take another one."
        if trainer.optimizers:
            where += f", lr {trainer.optimizers[0].param_groups[0]['lr']:g}"
            cure = "What was kept is from before it; try a smaller lr."
        rows = [int(row) for row in self._rows]
        table = getattr(trainer.datamodule, "table", None)  # type: ignore[attr-defined]
        photos = [str(row) if table is None else str(table.path.iloc[row]) for row in rows[:MOST_NAMED]]
        photos += [f"and {len(rows) - MOST_NAMED} more"] if len(rows) > MOST_NAMED else []
        raise WorkFailed(f"{failure} {where}); photos of that batch: {', '.join(photos)}. {cure}")


class SeededSteps(L.Callback):
    """Random numbers inside a step (dropout) follow from seed, epoch and step alone, so a resumed run draws the same.

    Args:
        seed: of the run.
    """

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx: int) -> None:
        key = (self.seed, trainer.current_epoch, batch_idx, trainer.global_rank)
        step_seed = int(np.random.SeedSequence(key).generate_state(1)[0])
        torch.manual_seed(step_seed)
        np.random.seed(step_seed)
        random.seed(step_seed)
