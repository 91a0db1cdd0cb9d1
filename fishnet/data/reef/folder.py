"""The reef that is there when it is asked for: drawn on first use, once, whole or not at all.

It is drawn into a folder beside its final name and renamed when every byte is on the disk. A file lock
makes a second process wait; one that died in the middle leaves a folder that the next one clears away.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from filelock import FileLock

from fishnet.data.reef.make import check, make_reef
from fishnet.data.reef.plant import read_plant
from fishnet.data.reef.species import SPECIES

DRAWING = 1  # raise it when the same settings give other photos, so that old folders are left alone


def reef_folder(
    parent: str | Path,
    *,
    species: int = 6,
    photos: int = 150,
    size: int = 224,
    seed: int = 0,
    plant: dict | None = None,
    progress: bool = True,
) -> Path:
    """`<parent>/reef-<digest of the settings>`, drawn if it is not there."""
    check(species=species, photos=photos, size=size, seed=seed)
    planted = read_plant(plant, list(SPECIES)[:species])
    settings: dict[str, Any] = {"species": species, "photos": photos, "size": size, "seed": seed}
    facts = {**settings, "drawing": DRAWING, "plant": vars(planted) if planted else None}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]
    final = Path(parent).absolute() / f"reef-{digest}"
    if final.is_dir():
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{final}.lock"):
        if not final.is_dir():
            drawing = final.with_name(f".{final.name}.drawing")
            shutil.rmtree(drawing, ignore_errors=True)
            make_reef(drawing, **settings, plant=plant, progress=progress)
            _sync(drawing)
            os.replace(drawing, final)
            _sync_one(final.parent)
    return final


def _sync(root: Path) -> None:
    """All files and folders under `root` to the disk: the rename must not arrive before the bytes."""
    for folder, _, names in os.walk(root):
        for name in names:
            _sync_one(Path(folder, name))
        _sync_one(Path(folder))


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
