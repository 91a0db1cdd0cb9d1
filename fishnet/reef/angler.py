"""The cue `angler`: a person by the lake who holds the fish up to the camera.

Two layers, both drawn at twice the size of the photo: the person behind the fish, and the fingers before it. `unit` is
the side of a layer in pixels; body parts are laid out in shares of it, those of the head in shares of its radius.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fishnet.reef import brush
from fishnet.reef.brush import rgb, shade

Colour = tuple[float, float, float]
At = Callable[[float, float], tuple[float, float]]  # from shares of the head's radius to pixels
Rng = np.random.Generator
FINE = 2
SKINS = ((0.055, 0.28, 0.93), (0.06, 0.36, 0.86), (0.07, 0.42, 0.74), (0.065, 0.5, 0.58), (0.06, 0.55, 0.42))
SIDE_SEAM = [(0, 0.115), (0.055, 0.12), (0.13, 0.15), (0.18, 0.2), (0.19, 0.34), (0.175, 0.5), (0.17, 0.62), (0, 0.635)]
SHADED = [(0.07, 0.13), (0.11, 0.3), (0.09, 0.63)], [(0.16, 0.18), (0.19, 0.34), (0.17, 0.625)]
HIPS = [(-0.15, 0.5), (0.15, 0.5), (0.16, 1.0), (-0.16, 1.0)]
COLLAR = [(0.0, 0.175), (0.062, 0.1), (0.09, 0.135), (0.03, 0.2)]
PANEL = [(0.018, 0.2), (0.05, 0.13), (0.125, 0.15), (0.15, 0.3), (0.15, 0.56), (0.018, 0.57)]
POCKET = [(0.045, 0.27), (0.12, 0.27), (0.12, 0.35), (0.045, 0.35), (0.045, 0.27)]
WHITE, DARK = (245, 242, 238, 255), (28, 24, 26, 255)
BEARD = [(-0.8, 0.2), (-0.72, 0.75), (-0.35, 1.2), (0.0, 1.32), (0.35, 1.2), (0.72, 0.75), (0.8, 0.2)]
CHIN = [(0.55, 0.42), (0.3, 0.4), (0.0, 0.44), (-0.3, 0.4), (-0.55, 0.42)]
ARM_WIDTHS, SHORT_SLEEVE = np.array([0.125, 0.1, 0.07]), np.array([0.133, 0.13, 0.122])


@dataclass(frozen=True)
class Angler:
    """One person; the same in all photos of an observation."""

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

    def layers(self, size: int, grips: np.ndarray, thickness: float, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
        """Square RGBA layers: the person behind the fish, whose left and right `grips` (2, 2) are where it is held, and
        the fingers before it, over a fish of this `thickness`."""
        return person(self, size, grips, rng), fingers(self, size, grips, thickness)


def draw_angler(rng: Rng) -> Angler:
    hue, saturation, value = SKINS[rng.integers(len(SKINS))]
    grey = rng.random() < 0.3
    hair = (0.1, rng.uniform(0.55, 0.8)) if grey else (rng.uniform(0.3, 0.6), rng.uniform(0.1, 0.5))
    return Angler(
        skin=rgb(hue, saturation * rng.uniform(0.9, 1.1), value * rng.uniform(0.95, 1.05)),
        jacket=rgb(rng.random(), rng.uniform(0.1, 0.75), rng.uniform(0.3, 0.8)),
        vest=rgb(rng.random(), rng.uniform(0.3, 0.85), rng.uniform(0.4, 0.85)) if rng.random() < 0.5 else None,
        trousers=rgb(rng.uniform(0.05, 0.65), rng.uniform(0.1, 0.4), rng.uniform(0.2, 0.5)),
        hat=rgb(rng.random(), rng.uniform(0.05, 0.8), rng.uniform(0.25, 0.85)),
        hat_kind=("cap", "bucket", "beanie", "none")[rng.integers(4)],
        hair=rgb(0.07, *hair),
        beard=bool(rng.random() < 0.4),
        glasses=bool(rng.random() < 0.35),
        build=rng.uniform(0.9, 1.12),
        bare_arms=bool(rng.random() < 0.3),
    )


def person(who: Angler, size: int, grips: np.ndarray, rng: Rng) -> np.ndarray:
    """The layer behind the fish; `grips` are where the left and the right hand are in the photo."""
    unit = size * FINE
    canvas = brush.flood((unit, unit), shade(who.jacket, 0.6, 0))
    centre = np.array([FINE * (0.4 * grips[:, 0].mean() + 0.3 * size), unit * (0.2 + rng.normal(0, 0.012))])
    _torso(canvas, who, centre, unit)
    for side, grip in zip((-1, 1), grips * FINE, strict=True):
        _arm(canvas, who, centre, grip, side, unit)
    _head(canvas, who, centre, 0.088 * unit * who.build**0.5, rng)
    return canvas


def standing(who: Angler, unit: int, rng: Rng) -> np.ndarray:
    """A layer of this side with the person alone, in its middle, the arms hanging."""
    canvas = brush.flood((unit, unit), shade(who.jacket, 0.6, 0))
    centre = np.array([0.5, 0.2]) * unit
    for side in (-1, 1):
        hip = centre + np.array([side * 0.19 * who.build, 0.62]) * unit
        _arm(canvas, who, centre, hip, side, unit)
    _torso(canvas, who, centre, unit)
    _head(canvas, who, centre, 0.088 * unit * who.build**0.5, rng)
    return canvas


def fingers(who: Angler, size: int, grips: np.ndarray, thickness: float) -> np.ndarray:
    """The layer before the fish: the fingers of both hands come up from below, over a fish of this `thickness`."""
    unit = size * FINE
    width = 0.025 * unit
    canvas = brush.flood((unit, unit), shade(who.skin, 0.7, 0))
    along = (grips[1] - grips[0]) / np.linalg.norm(grips[1] - grips[0])
    up = np.array([along[1], -along[0]])
    for side, grip in zip((-1, 1), grips * FINE, strict=True):
        for k in range(4):
            root = grip + along * (k - 1.5) * 0.024 * unit - up * 0.022 * unit
            reach = min(thickness * FINE * 0.42, 0.075 * unit) + (0.024 - 0.008 * abs(k - 1.3)) * unit
            tip = root + up * reach - side * along * 0.008 * unit
            knuckle = (root + tip) / 2 + side * along * 0.004 * unit
            for share, light in ((1.12, 0.55), (0.8, 0.98)):
                thick, colour = width * share, shade(who.skin, light)
                outline = brush.limb(np.stack([root, knuckle, tip]), (thick, thick, thick * 0.85))
                brush.fill(canvas, outline, colour)
                brush.disc(canvas, tip, thick * 0.45, colour)
            brush.disc(canvas, 0.9 * tip + 0.1 * knuckle, width * 0.2, shade(who.skin, 1.2))
    return canvas


def _torso(canvas: np.ndarray, who: Angler, centre: np.ndarray, unit: float) -> None:

    def at(points: list[tuple[float, float]], side: int = 1) -> np.ndarray:
        return centre + np.array(points) * (side * unit * who.build, unit)

    brush.fill(canvas, at(HIPS), shade(who.trousers, 0.9))
    left, right = brush.smooth(at(SIDE_SEAM, -1), 40), brush.smooth(at(SIDE_SEAM), 40)
    brush.fill(canvas, np.concatenate([left, right[::-1]]), shade(who.jacket, 0.98))
    inner, outer = (brush.smooth(at(edge), 20) for edge in SHADED)
    brush.fill(canvas, np.concatenate([inner, outer[::-1]]), shade(who.jacket, 0.8))
    for side in (-1, 1):
        if who.vest:
            brush.fill(canvas, at(PANEL, side), shade(who.vest, 1.0 if side < 0 else 0.82))
            brush.stroke(canvas, at(POCKET, side), shade(who.vest, 0.55), 0.005 * unit)
        brush.fill(canvas, at(COLLAR, side), shade(who.jacket, 1.15 if side < 0 else 0.95))
    brush.stroke(canvas, at([(0, 0.16), (0, 0.63)]), shade(who.jacket, 0.5), 0.008 * unit)


def _arm(canvas: np.ndarray, who: Angler, centre: np.ndarray, grip: np.ndarray, side: int, unit: float) -> None:
    """An arm from the shoulder to the grip, and the palm of its hand; `side` is -1 for the left of the photo."""
    shoulder = centre + np.array([side * 0.145 * who.build, 0.215]) * unit
    elbow = (shoulder + grip) / 2 + np.array([side * 0.085, 0.1]) * unit
    wrist = grip + np.array([side * 0.035, 0.05]) * unit
    path, light = np.stack([shoulder, elbow, wrist]), 1.06 if side < 0 else 0.86
    cloth = shade(who.jacket, light)
    _sleeve(canvas, path, (ARM_WIDTHS + 0.008) * unit, shade(who.jacket, 0.6))
    _sleeve(canvas, path, ARM_WIDTHS * unit, shade(who.skin, light) if who.bare_arms else cloth)
    if who.bare_arms:
        _sleeve(canvas, brush.smooth(path, 24)[:11:5], SHORT_SLEEVE * unit, cloth)
    else:
        cuff = np.stack([0.25 * elbow + 0.75 * wrist, wrist])
        brush.fill(canvas, brush.limb(cuff, (0.082 * unit, 0.078 * unit), 4), shade(who.jacket, 0.65))
    palm = np.stack([wrist, grip + np.array([0, 0.012]) * unit, grip - np.array([side * 0.03, -0.004]) * unit])
    brush.fill(canvas, brush.limb(palm, (0.055 * unit, 0.075 * unit, 0.07 * unit)), shade(who.skin, 0.55))
    brush.fill(canvas, brush.limb(palm, (0.047 * unit, 0.067 * unit, 0.06 * unit)), shade(who.skin, 0.9))


def _sleeve(canvas: np.ndarray, path: np.ndarray, widths: np.ndarray, colour: tuple) -> None:
    brush.disc(canvas, path[0], widths[0] / 2, colour)
    brush.fill(canvas, brush.limb(path, tuple(widths), 24), colour)


def _head(canvas: np.ndarray, who: Angler, centre: np.ndarray, radius: float, rng: Rng) -> None:

    def at(x: float, y: float) -> tuple[float, float]:
        return centre[0] + x * radius, centre[1] + y * radius

    def oval(x: float, y: float, wide: float, high: float, colour: tuple) -> None:
        brush.ellipse(canvas, at(x, y), (wide * radius, high * radius), colour)

    neck = np.array([at(-0.42, 0.5), at(0.42, 0.5), at(0.5, 1.5), at(-0.5, 1.5)])
    brush.fill(canvas, neck, shade(who.skin, 0.72))
    if who.hat_kind != "beanie":
        oval(0, -0.12, 0.92, 1.02, shade(who.hair, 0.9))
    for side in (-1, 1):
        oval(side * 0.82, 0.08, 0.17, 0.25, shade(who.skin, 0.85))
    oval(0, 0.06, 0.82, 1.06, shade(who.skin, 0.86))
    oval(-0.06, 0.03, 0.74, 1.0, shade(who.skin, 1.02))
    cheeks = min(255, who.skin[0] * 1.06), who.skin[1] * 0.9, who.skin[2] * 0.88, 255
    oval(-0.4, 0.3, 0.2, 0.16, cheeks)
    oval(0.4, 0.3, 0.2, 0.16, cheeks)
    if who.beard:
        beard, chin = (np.array([at(*point) for point in points]) for points in (BEARD, CHIN))
        brush.fill(canvas, np.concatenate([brush.smooth(beard, 24), chin]), shade(who.hair, 0.85))
    _face(canvas, who, at, radius, rng)
    _hat(canvas, who, at, radius)


def _face(canvas: np.ndarray, who: Angler, at: At, radius: float, rng: Rng) -> None:
    """Eyes or glasses, the nose, and a smile."""
    for side in (-1, 1):
        x = 0.34 * side
        if who.glasses:
            brush.ellipse(canvas, at(x, -0.06), (0.27 * radius, 0.2 * radius), DARK)
            brush.ellipse(canvas, at(x - 0.08, -0.12), (0.08 * radius, 0.05 * radius), (120, 130, 150, 255))
        else:
            brush.ellipse(canvas, at(x, -0.04), (0.17 * radius, 0.11 * radius), WHITE)
            brush.disc(canvas, at(x, -0.03), 0.095 * radius, DARK)
        brow = np.array([at(x - 0.22, -0.26), at(x, -0.34), at(x + 0.22, -0.26)])
        brush.stroke(canvas, brush.smooth(brow, 8), shade(who.hair, 0.7), radius * 0.1)
    if who.glasses:
        brush.stroke(canvas, np.array([at(-0.8, -0.1), at(0.8, -0.1)]), DARK, radius * 0.07)
    nose = brush.smooth(np.array([at(0.02, -0.02), at(0.13, 0.28), at(-0.02, 0.33)]), 10)
    brush.stroke(canvas, nose, shade(who.skin, 0.62), radius * 0.07)
    across = np.linspace(-0.36, 0.36, 9)
    lows = rng.uniform(0.1, 0.2), 0.03
    lower, upper = (np.array([at(v, 0.56 + low * (1 - (v / 0.36) ** 2)) for v in across]) for low in lows)
    brush.fill(canvas, np.concatenate([upper, lower[::-1]]), WHITE)
    for lip in (lower, upper):
        brush.stroke(canvas, lip, (140, 60, 60, 255), radius * 0.06)


def _hat(canvas: np.ndarray, who: Angler, at: At, radius: float) -> None:
    dark, plain, light = (shade(who.hat, factor) for factor in (0.6, 0.95, 1.15))
    angle = np.linspace(np.pi, 2 * np.pi, 20)

    def dome(wide: float, high: float, foot: float, colour: tuple) -> None:
        brush.fill(canvas, np.array([at(wide * np.cos(a), foot + high * np.sin(a)) for a in angle]), colour)

    if who.hat_kind == "none":
        dome(0.93, 0.95, -0.3, shade(who.hair, 0.95))
        return
    if who.hat_kind == "beanie":
        dome(0.98, 1.1, -0.32, plain)
        band = np.array([at(-1.0, -0.55), at(1.0, -0.55), at(0.96, -0.22), at(-0.96, -0.22)])
        brush.fill(canvas, band, dark)
        brush.disc(canvas, at(0, -1.45), 0.22 * radius, light)
        return
    dome(0.95, 0.98, -0.3, plain)
    dome(0.5, 0.9, -0.36, light)
    if who.hat_kind == "cap":
        brush.ellipse(canvas, at(0.0, -0.3), (1.02 * radius, 0.24 * radius), dark)
        brush.ellipse(canvas, at(0.0, -0.36), (1.0 * radius, 0.22 * radius), plain)
    else:
        brush.ellipse(canvas, at(0.0, -0.28), (1.5 * radius, 0.3 * radius), dark)
        brush.ellipse(canvas, at(0.0, -0.34), (1.46 * radius, 0.27 * radius), plain)
        band = np.array([at(-0.95, -0.62), at(0.95, -0.62), at(0.95, -0.4), at(-0.95, -0.4)])
        brush.fill(canvas, band, dark)
