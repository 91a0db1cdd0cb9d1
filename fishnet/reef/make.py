"""The reef as files: class folders of photos, a manifest, and the masks aside.

Masks (0 ground, 1 fish, 2 cue) lie in one archive, `.masks.zip`, as `<class>/<photo>.png`: a second file
for every photo would cost as much time as a third of the drawing.
"""

import csv
import hashlib
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from rich.progress import track

from fishnet.errors import BadInput
from fishnet.reef.observations import Observation, observations_of
from fishnet.reef.photo import draw_photo
from fishnet.reef.settings import Settings
from fishnet.reef.species import Species

MASKS = ".masks.zip"
COLUMNS = ["path", "class", "sha256", "source", "photo_id", "observation_id", "observer", "licence"]
COLUMNS += ["attribution", "url", "taken_on", "lat", "lon", "fetched_at"]
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 90]
PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE]


def make_reef(root: str | Path, *, progress: bool = True, **settings: Any) -> Path:
    """Draw a reef into `root`, a folder that is empty or not there; the settings are those of Settings."""
    root, chosen = Path(root), Settings(**settings)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise BadInput(f"{root} is not an empty folder; choose another place for the reef.")
    draw(root, chosen, progress=progress)
    return root


def draw(root: Path, chosen: Settings, *, progress: bool) -> None:
    for kind in chosen.kinds:
        (root / kind.name).mkdir(parents=True, exist_ok=True)
    todo = [
        (kind, number, seen)
        for kind in chosen.kinds
        for number, seen in enumerate(observations_of(kind, seed=chosen.seed, photos=chosen.photos))
    ]
    with zipfile.ZipFile(root / MASKS, "w") as masks:
        rows = _drawn(root, masks, todo, chosen)
        _write_manifest(root, track(rows, "drawing the reef", len(todo), disable=not progress))


def read_mask(root: str | Path, photo: str) -> np.ndarray:
    """The mask of a photo by its path in the manifest: 0 ground, 1 fish, 2 cue."""
    with zipfile.ZipFile(Path(root) / MASKS) as masks:
        packed = np.frombuffer(masks.read(str(PurePosixPath(photo).with_suffix(".png"))), np.uint8)
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE))


def _drawn(
    root: Path, masks: zipfile.ZipFile, todo: list[tuple[Species, int, Observation]], chosen: Settings
) -> Iterator[dict]:
    plant = chosen.planted
    for kind, number, seen in todo:
        cue = plant.cue if plant and plant.falls_on(kind.name, number) else None
        photo = draw_photo(kind, seed=chosen.seed, number=number, observation=seen.number, size=chosen.size, cue=cue)
        name = f"{kind.name}_{number:05d}"
        jpeg = _encode(".jpg", photo.pixels[:, :, ::-1], JPEG)
        (root / kind.name / f"{name}.jpg").write_bytes(jpeg)
        masks.writestr(zipfile.ZipInfo(f"{kind.name}/{name}.png"), _encode(".png", photo.mask, PNG))
        yield _row(kind, name, seen, jpeg)


def _encode(kind: str, pixels: np.ndarray, settings: list[int]) -> bytes:
    return cv2.imencode(kind, pixels, settings)[1].tobytes()


def _row(kind: Species, name: str, seen: Observation, jpeg: bytes) -> dict:
    return {
        "path": f"{kind.name}/{name}.jpg",
        "class": kind.name,
        "sha256": hashlib.sha256(jpeg).hexdigest(),
        "source": "reef",
        "photo_id": name,
        "observation_id": f"{kind.name}-{seen.number:05d}",
        "observer": seen.observer,
        "licence": "cc0",
        "attribution": "drawn by fishnet, no rights reserved (CC0)",
        "url": "",
        "taken_on": seen.taken_on,
        "lat": seen.lat,
        "lon": seen.lon,
        "fetched_at": f"{seen.taken_on}T12:00:00+00:00",
    }


def _write_manifest(root: Path, rows: Iterable[dict]) -> None:
    with open(root / "manifest.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
