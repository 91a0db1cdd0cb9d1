"""Mixup (Zhang and others 2018): a network learns from weighed means of two photos and of their losses."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor


class Partner(NamedTuple):
    """The second photos of a mixed batch: their labels, and the weight of the first ones."""

    labels: Tensor
    share: float


def mixed(batch: dict[str, Any], alpha: float) -> tuple[dict[str, Any], Partner]:
    """Each photo mixed with the next of its batch, all by one share, drawn from Beta(alpha, alpha) by numpy's
    generator, which follows from the step."""
    share = float(np.random.beta(alpha, alpha))
    photos = batch["image"]
    photos = photos.float() / 255 if photos.dtype == torch.uint8 else photos
    image = share * photos + (1 - share) * photos.roll(1, dims=0)
    return {**batch, "image": image}, Partner(batch["label"].roll(1), share)
