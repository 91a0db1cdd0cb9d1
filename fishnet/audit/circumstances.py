"""What is known of a photo without a look at it: how its file is coded, and by whom, where and when it was taken."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from fishnet.data.findings import Folder
from fishnet.headers import coarseness

HEAD = 1 << 18  # bytes of a JPEG that hold its tables, behind what cameras and editors write before them
KINDS = 8  # most frequent values of a property of files that are told apart exactly
FEWEST = 5  # photos of such a value


def file_coding(table: pd.DataFrame, root: Path) -> np.ndarray:
    """Size, shape, format and coarseness of the coding: measured, and which of the frequent values each photo has."""
    width, height = (table[side].to_numpy(float) for side in ("width", "height"))
    coding = np.array([coarseness(_head(root / path)) for path in table["path"]])
    numbers = [np.log(width * height), np.log(width / height), np.log1p(coding)]
    shape = (width / height).round(2)
    sizes = table["width"].astype(str) + " x " + table["height"].astype(str)
    kinds = [_frequent(values) for values in (sizes, pd.Series(shape), table["file_format"], pd.Series(coding))]
    return np.column_stack([*numbers, *kinds])


def file_density(table: pd.DataFrame, root: Path) -> np.ndarray:
    """Bytes a pixel: how much detail there is, the animal's own too."""
    size = np.array([(root / path).stat().st_size for path in table["path"]], float)
    return np.log(size / (table["width"] * table["height"]).to_numpy(float))[:, None]


def metadata(folder: Folder, rows: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Observer, place, month, source and camera: a name, and the value of each photo as text, empty where unknown."""
    paths = folder.table["path"].iloc[rows]
    stated = folder.manifest.drop_duplicates("path").set_index("path").reindex(paths) if len(folder.manifest) else None

    def column(name: str) -> pd.Series:
        known = stated is not None and name in stated
        return stated[name].fillna("") if known else pd.Series("", index=paths)  # type: ignore[index]

    lat, lon = (pd.to_numeric(column(name), errors="coerce").round() for name in ("lat", "lon"))
    square = (lat.astype(str) + " " + lon.astype(str)).where(lat.notna() & lon.notna(), "")
    day = column("taken_on").to_numpy(object)
    clock = folder.table["exif_time"].iloc[rows].to_numpy(object)
    yield "observer", column("observer").to_numpy(object)
    yield "place", square.to_numpy(object)
    yield "month", np.array([str(stated or own)[5:7] for stated, own in zip(day, clock, strict=True)], object)
    yield "source", column("source").to_numpy(object)
    yield "camera", folder.table["exif_camera"].iloc[rows].to_numpy(object)


def _head(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(HEAD)


def _frequent(values: pd.Series) -> np.ndarray:
    """A column of 0 and 1 for each of the most frequent values."""
    counts = values.value_counts().head(KINDS)
    return (
        np.array([values.to_numpy() == kind for kind in counts.index[counts >= FEWEST]], float)
        .reshape(-1, len(values))
        .T
    )
