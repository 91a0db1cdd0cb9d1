"""Photos drawn on the spot for tests: the shape tells the class, the noise tells the photo."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw


def draw_photo(path: Path, label: int, number: int, size: int = 48) -> None:
    """A bright shape that tells the class (disc, box, bar, cross) on noise that tells the photo."""
    chance = np.random.default_rng((label, number))
    photo = Image.fromarray(chance.integers(0, 120, (size, size, 3), dtype=np.uint8))
    pen = ImageDraw.Draw(photo)
    x, y = chance.integers(size // 4, 3 * size // 4, 2)
    r = int(chance.integers(size // 6, size // 4))
    colour = tuple(int(c) for c in chance.integers(180, 256, 3))
    shapes = [
        lambda: pen.ellipse((x - r, y - r, x + r, y + r), fill=colour),
        lambda: pen.rectangle((x - r, y - r, x + r, y + r), outline=colour, width=3),
        lambda: pen.rectangle((0, y - 2, size, y + 2), fill=colour),
        lambda: pen.line((x - r, y - r, x + r, y + r), fill=colour, width=4),
    ]
    shapes[label % 4]()
    path.parent.mkdir(parents=True, exist_ok=True)
    photo.save(path, quality=90)


def draw_folder(root: Path, classes: list[str] | None = None, photos: int = 12, size: int = 48) -> Path:
    """root/<class>/<photo>.jpg."""
    for label, name in enumerate(classes or ["disc", "box", "bar"]):
        for number in range(photos):
            draw_photo(root / name / f"photo_{number:03d}.jpg", label, number, size)
    return root
