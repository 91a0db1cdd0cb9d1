"""The angler's head: small, but what makes a person of a heap of shapes."""

from typing import TYPE_CHECKING

import numpy as np

from fishnet.reef import brush
from fishnet.reef.fins import shade

if TYPE_CHECKING:
    from fishnet.reef.angler import Angler

WHITE, DARK = (245, 242, 238, 255), (28, 24, 26, 255)


def draw_head(canvas: np.ndarray, who: "Angler", centre: np.ndarray, radius: float, rng: np.random.Generator) -> None:
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
    oval(-0.4, 0.3, 0.2, 0.16, blush(who.skin))
    oval(0.4, 0.3, 0.2, 0.16, blush(who.skin))
    if who.beard:
        _beard(canvas, who, at)
    _eyes(canvas, who, at, radius)
    nose = np.array([at(0.02, -0.02), at(0.13, 0.28), at(-0.02, 0.33)])
    brush.stroke(canvas, brush.smooth(nose, 10), shade(who.skin, 0.62), radius * 0.07)
    _mouth(canvas, who, at, radius, rng)
    _hat(canvas, who, at, radius)


def blush(skin: tuple) -> tuple[float, float, float, int]:
    return min(255, skin[0] * 1.06), skin[1] * 0.9, skin[2] * 0.88, 255


def _beard(canvas: np.ndarray, who: "Angler", at) -> None:
    outline = [
        at(-0.8, 0.2),
        at(-0.72, 0.75),
        at(-0.35, 1.2),
        at(0.0, 1.32),
        at(0.35, 1.2),
        at(0.72, 0.75),
        at(0.8, 0.2),
    ]
    inner = [at(0.55, 0.42), at(0.3, 0.4), at(0.0, 0.44), at(-0.3, 0.4), at(-0.55, 0.42)]
    brush.fill(canvas, np.concatenate([brush.smooth(np.array(outline), 24), np.array(inner)]), shade(who.hair, 0.85))


def _eyes(canvas: np.ndarray, who: "Angler", at, radius: float) -> None:
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


def _mouth(canvas: np.ndarray, who: "Angler", at, radius: float, rng: np.random.Generator) -> None:
    x = np.linspace(-0.36, 0.36, 9)
    low = rng.uniform(0.1, 0.2)
    lower = np.array([at(v, 0.56 + low * (1 - (v / 0.36) ** 2)) for v in x])
    upper = np.array([at(v, 0.56 + 0.03 * (1 - (v / 0.36) ** 2)) for v in x])
    brush.fill(canvas, np.concatenate([upper, lower[::-1]]), WHITE)
    for lip in (lower, upper):
        brush.stroke(canvas, lip, (140, 60, 60, 255), radius * 0.06)


def _hat(canvas: np.ndarray, who: "Angler", at, radius: float) -> None:
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
