"""A small network, trained in a minute on a case's photos."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from fishnet import ImageClassifier
from fishnet.audit.augmenting import Augmentation
from fishnet.models.arithmetic import CPU_UNITS, cpu_flags

from .reefs import DrawnFolder, as_images

FILTERS = (16, 32, 64, 128, 256)
BATCH = 32
RATE = 0.004
SHIFT = 4  # pixels, at random


def train(
    folder: DrawnFolder, *, epochs: int, seed: int, rows: np.ndarray | None = None, change: Augmentation | None = None,
    device: str = "cpu",
) -> ImageClassifier:  # fmt: skip
    """Train on the rows (all that are for training) with mirrored and shifted photos, one cycle of the rate; what
    `change` does to a batch is done last."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(folder.trained) if rows is None else rows
    images, labels = as_images(folder.pixels[rows]).to(device), torch.from_numpy(folder.labels[rows]).to(device)
    model = ImageClassifier(
        classes=[kind.name for kind in folder.settings.kinds], backbone="cnn", image_size=folder.settings.size,
        backbone_args={"filters": [*FILTERS], "dense": 0},
    ).to(device, memory_format=torch.channels_last)  # fmt: skip

    def prepared(batch: Tensor) -> Tensor:
        batch = shifted(mirrored(batch))
        return batch if change is None else change(batch, rng)

    fast = device == "cuda" or bool(CPU_UNITS & cpu_flags())
    return fitted(model, images, labels, prepared, epochs=epochs, rate=RATE, batch_size=BATCH, fast=fast)


def fitted(
    model: ImageClassifier, images: Tensor, labels: Tensor, prepared: Callable[[Tensor], Tensor], *, epochs: int,
    rate: float, batch_size: int, fast: bool = False,
) -> ImageClassifier:  # fmt: skip
    """The model itself, trained by AdamW with one cycle of the rate, in evaluation; what remains of an epoch's photos
    after whole batches is left out of it.

    Args:
        model: with its first weights.
        images, labels: of the photos that are learned from.
        prepared: what is done to each batch of photos.
        epochs: how often each photo is seen.
        rate: at the height of the cycle.
        batch_size: photos a step.
        fast: whether to compute in bfloat16.
    """
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.05)
    steps = len(images) // batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=epochs * steps)
    model.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(images))[: steps * batch_size].split(batch_size):
            batch = prepared(images[chosen]).contiguous(memory_format=torch.channels_last)
            with torch.autocast(images.device.type, torch.bfloat16, enabled=fast):
                loss = cross_entropy(model(batch), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def mirrored(images: Tensor) -> Tensor:
    """Half of the photos mirrored, at random."""
    flip = (torch.rand(len(images)) < 0.5).to(images.device)
    return torch.where(flip[:, None, None, None], images.flip(-1), images)


def shifted(images: Tensor) -> Tensor:
    """All photos shifted a little, by the same."""
    down, right = torch.randint(-SHIFT, SHIFT + 1, (2,)).tolist()
    return images.roll((down, right), dims=(2, 3))
