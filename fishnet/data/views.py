"""From the working image to the square that a network sees: the centre, or a piece chosen by chance."""

from dataclasses import dataclass

import cv2
import numpy as np

from fishnet.errors import BadInput
from fishnet.text import nearest

AUGMENTATIONS = ("none", "mirror", "light", "photo", "affine")
CROPS = {"light": (0.7, 1.0), "photo": (0.4, 1.0)}  # shares of the photo's area
NARROWEST, WIDEST = 0.8, 1.25  # a piece's width over its height


@dataclass(frozen=True)
class View:
    """`size` pixels square. Which piece it shows is decided here; what else a preset does, `augment.py` does."""

    size: int
    augment: str = "none"

    def __post_init__(self) -> None:
        if self.augment not in AUGMENTATIONS:
            raise BadInput(f"data.augment={self.augment} is unknown: {nearest(self.augment, list(AUGMENTATIONS))}")

    def cut(self, image: np.ndarray, into: np.ndarray, chance: np.ndarray) -> None:
        """The view of a working image, written into its place in the batch."""
        if self.augment in CROPS:
            _piece(image, into, chance, CROPS[self.augment])
        else:
            into[:] = centre(image, self.size)


def centre(image: np.ndarray, size: int) -> np.ndarray:
    """The evaluation view: the middle of the working image, as torchvision's CenterCrop cuts it."""
    top, left = (round((length - size) / 2) for length in image.shape[:2])
    return image[top : top + size, left : left + size]


def _piece(image: np.ndarray, into: np.ndarray, chance: np.ndarray, share: tuple[float, float]) -> None:
    """A piece of a random share of the area and a random shape, from a random place, scaled to the view."""
    rows, columns = image.shape[:2]
    area = rows * columns * (share[0] + (share[1] - share[0]) * float(chance[0]))
    shape = NARROWEST * (WIDEST / NARROWEST) ** float(chance[1])
    height = min(rows, max(1, round((area / shape) ** 0.5)))
    width = min(columns, max(1, round((area * shape) ** 0.5)))
    top = int(float(chance[2]) * (rows - height + 1))
    left = int(float(chance[3]) * (columns - width + 1))
    smaller = height > into.shape[0] or width > into.shape[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    cv2.resize(image[top : top + height, left : left + width], into.shape[1::-1], dst=into, interpolation=method)
