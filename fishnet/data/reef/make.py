"""The reef as files: class folders of photos, a manifest, and the masks aside.

Masks (0 ground, 1 fish, 2 cue) lie in one archive, `.masks.zip`, as `<class>/<photo>.png`: a second file
for every photo would cost as much time as a third of the drawing.
"""

import csv
import hashlib
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from rich.progress import track

from fishnet.data.reef.observations import Observation, observations_of
from fishnet.data.reef.photo import draw_photo
from fishnet.data.reef.plant import Plant, read_plant
from fishnet.data.reef.species import SPECIES, Species
from fishnet.errors import BadInput

MASKS = ".masks.zip"
COLUMNS = ["path", "class", "sha256", "source", "photo_id", "observation_id", "observer", "licence"]
COLUMNS += ["attribution", "url", "taken_on", "lat", "lon", "fetched_at"]
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 90]
PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE]


def make_reef(
    root: str | Path,
    *,
    species: int = 6,
    photos: int = 150,
    size: int = 224,
    seed: int = 0,
    plant: dict | None = None,
    progress: bool = True,
) -> Path:
    """Draw `photos` photos of each of the first `species` species into `root`.

    `plant={"cue": "angler", "class": …, "share": …}` puts a cue into a share of one class.
    """
    root = Path(root)
    check(species=species, photos=photos, size=size, seed=seed)
    kinds = list(SPECIES.values())[:species]
    planted = read_plant(plant, [kind.name for kind in kinds])
    for kind in kinds:
        (root / kind.name).mkdir(parents=True, exist_ok=True)
    todo = [
        (kind, number, observation)
        for kind in kinds
        for number, observation in enumerate(observations_of(kind, seed=seed, photos=photos))
    ]
    with zipfile.ZipFile(root / MASKS, "w") as masks:
        rows = _drawn(root, masks, todo, planted, seed, size)
        _write_manifest(root, track(rows, "drawing the reef", len(todo), disable=not progress))
    return root


def check(*, species: int, photos: int, size: int, seed: int) -> None:
    for name, value, low, high in (
        ("species", species, 2, len(SPECIES)),
        ("photos", photos, 1, 100_000),
        ("size", size, 32, 2048),
        ("seed", seed, 0, 2**63),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise BadInput(f"The reef's {name} must be a whole number from {low} to {high}, not {value!r}.")


def read_mask(root: str | Path, photo: str) -> np.ndarray:
    """The mask of a photo by its path in the manifest: 0 ground, 1 fish, 2 cue."""
    with zipfile.ZipFile(Path(root) / MASKS) as masks:
        packed = np.frombuffer(masks.read(str(PurePosixPath(photo).with_suffix(".png"))), np.uint8)
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE))


def _drawn(
    root: Path,
    masks: zipfile.ZipFile,
    todo: list[tuple[Species, int, Observation]],
    planted: Plant | None,
    seed: int,
    size: int,
) -> Iterator[dict]:
    for kind, number, seen in todo:
        cue = planted.cue if planted and planted.falls_on(kind.name, number) else None
        photo = draw_photo(kind, seed=seed, number=number, observation=seen.number, size=size, cue=cue)
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
