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
FITS = ("crop", "pad", "squash")
PADDING = (124, 116, 104)  # the mean colour of ImageNet, which is nothing to a network: about 0 after normalisation


class Preprocessing(Protocol):
    """What of a model's preprocessing decides how its photos are scaled and cut."""

    @property
    def size(self) -> int: ...
    @property
    def crop(self) -> float: ...
    @property
    def interpolation(self) -> str: ...
    @property
    def fit(self) -> str: ...


class PlainPreprocessing(NamedTuple):
    """Where no model is known: the usual share and resampling at a size that is given."""

    size: int
    crop: float = 0.875
    interpolation: str = "bilinear"
    fit: str = "crop"


class Working(NamedTuple):
    """How working images are made.

    Args:
        side: of `crop` the shorter side, of which the evaluation view is the centre: what pretrained weights were
            measured with; otherwise both sides, and the view is all of it.
        interpolation: `bilinear` or `bicubic`.
        fit: how a photo that is no square becomes one: `crop` leaves out what lies beyond the middle, `pad` puts the
            whole photo on a plain ground, `squash` presses it together.
    """

    side: int
    interpolation: str
    fit: str = "crop"


def working(preprocessing: Preprocessing) -> Working:
    """How the working images of a model are made."""
    size, fit = preprocessing.size, preprocessing.fit
    side = max(size, round(size / preprocessing.crop)) if fit == "crop" else size
    return Working(side, preprocessing.interpolation, fit)


def working_shape(width: int, height: int, how: Working) -> tuple[int, int, int]:
    """Rows, columns and colours of the working image of a photo of this size."""
    if how.fit != "crop":
        return how.side, how.side, 3
    scale = how.side / min(width, height)
    return min(round(height * scale), LONGEST * how.side), min(round(width * scale), LONGEST * how.side), 3


def padded_shape(width: int, height: int, side: int) -> tuple[int, int]:
    """Rows and columns of a whole photo of this size inside a square of `side`."""
    scale = side / max(width, height)
    return max(1, round(height * scale)), max(1, round(width * scale))


def working_image(photo: Path | bytes, *, sha256: str, how: Working) -> np.ndarray:
    """Decoded and scaled to height × width × 3 bytes, of `crop` very long photos cut to the middle; `sha256` as in the
    index."""
    pixels, full_size = load_pixels(photo, sha256=sha256, min_side=decoded_side(how.side))
    return scaled(pixels, full_size, how)


def decoded_side(side: int) -> int:
    """The shorter side that a decoder may leave where the working image has `side`."""
    return round(1.5 * side)


def scaled(pixels: np.ndarray, full_size: tuple[int, int], how: Working) -> np.ndarray:
    """The working image of decoded pixels; `full_size` is the photo's own width and height, which the index knows too,
    whatever size the decoder left."""
    if how.fit == "pad":
        rows, columns = padded_shape(*full_size, how.side)
        top, left = (how.side - rows) // 2, (how.side - columns) // 2
        square = np.full((how.side, how.side, 3), PADDING, np.uint8)
        square[top : top + rows, left : left + columns] = _resized(pixels, (rows, columns), how.interpolation)
        return square
    if how.fit == "crop":
        longest = LONGEST * min(pixels.shape[:2])
        top, left = (max(0, length - longest) // 2 for length in pixels.shape[:2])
        pixels = pixels[top : top + longest, left : left + longest]
    return _resized(pixels, working_shape(*full_size, how)[:2], how.interpolation)


def _resized(pixels: np.ndarray, shape: tuple[int, int], interpolation: str) -> np.ndarray:
    image, mode = torch.from_numpy(pixels).permute(2, 0, 1), InterpolationMode(interpolation)
    resized = functional.resize(image, list(shape), interpolation=mode, antialias=True)
    return np.ascontiguousarray(resized.permute(1, 2, 0).numpy())


def centre(image: np.ndarray, size: int) -> np.ndarray:
    """The evaluation view: the middle of the working image, as torchvision's CenterCrop cuts it."""
    top, left = (round((length - size) / 2) for length in image.shape[:2])
    return image[top : top + size, left : left + size]


class Box(NamedTuple):
    """In pixels of a photo."""

    left: float
    top: float
    width: float
    height: float


def view_box(width: int, height: int, preprocessing: Preprocessing) -> Box:
    """What the evaluation view shows of a photo of this size; with `pad` it reaches beyond the photo."""
    how, size = working(preprocessing), preprocessing.size
    if how.fit == "squash":
        return Box(0.0, 0.0, width, height)
    if how.fit == "pad":
        rows, columns = padded_shape(width, height, size)
        scale = size / max(width, height)
        return Box(-((size - columns) // 2) / scale, -((size - rows) // 2) / scale, size / scale, size / scale)
    scale = how.side / min(width, height)
    rows, columns, _ = working_shape(width, height, how)
    cut = [max(0.0, length * scale - LONGEST * how.side) / 2 for length in (width, height)]
    left, top = (
        (outside + round((length - size) / 2)) / scale for outside, length in zip(cut, (columns, rows), strict=True)
    )
    return Box(left, top, size / scale, size / scale)


@dataclass(frozen=True)
class View:
    """`size` pixels square. Which piece it shows is decided here; what else a preset does, `augment.py` does."""

    size: int
    augment: str = "none"

    def __post_init__(self) -> None:
        if self.augment not in AUGMENTATIONS:
            raise BadInput(f"data.augment={self.augment} is unknown: {nearest(self.augment, list(AUGMENTATIONS))}")

    @property
    def scales(self) -> bool:
        """Whether pieces of random sizes are cut, which then have to be scaled."""
        return self.augment in CROPS

    def cut(self, image: np.ndarray, into: np.ndarray, noise: np.ndarray) -> None:
        """Write the view of a working image into its array of the batch; the photo's own `noise` chooses the piece."""
        if self.scales:
            piece, shape = self.piece(image, noise), into.shape[:2]
            method = cv2.INTER_AREA if piece.shape[0] > shape[0] or piece.shape[1] > shape[1] else cv2.INTER_LINEAR
            cv2.resize(piece, shape[::-1], dst=into, interpolation=method)
        else:
            into[:] = centre(image, self.size)

    def piece(self, image: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """What a view that scales shows of a working image, not yet scaled; no copy."""
        return _random_piece(image, noise, CROPS[self.augment])


def _random_piece(image: np.ndarray, noise: np.ndarray, share: tuple[float, float]) -> np.ndarray:
    """A piece of a random share of the area and a random shape, from a random position."""
    rows, columns = image.shape[:2]
    area = rows * columns * (share[0] + (share[1] - share[0]) * float(noise[0]))
    shape = NARROWEST * (WIDEST / NARROWEST) ** float(noise[1])
    height = min(rows, max(1, round((area / shape) ** 0.5)))
    width = min(columns, max(1, round((area * shape) ** 0.5)))
    top, left = int(float(noise[2]) * (rows - height + 1)), int(float(noise[3]) * (columns - width + 1))
    return image[top : top + height, left : left + width]
