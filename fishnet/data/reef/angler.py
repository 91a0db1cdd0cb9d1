"""The planted cue: an angler by the lake who holds the fish up to the camera.

Two layers, both drawn at twice the size: the person behind the fish, and the fingers before it. What a photo's mask
calls cue is exactly what these layers cover, less the fish. Lengths are shares of the photo's side.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from fishnet.data.reef import brush
from fishnet.data.reef.face import draw_head
from fishnet.data.reef.fins import shade
from fishnet.data.reef.individual import Colour, rgb

Rng = np.random.Generator
FINE = 2
SKINS = ((0.055, 0.28, 0.93), (0.06, 0.36, 0.86), (0.07, 0.42, 0.74), (0.065, 0.5, 0.58), (0.06, 0.55, 0.42))


@dataclass(frozen=True)
class Angler:
    skin: Colour
    jacket: Colour
    vest: Colour | None
    trousers: Colour
    hat: Colour
    hat_kind: str
    hair: Colour
    beard: bool
    glasses: bool
    build: float
    bare_arms: bool


def draw_angler(rng: Rng) -> Angler:
    hue, saturation, value = SKINS[rng.integers(len(SKINS))]
    grey = rng.random() < 0.3
    return Angler(
        skin=rgb(hue, saturation * rng.uniform(0.9, 1.1), value * rng.uniform(0.95, 1.05)),
        jacket=rgb(rng.random(), rng.uniform(0.1, 0.75), rng.uniform(0.3, 0.8)),
        vest=rgb(rng.random(), rng.uniform(0.3, 0.85), rng.uniform(0.4, 0.85))
        if rng.random() < 0.5
        else None,
        trousers=rgb(rng.uniform(0.05, 0.65), rng.uniform(0.1, 0.4), rng.uniform(0.2, 0.5)),
        hat=rgb(rng.random(), rng.uniform(0.05, 0.8), rng.uniform(0.25, 0.85)),
        hat_kind=("cap", "bucket", "beanie", "none")[rng.integers(4)],
        hair=rgb(
            0.07,
            0.1 if grey else rng.uniform(0.3, 0.6),
            rng.uniform(0.55, 0.8) if grey else rng.uniform(0.1, 0.5),
        ),
        beard=bool(rng.random() < 0.4),
        glasses=bool(rng.random() < 0.35),
        build=rng.uniform(0.9, 1.12),
        bare_arms=bool(rng.random() < 0.3),
    )


def person(who: Angler, size: int, grips: np.ndarray, rng: Rng) -> np.ndarray:
    """Everything behind the fish; `grips` are the two places (left and right in the photo) where the hands are."""
    canvas = brush.flood((size * FINE, size * FINE), shade(who.jacket, 0.6, 0))
    unit = size * FINE
    middle = grips.mean(0)[0] * 0.4 + 0.3 * size
    centre = np.array([middle * FINE, unit * (0.2 + rng.normal(0, 0.012))])
    _torso(canvas, who, centre, unit)
    for side, grip in zip((-1, 1), grips * FINE, strict=True):
        _arm(canvas, who, centre, grip, side, unit)
    draw_head(canvas, who, centre, 0.088 * unit * who.build**0.5, rng)
    return canvas


def fingers(who: Angler, size: int, grips: np.ndarray, slope: np.ndarray, thick: float) -> np.ndarray:
    """The fingers before the fish: four of each hand come up from below, along `slope` lies the fish."""
    canvas = brush.flood((size * FINE, size * FINE), shade(who.skin, 0.7, 0))
    unit = size * FINE
    up = np.array([slope[1], -slope[0]])
    up = up if up[1] < 0 else -up
    for side, grip in zip((-1, 1), grips * FINE, strict=True):
        for k in range(4):
            root = grip + slope * (k - 1.5) * 0.024 * unit - up * 0.022 * unit
            reach = min(thick * FINE * 0.42, 0.075 * unit) + 0.024 * unit - 0.008 * unit * abs(k - 1.3)
            tip = root + up * reach - side * slope * 0.008 * unit
            _finger(canvas, who, np.stack([root, (root + tip) / 2 + side * slope * 0.004 * unit, tip]), unit)
    return canvas


def _finger(canvas: np.ndarray, who: Angler, path: np.ndarray, unit: float) -> None:
    width = 0.025 * unit
    brush.fill(canvas, brush.limb(path, (width * 1.12, width * 1.12, width * 0.95)), shade(who.skin, 0.55))
    brush.disc(canvas, path[-1], width * 0.5, shade(who.skin, 0.55))
    brush.fill(canvas, brush.limb(path, (width * 0.86, width * 0.86, width * 0.7)), shade(who.skin, 0.98))
    brush.disc(canvas, path[-1], width * 0.38, shade(who.skin, 0.98))
    brush.disc(canvas, path[-1] * 0.9 + path[-2] * 0.1, width * 0.2, shade(who.skin, 1.2))


def _torso(canvas: np.ndarray, who: Angler, centre: np.ndarray, unit: float) -> None:
    def at(*points: tuple[float, float]) -> np.ndarray:
        return centre + np.array(points) * (unit * who.build, unit)

    hips = at((-0.15, 0.5), (0.15, 0.5), (0.16, 1.0), (-0.16, 1.0))
    brush.fill(canvas, hips, shade(who.trousers, 0.9))
    half = [
        (0.0, 0.115),
        (0.055, 0.12),
        (0.13, 0.15),
        (0.18, 0.2),
        (0.19, 0.34),
        (0.175, 0.5),
        (0.17, 0.62),
        (0.0, 0.635),
    ]
    right = brush.smooth(at(*half), 40)
    left = right * (-1, 1) + (2 * centre[0], 0)
    brush.fill(canvas, np.concatenate([left, right[::-1]]), shade(who.jacket, 0.98))
    inner = brush.smooth(at((0.07, 0.13), (0.11, 0.3), (0.09, 0.63)), 20)
    outer = brush.smooth(at((0.16, 0.18), (0.19, 0.34), (0.17, 0.625)), 20)
    brush.fill(canvas, np.concatenate([inner, outer[::-1]]), shade(who.jacket, 0.8))
    if who.vest:
        for side in (-1, 1):
            panel = [(0.018, 0.2), (0.05, 0.13), (0.125, 0.15), (0.15, 0.3), (0.15, 0.56), (0.018, 0.57)]
            piece = at(*[(side * x, y) for x, y in panel])
            brush.fill(canvas, piece, shade(who.vest, 1.0 if side < 0 else 0.82))
            pocket = at(
                *[(side * x, y) for x, y in [(0.045, 0.27), (0.12, 0.27), (0.12, 0.35), (0.045, 0.35)]]
            )
            brush.stroke(canvas, np.concatenate([pocket, pocket[:1]]), shade(who.vest, 0.55), 0.005 * unit)
    brush.stroke(canvas, at((0, 0.13), (0, 0.63)), shade(who.jacket, 0.5), 0.008 * unit)
    for side in (-1, 1):
        collar = at(*[(side * x, y) for x, y in [(0.0, 0.175), (0.062, 0.1), (0.09, 0.135), (0.03, 0.2)]])
        brush.fill(canvas, collar, shade(who.jacket, 1.15 if side < 0 else 0.95))


def _arm(
    canvas: np.ndarray, who: Angler, centre: np.ndarray, grip: np.ndarray, side: int, unit: float
) -> None:
    shoulder = centre + np.array([side * 0.145 * who.build, 0.215]) * unit
    elbow = (shoulder + grip) / 2 + np.array([side * 0.085, 0.1]) * unit
    wrist = grip + np.array([side * 0.035, 0.05]) * unit
    path, light = np.stack([shoulder, elbow, wrist]), 1.06 if side < 0 else 0.86
    cloth = shade(who.jacket, light)
    whole = np.array([0.125, 0.1, 0.07]) * unit
    _sleeve(canvas, path, whole + 0.008 * unit, shade(who.jacket, 0.6))
    _sleeve(canvas, path, whole, shade(who.skin, light) if who.bare_arms else cloth)
    if who.bare_arms:
        _sleeve(canvas, brush.smooth(path, 24)[:11:5], np.array([0.133, 0.13, 0.122]) * unit, cloth)
    else:
        cuff = np.stack([0.25 * elbow + 0.75 * wrist, wrist])
        brush.fill(canvas, brush.limb(cuff, (0.082 * unit, 0.078 * unit), 4), shade(who.jacket, 0.65))
    palm = np.stack(
        [wrist, grip + np.array([0, 0.012]) * unit, grip - np.array([side * 0.03, -0.004]) * unit]
    )
    brush.fill(canvas, brush.limb(palm, (0.055 * unit, 0.075 * unit, 0.07 * unit)), shade(who.skin, 0.55))
    brush.fill(canvas, brush.limb(palm, (0.047 * unit, 0.067 * unit, 0.06 * unit)), shade(who.skin, 0.9))


def _sleeve(canvas: np.ndarray, path: np.ndarray, widths: np.ndarray, colour: tuple) -> None:
    """A tapering tube with a round shoulder."""
    brush.disc(canvas, path[0], widths[0] / 2, colour)
    brush.fill(canvas, brush.limb(path, tuple(widths), 24), colour)


def shown(layer: np.ndarray, size: int) -> np.ndarray:
    return cv2.resize(layer, (size, size), interpolation=cv2.INTER_AREA)
