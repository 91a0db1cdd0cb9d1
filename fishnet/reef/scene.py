"""Where an observation was made: its photos share the scene, each with its own view of it.

Three kinds for every species alike: under water, on the ground, and above the lake (where the fish leaps).
The angler stands by the lake too, so neither sky nor shore gives a planted class away.
"""

from bisect import bisect
from dataclasses import dataclass, replace

import cv2
import numpy as np

from fishnet.reef.scenery import ground, lake
from fishnet.reef.water import under_water

Rng = np.random.Generator
KINDS, UP_TO = ("water", "ground", "lake"), (0.72, 0.86, 1.0)


@dataclass(frozen=True)
class Scene:
    kind: str
    pixels: np.ndarray
    colour: tuple[float, float, float] = (0, 0, 0)  # what the water lends to a fish in it
    horizon: float = 0  # the row of the waterline


def draw_scene(rng: Rng, size: int) -> Scene:
    kind = KINDS[bisect(UP_TO, rng.random())]
    if kind == "water":
        pixels, colour = under_water(size, rng)
        return Scene(kind, pixels, colour=colour)
    if kind == "ground":
        return Scene(kind, ground(size, rng))
    return draw_lake(rng, size)


def draw_lake(rng: Rng, size: int) -> Scene:
    pixels, horizon = lake(size, rng)
    return Scene("lake", pixels, horizon=horizon)


def view(scene: Scene, rng: Rng) -> Scene:
    """One photo's piece of the scene: a little closer, a little aside, perhaps from the other shore."""
    size = len(scene.pixels)
    side = int(size * rng.uniform(0.8, 1.0))
    top, left = (int(offset) for offset in rng.integers(0, size - side + 1, 2))
    piece = scene.pixels[top : top + side, left : left + side]
    if rng.random() < 0.5:
        piece = cv2.flip(piece, 1)
    pixels = cv2.resize(piece, (size, size), interpolation=cv2.INTER_LINEAR)
    return replace(scene, pixels=pixels, horizon=(scene.horizon - top) * size / side)
