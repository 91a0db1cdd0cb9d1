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


class Cue(Protocol):
    """Something drawn once for an observation, and laid around the fish in each of its photos."""

    def layers(
        self, size: int, grips: np.ndarray, thickness: float, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """The layers behind and before the fish, square RGBA images of any size.

        Args:
            size: side of the photo in pixels.
            grips: where the fish may be held, (2, 2): x and y of the left and of the right end.
            thickness: height of the fish in pixels, between the grips.
            rng: for what differs from photo to photo.
        """


# a cue's name in Settings → draws the cue of an observation from the generator that belongs to it
CUES: dict[str, Callable[[np.random.Generator], Cue]] = {"angler": draw_angler}


def overlay(pixels: np.ndarray, layer: np.ndarray) -> np.ndarray:
    """Scale an RGBA layer to the RGB photo, lay it over the photo in place, and return where it covers (bool)."""
    layer = cv2.resize(layer, pixels.shape[1::-1], interpolation=cv2.INTER_AREA)
    alpha = cv2.extractChannel(layer, 3)
    pixels[:] = blend(pixels, cv2.cvtColor(layer, cv2.COLOR_RGBA2RGB), alpha)
    return alpha > 127
