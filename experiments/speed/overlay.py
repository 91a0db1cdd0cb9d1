"""Fifty overlays to disk, beside a matplotlib figure each."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from fishnet.explain.overlay import heat, overlay, save

from .pairing import Case, Options
from .photos import picture

COUNT = 50


def cases(options: Options) -> Iterator[Case]:
    chance = np.random.default_rng(0)
    photos = [np.asarray(picture(224, 224, number)) for number in range(COUNT)]
    maps = [chance.normal(size=(7, 7)).astype(np.float32) for _ in photos]
    scratch = Path(tempfile.mkdtemp(prefix="fishnet-overlay-"))

    def ours() -> None:
        for number, (photo, values) in enumerate(zip(photos, maps, strict=True)):
            save(overlay(photo, values), scratch / f"ours_{number:02d}.jpg")

    def usual() -> None:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot

        for number, (photo, values) in enumerate(zip(photos, maps, strict=True)):
            figure, (left, right) = pyplot.subplots(1, 2, figsize=(8, 4))
            left.imshow(photo)
            right.imshow(photo)
            right.imshow(heat(values, (224, 224)), cmap="Reds", alpha=0.5)
            for axes in (left, right):
                axes.axis("off")
            figure.savefig(scratch / f"usual_{number:02d}.png", bbox_inches="tight")
            pyplot.close(figure)

    def true(*_) -> tuple[bool, str]:
        pairs = [(overlay(photo, values), scratch / f"ours_{n:02d}.jpg") for n, (photo, values) in enumerate(
            zip(photos, maps, strict=True))]  # fmt: skip
        worst = min(psnr(np.asarray(exact), np.asarray(Image.open(file))) for exact, file in pairs)
        return worst >= 40, f"PSNR of the file at least {worst:.1f} dB"

    yield Case("50 overlays of 224 px", ours, usual, true, 50, ours_work=COUNT, peers_work=COUNT, most_rounds=7)


def psnr(exact: np.ndarray, saved: np.ndarray) -> float:
    error = float(((exact.astype(np.float64) - saved) ** 2).mean())
    return 99.0 if error == 0 else 10 * np.log10(255**2 / error)
