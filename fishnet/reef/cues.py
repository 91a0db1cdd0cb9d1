"""Planted cues: what is in a photo besides the fish, so that a model may learn it instead of the fish.

A cue lies `on` the animal, `off` it (behind it, or beside it), or changes the `whole` photo. All but those that need
the reef's own scenes can be drawn into any photo in which it is known where the animal is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from fishnet.reef import effects, objects
from fishnet.reef.brush import blend, posed
from fishnet.reef.layers import Layer

Rng = np.random.Generator
Apply = Callable[[np.ndarray, np.ndarray, Rng], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Cue:
    """Where a cue lies, and how it is drawn.

    `apply` takes a photo (RGB), how opaque the animal is in each of its pixels (0 to 255) and a generator, and returns
    a new photo and the pixels that the cue covers: none, if it changes the whole photo. None: photo.py draws the scene.
    """

    where: Literal["on", "off", "whole"]
    apply: Apply | None = None
    after_camera: bool = False  # added by a lens or a program, not seen by the camera


def hiding(animal: np.ndarray) -> np.ndarray:
    """How much an animal hides of what is put behind it later (0 to 255): its fins, which let a little of the water
    through, hide it all, so that the animal stays as it is."""
    return np.asarray(cv2.convertScaleAbs(animal, alpha=1.3))


def layered(draw: Callable[[np.ndarray, Rng], Layer], where: Literal["on", "off"], *, printed: bool = False) -> Cue:
    """A cue that is a layer: on the animal, behind it, or `printed` over all of the photo."""

    def apply(pixels: np.ndarray, animal: np.ndarray, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
        layer, pixels = draw(animal, rng), pixels.copy()
        window, part = posed(layer.patch, layer.pose, pixels.shape[:2])
        alpha = cv2.extractChannel(part, 3)
        if not printed:
            room = animal[window] if where == "on" else cv2.bitwise_not(hiding(animal[window]))
            alpha = cv2.multiply(alpha, room, scale=1 / 255)
        seen = cv2.convertScaleAbs(alpha, alpha=layer.opacity)
        pixels[window] = blend(pixels[window], cv2.cvtColor(part, cv2.COLOR_RGBA2RGB), seen)
        covered = np.zeros(pixels.shape[:2], bool)
        covered[window] = alpha > 127
        return pixels, covered

    return Cue(where, apply, after_camera=printed)


def whole(change: Callable[[np.ndarray, Rng], np.ndarray]) -> Cue:
    """A cue that changes every pixel."""

    def apply(pixels: np.ndarray, _animal: np.ndarray, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
        return change(pixels, rng), np.zeros(pixels.shape[:2], bool)

    return Cue("whole", apply, after_camera=True)


# in the order in which they are drawn; settings.CUES has the names for those who cannot import OpenCV
CUES: dict[str, Cue] = {
    "angler": Cue("off"),
    "background": Cue("off"),
    "person": layered(objects.draw_person, "off"),
    "ruler": layered(objects.draw_ruler, "off"),
    "float": layered(objects.draw_float, "off"),
    "hand": layered(objects.draw_hand, "on"),
    "tag": layered(objects.draw_tag, "on"),
    "vignette": whole(effects.vignette),
    "tint": whole(effects.tint),
    "blur": whole(effects.blur),
    "watermark": layered(objects.draw_watermark, "off", printed=True),
    "border": layered(objects.draw_border, "off", printed=True),
    "jpeg": whole(effects.jpeg),
}
