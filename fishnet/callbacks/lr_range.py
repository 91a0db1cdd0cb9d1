"""A learning-rate range test: every batch at a higher rate than the one before."""

from typing import Annotated

import numpy as np
import pytorch_lightning as L

from fishnet.ranges import Above, AtLeast, check_ranges

RAN_AWAY = 4.0  # times the smallest loss so far


class RangeTest(L.Callback):
    """Rates rise exponentially from `low` to `high`, one batch each; a loss that has run away ends it sooner.

    Args:
        low: the first learning rate.
        high: the last one.
        steps: how many batches.
    """

    def __init__(
        self,
        *,
        low: Annotated[float, Above(0)] = 1e-5,
        high: Annotated[float, Above(0)] = 2.5,
        steps: Annotated[int, AtLeast(20)] = 120,
    ) -> None:
        check_ranges(RangeTest.__init__, locals())
        self.rates = np.geomspace(low, high, steps)
        self.losses: list[float] = []
        self.accuracies: list[float] = []

    def on_train_batch_start(self, trainer: L.Trainer, pl_module, batch, batch_idx: int) -> None:
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = float(self.rates[len(self.losses)])

    def on_train_batch_end(self, trainer: L.Trainer, pl_module, outputs, batch, batch_idx: int) -> None:
        loss = float(outputs["loss"])
        if not np.isfinite(loss):
            trainer.should_stop = True
            return
        self.losses.append(loss)
        self.accuracies.append(float((outputs["logits"].argmax(dim=1) == outputs["label"]).float().mean()))
        lowest = min(np.convolve(self.losses, np.full(5, 0.2), mode="valid"), default=np.inf)
        ran_away = len(self.losses) > len(self.rates) // 4 and np.mean(self.losses[-5:]) > RAN_AWAY * lowest
        trainer.should_stop = trainer.should_stop or bool(ran_away) or len(self.losses) == len(self.rates)
