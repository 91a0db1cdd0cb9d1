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

from fishnet.errors import BadInput
from fishnet.reef.drawing import drawn_photos
from fishnet.reef.settings import Settings

MASKS = ".masks.zip"
COLUMNS = ["path", "class", "sha256", "source", "photo_id", "observation_id", "observer", "licence"]
COLUMNS += ["attribution", "url", "taken_on", "lat", "lon", "fetched_at"]
PLANTED = "cues"  # the column of a planted reef that names what is in each photo besides the fish, joined by +
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
        manifest.writerow(COLUMNS + ([PLANTED] if chosen.planted else []))
        manifest.writerows(_drawn(root, masks, chosen, progress))


def read_mask(root: str | Path, photo: str) -> np.ndarray:
    """The mask of a photo by its path in the manifest: 0 ground, 1 fish, 2 cue."""
    with zipfile.ZipFile(Path(root) / MASKS) as masks:
        packed = np.frombuffer(masks.read(str(PurePosixPath(photo).with_suffix(".png"))), np.uint8)
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE))


def _drawn(root: Path, masks: zipfile.ZipFile, chosen: Settings, progress: bool) -> Iterator[list]:
    """Draw all photos, and yield their rows of the manifest."""
    for entry, photo in drawn_photos(chosen, progress=progress):
        folder, name, observation = entry.kind.name, entry.name, entry.observation
        jpeg = cv2.imencode(".jpg", photo.pixels[:, :, ::-1], JPEG)[1].tobytes()
        (root / folder / f"{name}.jpg").write_bytes(jpeg)
        png = cv2.imencode(".png", photo.mask, PNG)[1].tobytes()
        masks.writestr(zipfile.ZipInfo(f"{folder}/{name}.png"), png)
        day = observation.taken_on
        row: list = [f"{folder}/{name}.jpg", folder, hashlib.sha256(jpeg).hexdigest(), "reef", name]
        row += [f"{folder}-{observation.number:05d}", observation.observer, "cc0", ATTRIBUTION, ""]
        row += [day, observation.lat, observation.lon, f"{day}T12:00:00+00:00"]
        yield row + (["+".join(entry.cues)] if chosen.planted else [])
