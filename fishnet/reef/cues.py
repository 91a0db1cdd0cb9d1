"""Planted cues: what is drawn into a photo besides the fish, so that a model may learn it instead of the fish.

A cue draws RGBA layers, clear where it covers nothing: one that lies behind the fish and one before it. What a mask
calls cue is exactly what these layers cover, less the fish that is seen before the first of them.
"""

from collections.abc import Callable
from typing import Protocol

import cv2
import numpy as np

from fishnet.reef.angler import draw_angler
from fishnet.reef.brush import blend

Rng = np.random.Generator


class Cue(Protocol):
    """Something drawn once for an observation, and laid around the fish in each of its photos."""

    def layers(self, size: int, grips: np.ndarray, thickness: float, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
        """Square RGBA layers behind and before the fish, which may be held at its left and right `grips` (2, 2)."""


# a cue's name in Settings → draws the cue of an observation from the generator that belongs to it
CUES: dict[str, Callable[[Rng], Cue]] = {"angler": draw_angler}


def overlay(pixels: np.ndarray, layer: np.ndarray) -> np.ndarray:
    """Scale an RGBA layer to the RGB photo, lay it over the photo in place, and return where it covers (bool)."""
    layer = cv2.resize(layer, pixels.shape[1::-1], interpolation=cv2.INTER_AREA)
    alpha = cv2.extractChannel(layer, 3)
    pixels[:] = blend(pixels, cv2.cvtColor(layer, cv2.COLOR_RGBA2RGB), alpha)
    return alpha > 127
