"""Seconds and memory of indexing many photos, first and again.

Run it as `python -m experiments.index_scale --rows 100000`.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from experiments.speed.memory import Peak

CLASSES = 100


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=100_000)
    options.add_argument("--side", type=int, default=48, help="pixels of a drawn photo")
    options.add_argument("--build", type=Path, help="index this folder and report, drawing nothing")
    chosen = options.parse_args()
    if chosen.build:
        _build(chosen.build)
        return
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        draw(Path(folder), chosen.rows, chosen.side)
        print(f"drawing {chosen.rows} photos: {time.perf_counter() - start:.1f} s")
        for name in ("first", "again", "and again"):
            print(f"{name}: ", end="", flush=True)
            subprocess.run([sys.executable, "-m", __spec__.name, "--build", folder], check=True)


def draw(root: Path, rows: int, side: int) -> None:
    """Distinct pictures, so that neither their bytes nor their hashes fall together."""
    rng = np.random.default_rng(0)
    for number in range(CLASSES):
        (root / f"species {number:03}").mkdir()
    for row in range(rows):
        spots = Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8))
        photo = spots.resize((side, side), Image.Resampling.BICUBIC)
        photo.save(root / f"species {row % CLASSES:03}" / f"{row:07}.jpg")


def _build(root: Path) -> None:
    peak = Peak()
    start = time.perf_counter()
    from fishnet.data.index import build_index

    index = build_index(root, progress=False)
    seconds = time.perf_counter() - start
    print(
        f"{len(index.table)} rows, {index.table['group'].nunique()} groups in {seconds:.2f} s "
        f"({time.process_time():.2f} s of CPU here) with imports, "
        f"private memory at most {peak.stop() / 2**20:.0f} MB"
    )


if __name__ == "__main__":
    main()
