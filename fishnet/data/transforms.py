"""From a decoded photo to the uint8 square that a network sees; randomness enters from outside, by a seed a photo."""

from collections.abc import Callable

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

from fishnet.errors import BadInput
from fishnet.names import nearest

AUGMENTATIONS = ("none", "light", "photo", "affine")
_MODES = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}

Transform = Callable[[Image.Image], Tensor]


def evaluation(size: int, crop: float, interpolation: str) -> Transform:
    """Shorter side to size / crop, then the centre: what the pretrained weights were measured with."""
    return v2.Compose(
        [
            v2.Resize(max(size, round(size / crop)), interpolation=_MODES[interpolation]),
            v2.CenterCrop(size),
            v2.PILToTensor(),
        ]
    )


def training(name: str, size: int, crop: float, interpolation: str) -> Transform:
    """The evaluation view (`none`), or one of three presets of random views."""
    mode = _MODES[interpolation]
    if name == "none":
        return evaluation(size, crop, interpolation)
    if name == "light":
        steps = [_cropped(size, (0.7, 1.0), mode), v2.RandomHorizontalFlip()]
    elif name == "photo":
        steps = [
            _cropped(size, (0.4, 1.0), mode),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3, hue=0.05),
        ]
    elif name == "affine":  # rescaled, sheared, turned, shifted, zoomed and mirrored: the product study's list
        steps = [
            v2.Resize(max(size, round(size / crop)), interpolation=mode),
            v2.CenterCrop(size),
            v2.RandomAffine(
                degrees=45,
                translate=(0.15, 0.15),
                scale=(0.8, 1.2),
                shear=15,
                interpolation=InterpolationMode.BILINEAR,
                fill=128,
            ),
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
        ]
    else:
        raise BadInput(f"data.augment={name} is unknown: {nearest(name, list(AUGMENTATIONS))}")
    return v2.Compose([*steps, v2.PILToTensor()])


def _cropped(size: int, scale: tuple[float, float], mode: InterpolationMode) -> v2.Transform:
    return v2.RandomResizedCrop(size, scale=scale, ratio=(0.8, 1.25), interpolation=mode)


def seeded(transform: Transform, image: Image.Image, seed: int) -> Tensor:
    """The transform's random choices follow from the seed alone, wherever and whenever it runs."""
    generator = torch.default_generator  # torchvision's transforms know no other
    before = generator.get_state()
    try:
        generator.manual_seed(seed)
        return transform(image)
    finally:
        generator.set_state(before)
