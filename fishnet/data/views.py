"""From a photo to the square that a network sees: the working image, and the views that are cut out of it.

The working image is the photo at the size that every view is cut from, be it kept in a cache or made from the file.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from fishnet.errors import BadInput
from fishnet.images import load_pixels
from fishnet.text import nearest

AUGMENTATIONS = ("none", "mirror", "light", "photo", "affine")
CROPS = {"light": (0.7, 1.0), "photo": (0.4, 1.0)}  # shares of the photo's area
NARROWEST, WIDEST = 0.8, 1.25  # a piece's width over its height
LONGEST = 3  # times the shorter side; what lies further out no centre crop and hardly a random one would see


class Preprocessing(Protocol):
    """What of a model's preprocessing decides how its photos are scaled and cut."""

    @property
    def size(self) -> int: ...
    @property
    def crop(self) -> float: ...
    @property
    def interpolation(self) -> str: ...


class PlainPreprocessing(NamedTuple):
    """Where no model is known: the usual share and resampling at a size that is given."""

    size: int
    crop: float = 0.875
    interpolation: str = "bilinear"


def working_side(preprocessing: Preprocessing) -> int:
    """The shorter side that the evaluation view is the centre of: what pretrained weights were measured with."""
    return max(preprocessing.size, round(preprocessing.size / preprocessing.crop))


def working_shape(width: int, height: int, side: int) -> tuple[int, int, int]:
    """Rows, columns and colours of the working image of a photo of this size."""
    scale = side / min(width, height)
    return min(round(height * scale), LONGEST * side), min(round(width * scale), LONGEST * side), 3


def working_image(photo: Path | bytes, *, sha256: str, side: int, interpolation: str) -> np.ndarray:
    """Decoded and scaled to height × width × 3 bytes, very long photos cut to the middle; `sha256` as in the index."""
    pixels, full_size = load_pixels(photo, sha256=sha256, min_side=decoded_side(side))
    return scaled(pixels, full_size, side=side, interpolation=interpolation)


def decoded_side(side: int) -> int:
    """The shorter side that a decoder may leave where the working image has `side`."""
    return round(1.5 * side)


def scaled(pixels: np.ndarray, full_size: tuple[int, int], *, side: int, interpolation: str) -> np.ndarray:
    """The working image of decoded pixels; `full_size` is the photo's own width and height."""
    longest = LONGEST * min(pixels.shape[:2])
    top, left = (max(0, length - longest) // 2 for length in pixels.shape[:2])
    pixels = pixels[top : top + longest, left : left + longest]
    shape = working_shape(*full_size, side)[:2]  # the index knows it too, whatever size the decoder left
    image, mode = torch.from_numpy(pixels).permute(2, 0, 1), InterpolationMode(interpolation)
    resized = functional.resize(image, list(shape), interpolation=mode, antialias=True)
    return np.ascontiguousarray(resized.permute(1, 2, 0).numpy())


def centre(image: np.ndarray, size: int) -> np.ndarray:
    """The evaluation view: the middle of the working image, as torchvision's CenterCrop cuts it."""
    top, left = (round((length - size) / 2) for length in image.shape[:2])
    return image[top : top + size, left : left + size]


def view_box(width: int, height: int, preprocessing: Preprocessing) -> tuple[float, float, float]:
    """Left, top and side, in pixels of a photo of this size, of the square that the evaluation view shows of it."""
    side = working_side(preprocessing)
    scale = side / min(width, height)
    rows, columns, _ = working_shape(width, height, side)
    cut = [max(0.0, length * scale - LONGEST * side) / 2 for length in (width, height)]
    left, top = (
        (outside + round((length - preprocessing.size) / 2)) / scale
        for outside, length in zip(cut, (columns, rows), strict=True)
    )
    return left, top, preprocessing.size / scale


@dataclass(frozen=True)
class View:
    """`size` pixels square. Which piece it shows is decided here; what else a preset does, `augment.py` does."""

    size: int
    augment: str = "none"

    def __post_init__(self) -> None:
        if self.augment not in AUGMENTATIONS:
            raise BadInput(f"data.augment={self.augment} is unknown: {nearest(self.augment, list(AUGMENTATIONS))}")

    def cut(self, image: np.ndarray, into: np.ndarray, noise: np.ndarray) -> None:
        """Write the view of a working image into its array of the batch; the photo's own `noise` chooses the piece."""
        if self.augment in CROPS:
            _cut_piece(image, into, noise, CROPS[self.augment])
        else:
            into[:] = centre(image, self.size)


def _cut_piece(image: np.ndarray, into: np.ndarray, noise: np.ndarray, share: tuple[float, float]) -> None:
    """A piece of a random share of the area and a random shape, from a random position, scaled to the view."""
    rows, columns = image.shape[:2]
    area = rows * columns * (share[0] + (share[1] - share[0]) * float(noise[0]))
    shape = NARROWEST * (WIDEST / NARROWEST) ** float(noise[1])
    height = min(rows, max(1, round((area / shape) ** 0.5)))
    width = min(columns, max(1, round((area * shape) ** 0.5)))
    top, left = int(float(noise[2]) * (rows - height + 1)), int(float(noise[3]) * (columns - width + 1))
    method = cv2.INTER_AREA if height > into.shape[0] or width > into.shape[1] else cv2.INTER_LINEAR
    cv2.resize(image[top : top + height, left : left + width], into.shape[1::-1], dst=into, interpolation=method)
