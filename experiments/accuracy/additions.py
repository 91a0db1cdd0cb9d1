"""Three additions to a training that fishnet itself does not have, as callbacks: they change what the network is shown.

They stand in `conf/callbacks` beside this file, and `study.sh` measures them.
"""

import numpy as np
import torch
from pytorch_lightning import Callback
from torch.nn.functional import interpolate
from torchvision.transforms import v2

from fishnet.models import classifier
from fishnet.models.mixing import Partner

STEP = 16  # photos grow by so many pixels


class RandAugment(Callback):
    """Each training photo goes through two of RandAugment's operations (Cubuk and others 2020), drawn for it alone."""

    def __init__(self, magnitude: int = 9) -> None:
        self.change = v2.RandAugment(num_ops=2, magnitude=magnitude, fill=[128.0])

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx: int) -> None:
        batch["image"] = torch.stack([self.change(photo) for photo in batch["image"]])


class GrowingSize(Callback):
    """Training begins with photos of `first` of their side and ends, for a third of the epochs, with all of it."""

    def __init__(self, first: float = 0.6) -> None:
        self.first = first

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx: int) -> None:
        grown = min(1.0, 1.5 * trainer.current_epoch / max(1, trainer.max_epochs - 1))
        full = batch["image"].shape[-1]
        side = min(full, STEP * round(full * (self.first + (1 - self.first) * grown) / STEP))
        if side < full:
            smaller = interpolate(batch["image"].float(), size=(side, side), mode="bilinear", antialias=True)
            batch["image"] = smaller.round().clamp(0, 255).to(torch.uint8)


class CutMix(Callback):
    """With `model.mixup`: a rectangle of the next photo covers part of each, not a mean (Yun and others 2019)."""

    def on_fit_start(self, trainer, pl_module) -> None:
        self.mean, classifier.mixed = classifier.mixed, cut_and_mixed

    def on_fit_end(self, trainer, pl_module) -> None:
        classifier.mixed = self.mean


def cut_and_mixed(batch: dict, alpha: float) -> tuple[dict, Partner]:
    """The rectangle's share is drawn from Beta(alpha, alpha) before the frame cuts it; labels count by what is left."""
    photos = batch["image"].clone()
    side = photos.shape[-1]
    half = int(side * np.sqrt(np.random.beta(alpha, alpha)) / 2)
    row, column = np.random.randint(side, size=2)
    top, bottom = max(0, row - half), min(side, row + half)
    left, right = max(0, column - half), min(side, column + half)
    photos[..., top:bottom, left:right] = batch["image"].roll(1, dims=0)[..., top:bottom, left:right]
    share = 1 - (bottom - top) * (right - left) / side**2
    return {**batch, "image": photos}, Partner(batch["label"].roll(1), share)
