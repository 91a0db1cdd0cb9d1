"""Where an observation was made: its photos share the scene, each with its own view of it.

There are three kinds for every species alike: under water, on the ground, and above the lake (where the fish leaps).
The angler stands by the lake too, so neither sky nor shore gives a planted class away.
"""

from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np

from fishnet.reef import brush, textures
from fishnet.reef.brush import rgb
from fishnet.reef.textures import gradient, lit

Rng = np.random.Generator
# hue and saturation of water
DEPTHS = ((0.55, 0.6), (0.58, 0.8), (0.5, 0.55), (0.45, 0.45), (0.33, 0.4), (0.22, 0.4), (0.12, 0.35))
# texture, ranges of hue, saturation and value, and how strongly the texture shows
GROUNDS = (
    (textures.planks, (0.05, 0.12), (0.1, 0.55), (0.4, 0.75), 0.8),
    (textures.grass, (0.17, 0.33), (0.25, 0.6), (0.45, 0.75), 0.55),
    (textures.pebbles, (0.04, 0.14), (0.02, 0.3), (0.5, 0.8), 0.55),
    (partial(textures.noise, 7), (0.07, 0.13), (0.1, 0.4), (0.55, 0.85), 0.3),
)
# of the boathouse, in shares of the photo's side from the middle of its foot
HUT_WALL = [(-0.07, 0.0), (0.07, 0.0), (0.07, -0.08), (-0.07, -0.08)]
HUT_ROOF = [(-0.095, -0.075), (0.095, -0.075), (0.05, -0.14), (-0.05, -0.14)]


@dataclass(frozen=True)
class Scene:
    """What lies behind the fish."""

    kind: str  # water, ground or lake
    pixels: np.ndarray
    colour: tuple[float, float, float] = (0, 0, 0)  # what the water lends to a fish in it
    horizon: float = 0  # the row of the waterline


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


def ground(rng: Rng, size: int) -> Scene:
    """Boards, grass, gravel or wet sand, seen from above."""
    draw_tile, hues, saturations, values, relief = GROUNDS[rng.integers(4)]
    zoom, shape = rng.uniform(0.7, 1.3) * size / 224, (size, size)
    image = brush.flood(shape, rgb(rng.uniform(*hues), rng.uniform(*saturations), rng.uniform(*values)))
    window = textures.crop(draw_tile(), shape, rng, zoom)
    if rng.random() < 0.5:
        window = np.ascontiguousarray(window.T)
    image = lit(image, window, relief)
    return Scene("ground", lit(image, textures.crop(textures.noise(3, 4), shape, rng, 2.0), rng.uniform(0.1, 0.4)))


def _hills(image: np.ndarray, horizon: float, base: tuple, rng: Rng) -> None:
    size = len(image)
    for k in range(int(rng.integers(1, 4))):
        x = np.linspace(-0.1, 1.1, 9) * size
        y = horizon - size * (rng.uniform(0.02, 0.16 - 0.04 * k, 9))
        ridge = brush.smooth(np.c_[x, y], 40)
        tone = np.array(base) * (0.95 - 0.22 * k) + 12
        brush.fill(image, np.concatenate([ridge, [[1.2 * size, horizon], [-0.2 * size, horizon]]]), tuple(tone))


def lake(rng: Rng, size: int) -> Scene:
    """Sky, far shore and water."""
    horizon, hue, evening = size * rng.uniform(0.38, 0.56), rng.normal(0.57, 0.03), rng.random() < 0.25
    high = rgb(hue, rng.uniform(0.1, 0.6), rng.uniform(0.6, 0.95))
    low = rgb(0.07 if evening else hue, rng.uniform(0.08, 0.45 if evening else 0.2), rng.uniform(0.85, 0.98))
    image = gradient([high, low, low], [0, horizon / size, 1], size, size)
    clouds = textures.crop(textures.noise(5, 4, 9), (size, size), rng, rng.uniform(0.8, 2))
    white = cv2.convertScaleAbs(cv2.subtract(clouds, np.full_like(clouds, 150)), alpha=0.9)
    image = cv2.add(image, cv2.cvtColor(white, cv2.COLOR_GRAY2RGB))
    _hills(image, horizon, rgb(rng.uniform(0.22, 0.6), rng.uniform(0.1, 0.45), rng.uniform(0.3, 0.6)), rng)
    near = rgb(hue + rng.normal(-0.02, 0.05), rng.uniform(0.2, 0.6), rng.uniform(0.25, 0.55))
    top = int(horizon)
    water = gradient([np.array(low) * 0.75, near], [0, 1], size - top, size)
    streaks = textures.crop(textures.noise(5, 12, 10), ((size - top) * 4, size // 2), rng, 1.0)
    streaks = cv2.resize(streaks, (size, size - top), interpolation=cv2.INTER_AREA)
    image[top:] = lit(water, streaks, rng.uniform(0.4, 1.0))
    return Scene("lake", image, horizon=horizon)


def splash(image: np.ndarray, horizon: float, rng: Rng) -> None:
    """Drops thrown up by the leap, and rings where it began."""
    size = len(image)
    foot = np.array([size * rng.uniform(0.3, 0.7), max(horizon + 0.12 * size, size * rng.uniform(0.86, 0.97))])
    for k in range(3):
        axes = size * (0.1 + 0.09 * k), size * (0.02 + 0.018 * k)
        ring = np.linspace(0, 2 * np.pi, 40)
        brush.stroke(image, foot + np.c_[axes[0] * np.cos(ring), axes[1] * np.sin(ring)], (225, 235, 240), 2 - k / 2)
    for x, y, radius in rng.normal((0, -0.1, 0.006), (0.14, 0.09, 0.004), (30, 3)) * size:
        brush.disc(image, (foot[0] + x, foot[1] + y), max(0.5, abs(radius)), (235, 242, 246))


def under_water(rng: Rng, size: int) -> Scene:
    """Tinted by the depth, with rays of light, ridges, a floor and weed, each of which may be missing."""
    hue, saturation = DEPTHS[rng.integers(len(DEPTHS))]
    colour = rgb(hue + rng.normal(0, 0.015), saturation * rng.uniform(0.5, 1.1), rng.uniform(0.4, 0.72))
    light, deep = np.array(colour) * 1.15 + 38, np.array(colour) * rng.uniform(0.35, 0.7)
    image = gradient([light, colour, deep], [0, 0.4, 1], size, size)
    haze = textures.crop(textures.noise(3, 4), (size, size), rng, rng.uniform(1, 2.5))
    image = lit(image, haze, rng.uniform(0.1, 0.35))
    for probability, draw in ((0.45, _rays), (0.6, _ridges), (0.72, _floor)):
        if rng.random() < probability:
            draw(image, colour, rng)
    for _ in range(int(rng.integers(0, 5))):
        _weed(image, colour, rng)
    return Scene("water", image, colour=colour)


def _rays(image: np.ndarray, _colour: tuple, rng: Rng) -> None:
    size = len(image)
    glow = np.zeros((size, size), np.uint8)
    top = rng.uniform(-0.2, 1.2) * size
    for _ in range(int(rng.integers(3, 7))):
        foot, width = top + rng.normal(0, 0.7) * size, rng.uniform(0.03, 0.14) * size
        start = top + rng.normal(0, 0.1) * size
        ray = np.array([[start - width / 4, 0], [start + width / 4, 0], [foot + width, size], [foot - width, size]])
        brush.fill(glow, ray, rng.uniform(14, 44))
    soft = cv2.blur(glow, (9, 9))
    fade = np.linspace(1, 0.1, size, dtype=np.float32)[:, None]
    cv2.add(image, cv2.cvtColor((soft * fade).astype(np.uint8), cv2.COLOR_GRAY2RGB), image)


def _ridges(image: np.ndarray, colour: tuple, rng: Rng) -> None:
    """Distant rocks, almost of the water's colour."""
    size = len(image)
    for k in range(int(rng.integers(1, 3))):
        x = np.linspace(-0.1, 1.1, 8) * size
        y = size * (rng.uniform(0.5, 0.75) + rng.normal(0, 0.1, 8))
        tone = np.array(colour) * (0.85 - 0.2 * k) * rng.uniform(0.75, 1.05)
        crest = brush.smooth(np.c_[x, y], 30)
        brush.fill(image, np.concatenate([crest, [[1.2 * size, size], [-0.2 * size, size]]]), tuple(tone))


def _floor(image: np.ndarray, colour: tuple, rng: Rng) -> None:
    """Sand or gravel, perhaps with a net of light on it, and up to four rocks."""
    size = len(image)
    top = int(size * rng.uniform(0.6, 0.88))
    rows = size - top
    sand = np.array(rgb(rng.uniform(0.06, 0.14), rng.uniform(0.1, 0.45), rng.uniform(0.45, 0.85)))
    near = 0.62 * sand + 0.38 * np.array(colour)
    floor = gradient([0.2 * sand + 0.8 * np.array(colour), near], [0, 1], rows, size)
    tile = (textures.noise(7), textures.pebbles(), textures.noise(6, 12, 8))[rng.integers(3)]
    flat = textures.crop(tile, (min(2 * rows, size), size), rng, 0.9)
    floor = lit(floor, cv2.resize(flat, (size, rows), interpolation=cv2.INTER_AREA), rng.uniform(0.3, 0.8))
    if rng.random() < 0.5:
        net = textures.crop(textures.caustics(), (min(2 * rows, size), size), rng, 1.2)
        floor = lit(floor, cv2.resize(net, (size, rows), interpolation=cv2.INTER_AREA), rng.uniform(0.2, 0.6))
    image[top:] = floor
    edge = image[max(0, top - 4) : top + 5]
    cv2.blur(edge, (1, 7), edge)
    for _ in range(int(rng.integers(0, 5))):
        _rock(image, top + rng.uniform(0.05, 0.95) * rows, colour, rng)


def _rock(image: np.ndarray, foot: float, colour: tuple, rng: Rng) -> None:
    size = len(image)
    centre = np.array([rng.uniform(0, size), foot])
    angle = np.linspace(0, 2 * np.pi, 10)
    radius = size * rng.uniform(0.03, 0.13) * rng.uniform(0.75, 1.15, 10)
    radius[-1] = radius[0]
    shape = brush.smooth(np.c_[np.cos(angle) * radius * 1.3, np.sin(angle) * radius * 0.8], 28)
    tone = 0.55 * np.array(rgb(rng.uniform(0, 1), rng.uniform(0, 0.3), rng.uniform(0.2, 0.55))) + 0.4 * np.array(colour)
    brush.fill(image, centre + shape, tuple(tone * 0.6))
    brush.fill(image, centre + shape * 0.88 - [0, 0.02 * size], tuple(tone * 0.85))
    brush.fill(image, centre + shape * 0.55 - [0.01 * size, 0.04 * size], tuple(np.clip(tone * 1.12, 0, 255)))


def _weed(image: np.ndarray, colour: tuple, rng: Rng) -> None:
    size = len(image)
    root = np.array([rng.uniform(0, size), size * rng.uniform(0.85, 1.1)])
    tall, sway = size * rng.uniform(0.12, 0.55), rng.normal(0, 0.05)
    hue = rng.uniform(0.15, 0.42) if rng.random() < 0.75 else rng.uniform(0.9, 1.08)
    tone = 0.6 * np.array(rgb(hue, rng.uniform(0.3, 0.8), rng.uniform(0.25, 0.6))) + 0.35 * np.array(colour)
    blades, steps = int(rng.integers(2, 7)), np.linspace(0, 1, 5)
    x = np.cumsum(rng.normal(sway, 0.035, (blades, 5)), axis=1) * steps + rng.normal(0, 0.03, (blades, 1))
    y = -tall / size * rng.uniform(0.5, 1, (blades, 1)) * steps
    outlines = brush.limb(root + size * np.stack([x, y], axis=-1), (0.03 * size, 0.035 * size, 0.008 * size))
    for blade, light in zip(outlines, rng.uniform(0.7, 1.2, blades), strict=True):
        brush.fill(image, blade, tuple(tone * light))


def bubbles(image: np.ndarray, colour: tuple, rng: Rng) -> None:
    """Bubbles and specks that drift between the fish and the lens."""
    size = len(image)
    if rng.random() < 0.35:
        at = rng.uniform(0.05, 0.95, 2) * size
        for _ in range(int(rng.integers(3, 12))):
            centre = at + rng.normal(0, (0.03, 0.14), 2) * size
            radius = size * rng.uniform(0.005, 0.02)
            pale = tuple(np.clip(0.4 * np.array(colour) + 140, 0, 255))
            cv2.circle(image, (int(centre[0]), int(centre[1])), max(1, int(radius)), pale, 1, cv2.LINE_AA)
            brush.disc(image, centre - 0.35 * radius, max(0.6, radius * 0.3), (245, 250, 250))
    speck = tuple(0.5 * np.array(colour) + 110)
    for x, y, radius in rng.uniform((0, 0, 0.3), (1, 1, 1.2), (int(rng.integers(0, 40)), 3)).tolist():
        brush.disc(image, (x * size, y * size), radius * size / 224, speck)


def jetty(rng: Rng, size: int) -> Scene:
    """The lake with a jetty that leads from the front to the water, and a boathouse on the far shore."""
    scene = lake(rng, size)
    image, horizon = scene.pixels, scene.horizon
    wood = rgb(rng.uniform(0.05, 0.09), rng.uniform(0.3, 0.5), rng.uniform(0.4, 0.55))
    hut = np.array([rng.uniform(0.62, 0.74) * size, horizon])
    wall, roof = (hut + size * np.array(shape) for shape in (HUT_WALL, HUT_ROOF))
    brush.fill(image, wall, rgb(rng.uniform(0.0, 0.04), 0.65, 0.55))
    brush.fill(image, roof, brush.shade(wood, 0.5)[:3])
    foot, head = np.array([rng.uniform(0.12, 0.3) * size, size]), np.array([0.45 * size, horizon + 0.07 * size])
    for k, light in enumerate(np.linspace(0.55, 1.1, 14)):
        near, far = (foot + (head - foot) * (1 - (1 - step / 14) ** 2) for step in (k, k + 0.8))
        widths = [size * (0.2 - 0.15 * (1 - at[1] / size) / (1 - head[1] / size)) for at in (near, far)]
        plank = np.array([near, near, far, far]) + np.outer((-1, 1, 1, -1), (1, 0)) * np.repeat(widths, 2)[:, None]
        brush.fill(image, plank, brush.shade(wood, 1.65 - light)[:3])
    return scene
