"""Planting a cue into any photo, so that it is known for certain which photos carry it.

How a cue looks is the reef's (`reef/cues.py`); here it is decided where the animal of a foreign photo is taken to be.
"""

from functools import lru_cache

import numpy as np

from fishnet.errors import BadInput
from fishnet.reef.cues import CUES
from fishnet.text import nearest

PLANTABLE = tuple(name for name, cue in CUES.items() if cue.apply)  # the others need the reef's own scenes
ELLIPSE = 0.46, 0.31  # half axes of the ellipse that is taken for the animal, in shares of width and height


def plant(
    pixels: np.ndarray, cue: str, rng: np.random.Generator, *, animal: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """A photo with a cue in it, and the pixels that the cue covers (none, if it changes the whole photo).

    Args:
        pixels: The photo, RGB, uint8, (height, width, 3); it is left as it is.
        cue: A name of PLANTABLE.
        rng: The only source of what is random: size, place and colour of the cue within its kind.
        animal: Where the animal is, bool, (height, width); by default an ellipse in the middle. Cues that lie on the
            animal do not leave it, those off it do not cover it, but for a border and a watermark.
    """
    if cue not in PLANTABLE:
        raise BadInput(f"The cue {cue!r} cannot be planted into photos: {nearest(str(cue), [*PLANTABLE])}")
    height, width = pixels.shape[:2]
    opacity = (ellipse(height, width) if animal is None else animal).astype(np.uint8) * np.uint8(255)
    apply = CUES[cue].apply
    assert apply is not None
    return apply(pixels, opacity, rng)


@lru_cache(maxsize=8)
def ellipse(height: int, width: int) -> np.ndarray:
    """The animal, if nothing is known of it."""
    y, x = np.linspace(-0.5, 0.5, height)[:, None], np.linspace(-0.5, 0.5, width)
    return np.asarray((x / ELLIPSE[0]) ** 2 + (y / ELLIPSE[1]) ** 2 <= 1)
