"""Boxes of animals from a file, as regions of the photos that a model sees.

Read are tables with xmin, ymin, xmax, ymax in pixels, Camtrap DP's observations (bboxX, bboxY, bboxWidth, bboxHeight in
shares of the photo) or its datapackage.json, which tells the file of each, and the JSON of COCO and of MegaDetector.
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fishnet.data.camtrap import Package, read_package
from fishnet.data.views import Preprocessing, view_box
from fishnet.errors import BadInput
from fishnet.text import counted, few_of

from .regions import Regions

_log = logging.getLogger("fishnet")

CONFIDENT = 0.2  # MegaDetector lists boxes down to nearly nothing
ANIMAL = "1"  # its category for animals
NAMES = ("path", "filename", "file", "filePath", "fileName", "mediaID")  # columns that may name the photo
CORNERS = ("xmin", "ymin", "xmax", "ymax")
CAMTRAP = ("bboxX", "bboxY", "bboxWidth", "bboxHeight")


class Box(NamedTuple):
    """A box of a photo; `relative` ones are in shares of its width and height, others in pixels. A photo that is known
    by its `whole` path is no other of that name."""

    photo: str
    left: float
    top: float
    right: float
    bottom: float
    relative: bool
    whole: bool = False


def boxed_regions(file: Path, table: pd.DataFrame, preprocessing: Preprocessing) -> Regions:
    """The boxes of a file for these photos; what does not fit is counted and named in a warning."""
    found = box_regions(read_boxes(file), table.reset_index(drop=True), preprocessing)
    for photos, single, several, what in (
        (found.without_box, "photo lends", "photos lend", "nothing, without a box that the model sees"),
        (found.outside, "box reaches", "boxes reach", "over the edge of the photo, to which it is cut"),
        (found.unknown, "box is of a photo", "boxes are of photos", "not judged here"),
    ):
        if photos:
            words = counted(len(photos), single, several)
            _log.warning("boxes=%s: %s %s (%s).", file, words, what, few_of(photos))
    if len(found.without_box) == len(table):
        raise BadInput(f"boxes={file}: it names none of these photos (such as {table['path'].iloc[0]}).")
    return Regions(found.regions, True, f"boxes of {file.name}")


class BoxRegions(NamedTuple):
    """The regions, and the photos of those boxes that do not fit, by path."""

    regions: Tensor  # (n, side, side)
    without_box: list[str]  # photos of the table, or none that the model sees of it
    outside: list[str]  # of boxes that reach over the edge of their photo
    unknown: list[str]  # of boxes of photos that the table does not hold


def read_boxes(file: Path) -> list[Box]:
    """All boxes of a file, or BadInput that says what it should look like."""
    if not file.is_file():
        raise BadInput(f"boxes={file}: there is no such file.")
    try:
        if file.suffix.lower() == ".json":
            content = json.loads(file.read_text(encoding="utf-8"))
            return list(_of_package(read_package(file)) if "resources" in content else _of_json(content))
        table = pd.read_csv(file, keep_default_na=False, dtype=str)
        return list(_of_table(table))
    except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise BadInput(
            f"boxes={file} cannot be read ({type(error).__name__}: {str(error)[:80]}); a table needs a column path or "
            f"filename and {', '.join(CORNERS)} in pixels, or {', '.join(CAMTRAP)}; a .json is of Camtrap DP, "
            "COCO or MegaDetector"
        ) from error


def _of_table(table: pd.DataFrame) -> Iterator[Box]:
    name = next((column for column in NAMES if column in table), None)
    if name is None:
        raise KeyError("no column names the photo")
    if set(CORNERS) <= set(table):
        for row in table.itertuples():
            left, top, right, bottom = (float(getattr(row, key)) for key in CORNERS)
            yield Box(str(getattr(row, name)), left, top, right, bottom, relative=False)
        return
    for row in table[(table[list(CAMTRAP)] != "").all(axis=1)].itertuples():
        left, top, width, height = (float(getattr(row, key)) for key in CAMTRAP)
        yield Box(str(getattr(row, name)), left, top, left + width, top + height, relative=True)


def _of_package(package: Package) -> Iterator[Box]:
    """The boxes of all observations, each of the file of its photo."""
    files = {row["mediaID"]: row["filePath"] for row in package.media}
    rows = [{"path": files[row["mediaID"]], **row} for row in package.observations if row["mediaID"] in files]
    table = pd.DataFrame(rows, columns=["path", *CAMTRAP], dtype=object).fillna("")
    yield from (box._replace(whole=True) for box in _of_table(table))


def _of_json(content: Mapping) -> Iterator[Box]:
    if "annotations" in content:  # COCO
        files = {image["id"]: image["file_name"] for image in content["images"]}
        for annotation in content["annotations"]:
            if "bbox" in annotation:
                left, top, width, height = map(float, annotation["bbox"])
                yield Box(files[annotation["image_id"]], left, top, left + width, top + height, relative=False)
        return
    for image in content["images"]:  # MegaDetector
        for found in image.get("detections") or []:
            if str(found["category"]) == ANIMAL and float(found["conf"]) >= CONFIDENT:
                left, top, width, height = map(float, found["bbox"])
                yield Box(image["file"], left, top, left + width, top + height, relative=True)


def box_regions(found: Sequence[Box], table: pd.DataFrame, preprocessing: Preprocessing) -> BoxRegions:
    """For each row of the table (path, width, height) the union of its boxes as the model sees the photo.

    A photo without a box protects all of itself: nothing of it is exchanged.
    """
    rows = _rows_by_name(table["path"])
    regions = torch.zeros(len(table), preprocessing.size, preprocessing.size)
    outside, unknown = list[str](), list[str]()
    for box in found:
        row = rows.get(box.photo, None if box.whole else rows.get(PurePosixPath(box.photo).name))
        if row is None:
            unknown.append(box.photo)
            continue
        width, height = int(table["width"].iloc[row]), int(table["height"].iloc[row])
        scale = np.array([width, height] * 2) if box.relative else np.ones(4)
        corners = np.array([box.left, box.top, box.right, box.bottom]) * scale
        if (corners < -1).any() or (corners > np.array([width, height] * 2) + 1).any():
            outside.append(box.photo)
        _paint(regions[row], corners, width, height, preprocessing)
    empty = regions.flatten(1).sum(dim=1) == 0
    regions[empty] = 1
    return BoxRegions(regions, table["path"][empty.numpy()].tolist(), outside, unknown)


def _rows_by_name(paths: pd.Series) -> dict[str, int]:
    """Rows by path, and by the bare name or the path below the class folder where it is the only one of its kind."""
    rows: dict[str, int] = {}
    for names in (paths.map(lambda path: PurePosixPath(path).name), paths.map(lambda path: path.partition("/")[2])):
        alone = ~names.duplicated(keep=False)
        rows |= {name: row for row, (name, single) in enumerate(zip(names, alone, strict=True)) if single}
    return rows | {path: row for row, path in enumerate(paths)}


def _paint(region: Tensor, corners: np.ndarray, width: int, height: int, preprocessing: Preprocessing) -> None:
    """Set the box to 1, where the evaluation view shows it."""
    box = view_box(width, height, preprocessing)
    seen = (corners - np.array([box.left, box.top] * 2)) * preprocessing.size / np.array([box.width, box.height] * 2)
    start = np.maximum(0, np.floor(seen[:2])).astype(int)
    end = np.maximum(0, np.ceil(seen[2:])).astype(int)
    region[start[1] : end[1], start[0] : end[0]] = 1
