"""Photo-like JPEGs from a fixed seed: structure at every scale, so that they compress and decode as photos do."""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

SIZES = {500: (500, 375), 1024: (1024, 768), 2048: (2048, 1536)}
SCALES = ((160, 0.45), (40, 0.25), (10, 0.2), (3, 0.12))  # pixels a patch, share of the contrast


def picture(width: int, height: int, seed: int) -> Image.Image:
    chance = np.random.default_rng(seed)
    mixed = np.zeros((height, width, 3), np.float32)
    for patch, share in SCALES:
        shape = (max(2, height // patch), max(2, width // patch), 3)
        coarse = Image.fromarray(chance.integers(0, 256, shape, dtype=np.uint8))
        mixed += share * np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.float32)
    return Image.fromarray(mixed.clip(0, 255).astype(np.uint8))


@cache
def folder(longer: int, count: int) -> Path:
    """Two classes of drawn photos with this longer side, in a place that goes with the process."""
    scratch = tempfile.TemporaryDirectory(prefix=f"fishnet-speed-{longer}-")
    _kept.append(scratch)
    root = Path(scratch.name)
    for number in range(count):
        place = root / f"class_{number % 2}" / f"{number:05d}.jpg"
        place.parent.mkdir(exist_ok=True)
        picture(*SIZES[longer], number).save(place, quality=88)
    return root


_kept: list[tempfile.TemporaryDirectory] = []
