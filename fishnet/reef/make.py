"""The reef as files: class folders of photos, a manifest, and an archive of masks.

Masks (0 ground, 1 fish, 2 cue) lie in one archive, `.masks.zip`, as `<class>/<photo>.png`: a second file for every
photo would cost as much time as a third of the drawing.
"""

import csv
import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from rich.progress import track

from fishnet.errors import BadInput
from fishnet.reef.observations import observations_of
from fishnet.reef.photo import draw_photo
from fishnet.reef.settings import Settings

MASKS = ".masks.zip"
COLUMNS = ["path", "class", "sha256", "source", "photo_id", "observation_id", "observer", "licence"]
COLUMNS += ["attribution", "url", "taken_on", "lat", "lon", "fetched_at"]
ATTRIBUTION = "drawn by fishnet, no rights reserved (CC0)"
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 90]
PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE]


def make_reef(root: str | Path, *, progress: bool = True, **settings: Any) -> Path:
    """Draw a reef into `root`, a folder that is empty or does not exist; the settings are those of Settings."""
    root, chosen = Path(root), Settings(**settings)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise BadInput(f"{root} is not an empty folder; choose another folder for the reef.")
    draw(root, chosen, progress=progress)
    return root


def draw(root: Path, chosen: Settings, *, progress: bool) -> None:
    for kind in chosen.kinds:
        (root / kind.name).mkdir(parents=True, exist_ok=True)
    with (
        zipfile.ZipFile(root / MASKS, "w") as masks,
        open(root / "manifest.csv", "w", newline="", encoding="utf-8") as file,
    ):
        manifest = csv.writer(file, lineterminator="\n")
        manifest.writerow(COLUMNS)
        count = len(chosen.kinds) * chosen.photos
        manifest.writerows(track(_drawn(root, masks, chosen), "drawing the reef", count, disable=not progress))


def read_mask(root: str | Path, photo: str) -> np.ndarray:
    """The mask of a photo by its path in the manifest: 0 ground, 1 fish, 2 cue."""
    with zipfile.ZipFile(Path(root) / MASKS) as masks:
        packed = np.frombuffer(masks.read(str(PurePosixPath(photo).with_suffix(".png"))), np.uint8)
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE))


def _drawn(root: Path, masks: zipfile.ZipFile, chosen: Settings) -> Iterator[list]:
    """Draw all photos, and yield their rows of the manifest."""
    plant, seed, size = chosen.planted, chosen.seed, chosen.size
    for kind in chosen.kinds:
        for number, observation in enumerate(observations_of(kind, seed=seed, photos=chosen.photos)):
            cue = plant.cue if plant and plant.falls_on(kind.name, number) else None
            photo = draw_photo(kind, seed=seed, number=number, observation=observation.number, size=size, cue=cue)
            name = f"{kind.name}_{number:05d}"
            jpeg = cv2.imencode(".jpg", photo.pixels[:, :, ::-1], JPEG)[1].tobytes()
            (root / kind.name / f"{name}.jpg").write_bytes(jpeg)
            png = cv2.imencode(".png", photo.mask, PNG)[1].tobytes()
            masks.writestr(zipfile.ZipInfo(f"{kind.name}/{name}.png"), png)
            day = observation.taken_on
            row = [f"{kind.name}/{name}.jpg", kind.name, hashlib.sha256(jpeg).hexdigest(), "reef", name]
            row += [f"{kind.name}-{observation.number:05d}", observation.observer, "cc0", ATTRIBUTION, ""]
            yield [*row, day, observation.lat, observation.lon, f"{day}T12:00:00+00:00"]
