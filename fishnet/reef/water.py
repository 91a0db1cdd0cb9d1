"""Under water: the colour of the depth, rays of light, a floor with weed and rocks, bubbles and specks."""

import cv2
import numpy as np

from fishnet.reef import brush, textures
from fishnet.reef.individual import rgb
from fishnet.reef.scenery import lit, ramp, spread

Rng = np.random.Generator
DEPTHS = ((0.55, 0.6), (0.58, 0.8), (0.5, 0.55), (0.45, 0.45), (0.33, 0.4), (0.22, 0.4), (0.12, 0.35))


def tint(rng: Rng) -> tuple[float, float, float]:
    hue, saturation = DEPTHS[rng.integers(len(DEPTHS))]
    return rgb(hue + rng.normal(0, 0.015), saturation * rng.uniform(0.5, 1.1), rng.uniform(0.4, 0.72))


def under_water(size: int, rng: Rng) -> tuple[np.ndarray, tuple[float, float, float]]:
    """The scene behind the fish, and the colour that the water lends to what swims in it."""
    colour = tint(rng)
    light, deep = np.array(colour) * 1.15 + 38, np.array(colour) * rng.uniform(0.35, 0.7)
    image = spread(ramp([light, colour, deep], [0, 0.4, 1], size), size)
    haze = textures.crop(textures.noise(3, 4), (size, size), rng, rng.uniform(1, 2.5))
    image = lit(image, haze, rng.uniform(0.1, 0.35))
    if rng.random() < 0.45:
        _rays(image, rng)
    if rng.random() < 0.6:
        _ridges(image, colour, rng)
    if rng.random() < 0.72:
        image = _floor(image, colour, rng)
    for _ in range(int(rng.integers(0, 5))):
        _weed(image, colour, rng)
    return image, colour


def _rays(image: np.ndarray, rng: Rng) -> None:
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
    """Rocks that the water has almost swallowed."""
    size = len(image)
    for k in range(int(rng.integers(1, 3))):
        x = np.linspace(-0.1, 1.1, 8) * size
        y = size * (rng.uniform(0.5, 0.75) + rng.normal(0, 0.1, 8))
        tone = np.array(colour) * (0.85 - 0.2 * k) * rng.uniform(0.75, 1.05)
        brush.fill(
            image,
            np.concatenate([brush.smooth(np.c_[x, y], 30), [[1.2 * size, size], [-0.2 * size, size]]]),
            tuple(tone),
        )


def _floor(image: np.ndarray, colour: tuple, rng: Rng) -> np.ndarray:
    size = len(image)
    top = int(size * rng.uniform(0.6, 0.88))
    rows = size - top
    sand = np.array(rgb(rng.uniform(0.06, 0.14), rng.uniform(0.1, 0.45), rng.uniform(0.45, 0.85)))
    near = 0.62 * sand + 0.38 * np.array(colour)
    floor = spread(ramp([0.2 * sand + 0.8 * np.array(colour), near], [0, 1], rows), size)
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
    return image


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
    """A bunch of blades from the floor."""
    size = len(image)
    root = np.array([rng.uniform(0, size), size * rng.uniform(0.85, 1.1)])
    tall, sway = size * rng.uniform(0.12, 0.55), rng.normal(0, 0.05)
    hue = rng.uniform(0.15, 0.42) if rng.random() < 0.75 else rng.uniform(0.9, 1.08)
    tone = 0.6 * np.array(rgb(hue, rng.uniform(0.3, 0.8), rng.uniform(0.25, 0.6))) + 0.35 * np.array(colour)
    blades = int(rng.integers(2, 7))
    steps = np.linspace(0, 1, 5)
    x = np.cumsum(rng.normal(sway, 0.035, (blades, 5)), axis=1) * steps + rng.normal(0, 0.03, (blades, 1))
    y = -tall / size * rng.uniform(0.5, 1, (blades, 1)) * steps
    outlines = brush.limb(root + size * np.stack([x, y], axis=-1), (0.03 * size, 0.035 * size, 0.008 * size))
    for blade, light in zip(outlines, rng.uniform(0.7, 1.2, blades), strict=True):
        brush.fill(image, blade, tuple(tone * light))


def before_the_fish(image: np.ndarray, colour: tuple, rng: Rng) -> None:
    """Bubbles and specks drift between the fish and the lens."""
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
