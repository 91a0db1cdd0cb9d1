"""Masks of animals, a file a photo, as regions of the photos that a model sees.

The mask of `pike/a.jpg` is `pike/a.png` in the folder of masks; what is brighter than the middle grey is the animal.
"""

import logging
from collections import defaultdict
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import pandas as pd
import torch

from fishnet.data.views import LONGEST, Preprocessing, centre, padded_shape, working, working_shape
from fishnet.errors import BadInput
from fishnet.images import RefusedImage, load_image
from fishnet.reef.make import MASKS
from fishnet.reef.make import read_mask as read_reef_mask
from fishnet.text import counted, few_of

from .regions import Regions

_log = logging.getLogger("fishnet")

FISH = 1  # in the masks of a reef
GREY = 127  # brighter pixels are the animal's
SAME_SHAPE = 0.01  # a mask whose width over height differs by no more is of the same photo at another size

MISSING, UNREADABLE = "without a mask", "whose mask cannot be read"
OTHER_SHAPE, BLANK = "whose mask has another shape", "whose mask marks nothing that the model sees"
SCALED = "whose mask has another size and is scaled"


def masked_regions(folder: Path, table: pd.DataFrame, preprocessing: Preprocessing) -> Regions:
    """The masks of a folder for the photos of a table (path, width, height), or BadInput where it has none of them.

    Without a mask that can be used a photo protects all of itself: nothing of it is exchanged. A line for each kind of
    trouble counts and names such photos.
    """
    regions = torch.ones(len(table), preprocessing.size, preprocessing.size)
    trouble: dict[str, list[str]] = defaultdict(list)
    rows = zip(table["path"].tolist(), table["width"].tolist(), table["height"].tolist(), strict=True)
    for number, (path, width, height) in enumerate(rows):
        mask, words = read_mask(folder / PurePosixPath(path).with_suffix(".png"), width, height)
        view = None if mask is None else mask_view(mask, width, height, preprocessing)
        if view is not None and view.any():
            regions[number] = torch.from_numpy(view)
        elif view is not None:
            words = BLANK
        if words:
            trouble[words].append(path)
    if len(trouble[MISSING]) == len(table):
        raise BadInput(f"masks={folder}: it holds no mask of these photos (such as {_mask_name(table)}).")
    for words, paths in trouble.items():
        lends = "lends" if len(paths) == 1 else "lend"
        lost = "" if words == SCALED else f", which {lends} nothing"
        if paths:
            _log.warning("masks=%s: %s %s%s: %s.", folder, counted(len(paths), "photo"), words, lost, few_of(paths))
    return Regions(regions, True, f"masks in {folder.name}")


def has_reef_masks(root: Path) -> bool:
    """Whether a folder is a drawn reef, which knows where its fish are."""
    return (root / MASKS).is_file()


def reef_regions(root: Path, table: pd.DataFrame, preprocessing: Preprocessing) -> Regions:
    """The exact masks of a drawn reef's fish, for the photos of a table (path, width, height)."""
    regions = torch.zeros(len(table), preprocessing.size, preprocessing.size)
    rows = zip(table["path"].tolist(), table["width"].tolist(), table["height"].tolist(), strict=True)
    for number, (path, width, height) in enumerate(rows):
        view = mask_view(read_reef_mask(root, path) == FISH, width, height, preprocessing)
        regions[number] = torch.from_numpy(view)
    return Regions(regions, True, "the drawn fish")


def _mask_name(table: pd.DataFrame) -> PurePosixPath:
    return PurePosixPath(table["path"].iloc[0]).with_suffix(".png")


def read_mask(file: Path, width: int, height: int) -> tuple[np.ndarray | None, str]:
    """(rows, columns) of a mask, true on the animal, or None; and what is wrong with it for a photo of this size."""
    if not file.is_file():
        return None, MISSING
    try:
        image = load_image(file)
    except RefusedImage:
        return None, UNREADABLE
    if abs(image.width * height / (image.height * width) - 1) > SAME_SHAPE:
        return None, OTHER_SHAPE
    return np.asarray(image.convert("L")) > GREY, "" if image.size == (width, height) else SCALED


def mask_view(mask: np.ndarray, width: int, height: int, preprocessing: Preprocessing) -> np.ndarray:
    """The mask of a photo of this size as the model sees the photo, (size, size): 1 in each cell that the animal
    touches."""
    how = working(preprocessing)
    if how.fit == "pad":
        rows, columns = padded_shape(width, height, how.side)
        top, left = (how.side - rows) // 2, (how.side - columns) // 2
        square = np.zeros((how.side, how.side), np.float32)
        square[top : top + rows, left : left + columns] = _touched(mask, rows, columns)
        return square
    if how.fit == "crop":
        longest = round(LONGEST * min(mask.shape))
        top, left = (max(0, length - longest) // 2 for length in mask.shape)
        mask = mask[top : top + longest, left : left + longest]
    rows, columns, _ = working_shape(width, height, how)
    return centre(_touched(mask, rows, columns), preprocessing.size).astype(np.float32)


def _touched(mask: np.ndarray, rows: int, columns: int) -> np.ndarray:
    return cv2.resize(mask.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA) > 0
