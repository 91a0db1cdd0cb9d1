"""How a network takes its photos: part of the model, so that a checkpoint alone can predict."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.transforms.v2 import functional

from fishnet.errors import BadInput
from fishnet.text import nearest

STEPS = ("crop", "autocontrast", "equalize", "whiten")  # in the order in which they are done
CROP = 0.8  # of the side: the middle of a photo, where its subject mostly is
DISPLAY = 0.2  # of the range of greys for one standard deviation, where whitened photos are shown


@dataclass(frozen=True)
class Preprocessing:
    """Shorter side to size / crop and its centre of size × size (or the whole photo, with `fit`), `steps`, then
    (x - mean) / std."""

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    crop: float
    steps: tuple[str, ...] = ()
    fit: str = "crop"  # or pad, squash

    def as_dict(self) -> dict:
        return asdict(self)


def preprocessing_of(
    network: nn.Module, size: int | None, steps: Sequence[str] | None = None, fit: str = "crop"
) -> Preprocessing:
    """The backbone's own requirements, at its own size or at `size`, with `steps` before the network."""
    config: Any = network.pretrained_cfg
    crop = float(config.get("crop_pct") or 0.875)
    chosen = ordered(steps or ())
    if "crop" in chosen and fit != "crop":
        raise BadInput(f"model.fit={fit} shows whole photos, and model.preprocess=crop their middle: leave one out.")
    return Preprocessing(
        size=size or int(config["input_size"][-1]),
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        interpolation="bicubic" if config.get("interpolation") == "bicubic" else "bilinear",
        crop=crop * CROP if "crop" in chosen else crop,
        steps=chosen,
        fit=fit,
    )


def ordered(steps: Sequence[str]) -> tuple[str, ...]:
    """Known steps, in the order of STEPS however they are given."""
    for step in steps:
        if step == "mirror":
            raise BadInput("model.preprocess: mirroring is random and belongs to training: say data.augment=mirror.")
        if step not in STEPS:
            raise BadInput(f"model.preprocess={step} is unknown: {nearest(step, list(STEPS))}")
    return tuple(step for step in STEPS if step in steps)


def contrasted(images: Tensor, steps: Sequence[str]) -> Tensor:
    """Photos (uint8 or float 0 to 1), each with its own contrast spread out or its own histogram made even."""
    if "autocontrast" in steps:
        images = functional.autocontrast(images)
    if "equalize" in steps:
        images = functional.equalize(images)
    return images


def whitened(images: Tensor) -> Tensor:
    """Each photo at mean 0 and variance 1, all colours together; a plain photo becomes 0."""
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    least = images[0].numel() ** -0.5
    return (images - mean) / images.std(dim=(1, 2, 3), keepdim=True, correction=0).clamp(min=least)


def after_each(images: Tensor, steps: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
    """The photos (uint8) as they look after each of the steps that changes their numbers."""
    for count, step in enumerate(steps, start=1):
        if step == "crop":
            continue
        shown = contrasted(images, steps[:count])
        if step == "whiten":
            shown = ((whitened(shown.float() / 255) * DISPLAY + 0.5).clamp(0, 1) * 255).to(torch.uint8)
        yield step, shown
