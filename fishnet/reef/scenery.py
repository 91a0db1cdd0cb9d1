"""Grounds seen from above, lakes with sky and hills, and the few strokes that all scenes share."""

import cv2
import numpy as np

from fishnet.reef import brush, textures
from fishnet.reef.individual import rgb

Rng = np.random.Generator


def ramp(colours: list, stops: list[float], rows: int) -> np.ndarray:
    """A vertical gradient as an image of one column."""
    at = np.linspace(0, 1, rows)
    columns = [np.interp(at, stops, channel) for channel in np.clip(colours, 0, 255).T]
    return np.stack(columns, axis=1)[:, None, :].astype(np.uint8)


def spread(column: np.ndarray, width: int) -> np.ndarray:
    return cv2.resize(column, (width, len(column)), interpolation=cv2.INTER_NEAREST)


def lit(image: np.ndarray, texture: np.ndarray, strength: float) -> np.ndarray:
    """Multiply by a neutral-128 texture, softened to `strength`."""
    offset = 128 * (1 - strength)
    gain = cv2.convertScaleAbs(texture, alpha=strength, beta=offset)
    return cv2.multiply(image, cv2.cvtColor(gain, cv2.COLOR_GRAY2RGB), scale=1 / 128)


def ground(size: int, rng: Rng) -> np.ndarray:
    """Seen from above: boards, grass, gravel or wet sand."""
    kind = ("planks", "grass", "pebbles", "sand")[rng.integers(4)]
    zoom = rng.uniform(0.7, 1.3) * size / 224
    shape = (size, size)
    if kind == "planks":
        colour, tile = (
            rgb(rng.uniform(0.05, 0.12), rng.uniform(0.1, 0.55), rng.uniform(0.4, 0.75)),
            textures.planks(),
        )
    elif kind == "grass":
        colour, tile = (
            rgb(rng.uniform(0.17, 0.33), rng.uniform(0.25, 0.6), rng.uniform(0.45, 0.75)),
            textures.grass(),
        )
    elif kind == "pebbles":
        colour, tile = (
            rgb(rng.uniform(0.04, 0.14), rng.uniform(0.02, 0.3), rng.uniform(0.5, 0.8)),
            textures.pebbles(),
        )
    else:
        colour, tile = (
            rgb(rng.uniform(0.07, 0.13), rng.uniform(0.1, 0.4), rng.uniform(0.55, 0.85)),
            textures.noise(7),
        )
    image = brush.flood(shape, colour)
    window = textures.crop(tile, shape, rng, zoom)
    if rng.random() < 0.5:
        window = np.ascontiguousarray(window.T)
    image = lit(image, window, {"planks": 0.8, "sand": 0.3}.get(kind, 0.55))
    return lit(image, textures.crop(textures.noise(3, 4), shape, rng, 2.0), rng.uniform(0.1, 0.4))


def hills(image: np.ndarray, horizon: float, base: tuple, rng: Rng) -> None:
    size = len(image)
    for k in range(int(rng.integers(1, 4))):
        x = np.linspace(-0.1, 1.1, 9) * size
        y = horizon - size * (rng.uniform(0.02, 0.16 - 0.04 * k, 9))
        ridge = brush.smooth(np.c_[x, y], 40)
        tone = np.array(base) * (0.95 - 0.22 * k) + 12
        brush.fill(image, np.concatenate([ridge, [[1.2 * size, horizon], [-0.2 * size, horizon]]]), tuple(tone))


def lake(size: int, rng: Rng) -> tuple[np.ndarray, float]:
    """Sky, far shore and water; also the row of the waterline."""
    horizon = size * rng.uniform(0.38, 0.56)
    hue = rng.normal(0.57, 0.03)
    evening = rng.random() < 0.25
    high = rgb(hue, rng.uniform(0.1, 0.6), rng.uniform(0.6, 0.95))
    low = rgb(0.07 if evening else hue, rng.uniform(0.08, 0.45 if evening else 0.2), rng.uniform(0.85, 0.98))
    image = spread(ramp([high, low, low], [0, horizon / size, 1], size), size)
    clouds = textures.crop(textures.noise(5, 4, 9), (size, size), rng, rng.uniform(0.8, 2))
    image = cv2.add(
        image,
        cv2.cvtColor(
            cv2.convertScaleAbs(cv2.subtract(clouds, np.full_like(clouds, 150)), alpha=0.9),
            cv2.COLOR_GRAY2RGB,
        ),
    )
    hills(image, horizon, rgb(rng.uniform(0.22, 0.6), rng.uniform(0.1, 0.45), rng.uniform(0.3, 0.6)), rng)
    far, near = (
        np.array(low) * 0.75,
        np.array(rgb(hue + rng.normal(-0.02, 0.05), rng.uniform(0.2, 0.6), rng.uniform(0.25, 0.55))),
    )
    top = int(horizon)
    water = spread(ramp([far, near], [0, 1], size - top), size)
    streaks = textures.crop(textures.noise(5, 12, 10), ((size - top) * 4, size // 2), rng, 1.0)
    water = lit(water, cv2.resize(streaks, (size, size - top), interpolation=cv2.INTER_AREA), rng.uniform(0.4, 1.0))
    image[top:] = water
    return image, horizon


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
