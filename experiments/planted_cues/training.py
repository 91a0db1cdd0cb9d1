"""A small network, trained in a minute on a case's photos."""

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from fishnet import ImageClassifier
from fishnet.audit.augmenting import Augmentation
from fishnet.runs.precision import CPU_UNITS, cpu_flags

from .reefs import DrawnFolder, as_images

FILTERS = (16, 32, 64, 128, 256)
BATCH = 32
RATE = 0.004
SHIFT = 4  # pixels, at random


def train(
    folder: DrawnFolder, *, epochs: int, seed: int, rows: np.ndarray | None = None, change: Augmentation | None = None
) -> ImageClassifier:
    """Train on the rows (all that are for training) with mirrored and shifted photos, one cycle of the rate; what
    `change` does to a batch is done last."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(folder.trained) if rows is None else rows
    images, labels = as_images(folder.pixels[rows]), torch.from_numpy(folder.labels[rows])
    model = ImageClassifier(
        classes=[kind.name for kind in folder.settings.kinds], backbone="cnn", image_size=folder.settings.size,
        backbone_args={"filters": [*FILTERS], "dense": 0},
    ).to(memory_format=torch.channels_last)  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.05)
    steps = epochs * (len(rows) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    fast = bool(CPU_UNITS & cpu_flags())
    model.train()
    for _ in range(epochs):
        order = torch.randperm(len(rows))
        for start in range(0, len(rows) - BATCH + 1, BATCH):
            chosen = order[start : start + BATCH]
            batch = moved(images[chosen])
            if change is not None:
                batch = change(batch, rng).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16, enabled=fast):
                loss = cross_entropy(model(batch), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def moved(images: torch.Tensor) -> torch.Tensor:
    """Half of the photos mirrored, all of them shifted a little."""
    flip = torch.rand(len(images)) < 0.5
    images = torch.where(flip[:, None, None, None], images.flip(-1), images)
    down, right = torch.randint(-SHIFT, SHIFT + 1, (2,)).tolist()
    return images.roll((down, right), dims=(2, 3)).contiguous(memory_format=torch.channels_last)
