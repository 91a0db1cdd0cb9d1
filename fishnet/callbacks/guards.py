"""Guards of every training: signals end it with a checkpoint, the loss stays finite, steps can be repeated."""

import logging
import math
import random
import signal as signals
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import numpy as np
import pytorch_lightning as L
import torch
from torch import Tensor

from fishnet.errors import Interrupted, WorkFailed
from fishnet.progress import leave_terminal

from .checkpoints import LastCheckpoint
from .lightning_internals import at_step_end
from .readings import Readings

log = logging.getLogger("fishnet")

# HUP: the terminal was closed; USR1: Slurm's warning before the time limit
WATCHED = (signals.SIGTERM, signals.SIGINT, signals.SIGHUP, signals.SIGUSR1)
IMPATIENT = 3  # Ctrl-C so often does not wait for the checkpoint

MOST_NAMED = 32  # photos in a sentence
TOGETHER = 16  # steps after which several processes look at their losses at once


class StopOnSignal(L.Callback):
    """During training a signal waits for the end of the step and leaves a checkpoint; anywhere else it ends at once.

    Signals that follow the first one change nothing: neither a second Ctrl-C nor a scheduler that repeats itself cuts
    short what the first has begun. The third Ctrl-C ends at once. SIGHUP that is ignored (nohup) stays ignored.
    """

    def __init__(self) -> None:
        self.signal: int | None = None  # the first
        self._interrupts = 0
        self._waiting = False
        self._watched = [
            each for each in WATCHED if each != signals.SIGHUP or signals.getsignal(each) != signals.SIG_IGN
        ]
        self._watch()

    def _watch(self, trainer: L.Trainer | None = None, pl_module: L.LightningModule | None = None) -> None:
        """Handle the signals; again at each stage, because Lightning puts its own handler before ours.

        That one ends with status 0 and no checkpoint, and with several processes it broadcasts from inside the signal
        handler, which can lock them.
        """
        for number in self._watched:
            signals.signal(number, self._note)

    on_validation_start = on_test_start = _watch

    def _note(self, number: int, frame: FrameType | None) -> None:
        first, self.signal = self.signal is None, self.signal or number
        self._interrupts += number == signals.SIGINT
        if number == signals.SIGHUP:
            leave_terminal()
        if (first and not self._waiting) or self._interrupts >= IMPATIENT:
            raise Interrupted(self.signal)

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
    """Stops before a value that is no finite number reaches a checkpoint; names step, rate and photos.

    No step waits for a GPU to tell its loss: there the number is read some steps later, and at the latest before
    anything is kept. On a CPU it is read at once, before the weights are moved by it.
    """

    def __init__(self) -> None:
        self._losses, self._answers = Readings(), Readings()
        self._batch: dict[str, Any] = {}

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx: int) -> None:
        rows = batch["index"] if isinstance(batch, dict) and "index" in batch else []
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        self._batch = {"rows": rows, "step": trainer.global_step, "epoch": trainer.current_epoch, "rate": rate}

    def on_before_backward(self, trainer: L.Trainer, pl_module: L.LightningModule, loss: Tensor) -> None:
        self._losses.note(self._batch, loss)
        if trainer.world_size == 1:
            self._check_losses(trainer, self._losses.arrived())

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx: int) -> None:
        if trainer.world_size > 1 and (batch_idx + 1) % TOGETHER == 0:
            self._check_losses(trainer, self._losses.all())

    def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0) -> None:
        self._note_answers(outputs, trainer)

    on_test_batch_end = on_validation_batch_end

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._check_answers(trainer, self._answers.all(), "validation")

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._check_answers(trainer, self._answers.all(), "the test")

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._check_losses(trainer, self._losses.all())

    on_train_epoch_end = on_validation_start

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict) -> None:
        """The loss of the last step was a number, but its update may have ruined the weights."""
        self._check_losses(trainer, self._losses.all())
        finite = {name: torch.isfinite(value).all() for name, value in checkpoint["state_dict"].items()}
        if not bool(torch.stack([whole.to(pl_module.device) for whole in finite.values()]).all()):
            ruined = next(name for name, whole in finite.items() if not bool(whole))
            self._fail(trainer, self._batch, f"weights ({ruined}) became infinite or no number")

    def _check_losses(self, trainer: L.Trainer, losses: Iterator[tuple[dict[str, Any], float]]) -> None:
        """Fail at the first that is not finite, here or, where several processes look together, in another one."""
        batch, value = next(((b, v) for b, v in losses if not math.isfinite(v)), (self._batch, 0.0))
        elsewhere = "the loss of another process became infinite or no number"
        self._check(trainer, batch, math.isfinite(value), f"the loss became {value}", elsewhere)

    def _note_answers(self, outputs: dict[str, Tensor], trainer: L.Trainer) -> None:
        """Finite weights can still give other logits: such predictions are neither measured nor kept as the best."""
        if trainer.sanity_checking:
            return
        finite = torch.isfinite(outputs["logits"]).all(dim=-1)
        self._answers.note((outputs["index"], finite), finite.all())

    def _check_answers(self, trainer: L.Trainer, answers: Iterator[tuple[Any, float]], part: str) -> None:
        rows, finite = next((what for what, whole in answers if not whole), ([], None))
        batch = {**self._now(trainer), "rows": rows if finite is None else rows[~finite]}
        here = f"the network's answers in {part} became infinite or no number"
        elsewhere = f"an answer in {part}, of another process, became infinite or no number"
        self._check(trainer, batch, finite is None, here, elsewhere)

    def _check(self, trainer: L.Trainer, batch: dict[str, Any], finite: bool, here: str, elsewhere: str) -> None:
        """Fail where it is not finite in this process, or in another one; all of them must ask together."""
        everywhere = trainer.strategy.reduce_boolean_decision(finite, all=True) if trainer.world_size > 1 else finite
        if not everywhere:
            self._fail(trainer, batch, elsewhere if finite else here)

    def _now(self, trainer: L.Trainer) -> dict[str, Any]:
        rate = trainer.optimizers[0].param_groups[0]["lr"] if trainer.optimizers else None
        return {"rows": [], "step": trainer.global_step, "epoch": trainer.current_epoch, "rate": rate}

    def _fail(self, trainer: L.Trainer, batch: dict[str, Any], failure: str) -> None:
        batch = batch or self._now(trainer)
        where = f"at step {batch['step']} (epoch {batch['epoch']}"
        cure = "The weights of the checkpoint are ruined or were trained otherwise; take another one."
        if batch["rate"] is not None:
            where += f", lr {batch['rate']:g}"
            cure = "What was kept is from before it; try a smaller lr."
        rows = [int(row) for row in batch["rows"]]
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
