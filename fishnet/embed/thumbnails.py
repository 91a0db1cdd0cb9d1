"""Small copies of many photos in a few pictures, so that one page can hold ten thousand of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Protocol

import numpy as np
from PIL import Image

from fishnet.page.figures import data_address

COLUMNS = 16  # of a sheet, which holds 256 photos: a browser decodes those that are looked at
MANY = 2500  # photos; beyond, they are half as wide, and the page stays below 25 MB
SIDE, SMALL_SIDE = 96, 48  # pixels


class Images(Protocol):
    """Photos by row number: (height, width, 3) bytes."""

    def __getitem__(self, position: int, /) -> np.ndarray: ...


@dataclass(frozen=True)
class Thumbnails:
    """Photo number n lies in sheet n // (columns²), row by row.

    Args:
        sheets: data addresses of JPEG pictures.
        side: of a photo in pixels; photos are whole, with grey beside them where they are not square.
        columns: of a sheet, and its rows.
    """

    sheets: Sequence[str]
    side: int
    columns: int = COLUMNS


def thumbnails(images: Images, rows: Sequence[int]) -> Thumbnails:
    """The photos of these rows.

    Args:
        images: (height, width, 3) bytes, by row.
        rows: which, in order.
    """
    side = SIDE if len(rows) <= MANY else SMALL_SIDE
    sheets = []
    for start in range(0, len(rows), COLUMNS**2):
        sheet = Image.new("RGB", (COLUMNS * side, COLUMNS * side), (128, 128, 128))
        for number, row in enumerate(rows[start : start + COLUMNS**2]):
            down, across = divmod(number, COLUMNS)
            sheet.paste(fitted(images[row], side), (across * side, down * side))
        file = BytesIO()
        sheet.save(file, format="JPEG", quality=70)
        sheets.append(data_address(file.getvalue(), "image/jpeg"))
    return Thumbnails(sheets, side)


def fitted(photo: np.ndarray, side: int) -> Image.Image:
    """The whole photo within a grey square."""
    image = Image.fromarray(np.ascontiguousarray(photo))
    image.thumbnail((side, side), Image.Resampling.BICUBIC)
    square = Image.new("RGB", (side, side), (128, 128, 128))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square
