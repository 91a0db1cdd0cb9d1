"""The working image: a photo at the size that all views are cut from, be it from a cache or from its file."""

from pathlib import Path

import numpy as np
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from fishnet.images import load_pixels

LONGEST = 3  # times the shorter side; what lies further out no centre crop and hardly a random one would see
_MODES = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}


def working_side(size: int, crop: float) -> int:
    """The shorter side that the evaluation view is the centre of: what pretrained weights were measured with."""
    return max(size, round(size / crop))


def working_shape(width: int, height: int, side: int) -> tuple[int, int, int]:
    """Rows, columns and colours of the working image of a photo of this size."""
    scale = side / min(width, height)
    return min(round(height * scale), LONGEST * side), min(round(width * scale), LONGEST * side), 3


def working_image(path: Path, *, sha256: str, side: int, interpolation: str) -> np.ndarray:
    """Decoded, scaled with antialiasing, very long photos cut to their middle; `sha256` as in the index, or empty."""
    pixels, full_size = load_pixels(path, sha256=sha256, min_side=round(1.5 * side))
    pixels = _middle(pixels, LONGEST * min(pixels.shape[:2]))
    size = working_shape(*full_size, side)[:2]  # the index knows it too, whatever size the decoder left
    scaled = functional.resize(
        torch.from_numpy(pixels).permute(2, 0, 1), list(size), interpolation=_MODES[interpolation], antialias=True
    )
    return np.ascontiguousarray(scaled.permute(1, 2, 0).numpy())


def _middle(image: np.ndarray, most: int) -> np.ndarray:
    top, left = (max(0, length - most) // 2 for length in image.shape[:2])
    return image[top : top + most, left : left + most]
