"""Textures of grounds and noises, made once a process from fixed seeds, and gradients; photos take crops of them.

A fractal noise costs milliseconds and a crop of it microseconds: this is where the speed of the reef comes from. All
tiles are square (SIDE), uint8 and neutral at 128.
"""

from functools import lru_cache

import cv2
import numpy as np

from fishnet.reef import brush

SIDE = 512


@lru_cache
def noise(octaves: int = 5, coarse: int = 6, seed: int = 1) -> np.ndarray:
    """Fractal noise; its largest cells are a `coarse`-th of the tile."""
    rng = np.random.default_rng([seed, octaves, coarse])
    total = np.zeros((SIDE, SIDE), np.float32)
    for k in range(octaves):
        cells = rng.standard_normal((coarse << k, coarse << k)).astype(np.float32)
        total += cv2.resize(cells, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) * 0.6**k
    return _neutral(total)


@lru_cache
def grain() -> np.ndarray:
    values = np.random.default_rng(12).standard_normal((SIDE, SIDE, 3), dtype=np.float32)
    return _neutral(cv2.GaussianBlur(values, (3, 3), 0.6))


@lru_cache
def caustics() -> np.ndarray:
    """The net of light that waves throw on a shallow floor: the borders of warped cells."""
    rng = np.random.default_rng(2)
    side = SIDE // 3
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    x += cv2.resize(noise(3, 10, 3), (side, side)).astype(np.float32) * 0.08
    y += cv2.resize(noise(3, 10, 4), (side, side)).astype(np.float32) * 0.08
    nearest = np.full((2, side, side), 1e6, np.float32)
    for cx, cy in rng.uniform(-5, side + 25, (76, 2)):
        away = (x - cx) ** 2 + (y - cy) ** 2
        nearest[1] = np.minimum(nearest[1], np.maximum(nearest[0], away))
        nearest[0] = np.minimum(nearest[0], away)
    gap = np.sqrt(nearest[1]) - np.sqrt(nearest[0])
    return _neutral(cv2.resize(np.exp(-gap / 1.5), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC))


@lru_cache
def pebbles() -> np.ndarray:
    """Gravel: 700 lit stones, the large ones below the small ones."""
    rng = np.random.default_rng(5)
    tile = np.full((SIDE, SIDE), 60, np.uint8)
    for radius in np.sort(rng.gamma(4, 3.4, 700))[::-1]:
        centre, tone = rng.uniform(0, SIDE, 2), rng.uniform(85, 190)
        axes, turn = (radius + 3, (radius + 3) * rng.uniform(0.55, 0.95)), rng.uniform(0, 180)
        brush.ellipse(tile, (centre[0] + 1.5, centre[1] + 2.5), axes, tone * 0.45, turn)
        brush.ellipse(tile, centre, axes, tone, turn)
        lit = (axes[0] * 0.6, axes[1] * 0.55)
        brush.ellipse(tile, (centre[0] - 0.15 * axes[0], centre[1] - 0.25 * axes[1]), lit, tone * 1.12, turn)
    return cv2.GaussianBlur(tile, (3, 3), 0.7)


@lru_cache
def grass() -> np.ndarray:
    """Blades of grass, the dark ones below the light ones."""
    rng = np.random.default_rng(6)
    tile = np.full((SIDE, SIDE), 70, np.uint8)
    for tone in np.sort(rng.uniform(50, 190, 1450)):
        root, lean, length = rng.uniform(-20, SIDE + 20, 2), rng.normal(0, 12, 2), rng.uniform(18, 50)
        path = root + np.array([(0, 0), (lean[1] * 0.4, -0.6 * length), (lean[0] * 2, -length)])
        brush.fill(tile, brush.limb(path, (4.5, 3.5, 0.6), 7), tone)
    return tile


@lru_cache
def planks() -> np.ndarray:
    """Boards along x, with grain, joints and nails."""
    rng = np.random.default_rng(7)
    fine = noise(6, 12, 8)
    tile = np.empty((SIDE, SIDE), np.float32)
    pitch = 64
    for top in range(0, SIDE, pitch):
        strip = cv2.resize(fine[top : top + pitch, : SIDE // 6], (SIDE, pitch), interpolation=cv2.INTER_CUBIC)
        tile[top : top + pitch] = 128 + (strip.astype(np.float32) - 128) * 0.55 + rng.normal(0, 14)
        tile[top : top + 3] = 35
        tile[top + 3 : top + 5] += 18
        joint = int(rng.integers(40, SIDE - 40))
        tile[top : top + pitch, joint : joint + 3] = 40
    tile = np.clip(tile, 0, 255).astype(np.uint8)
    for x, y in rng.integers(0, SIDE // pitch, (30, 2)) * pitch + [20, 14]:
        brush.disc(tile, np.array([x, y]), 3, 40)
    return tile


def crop(tile: np.ndarray, shape: tuple[int, int], rng: np.random.Generator, zoom: float = 1.0) -> np.ndarray:
    """A random window of `shape`; `zoom` above 1 shows the tile larger."""
    rows, columns = (max(2, min(SIDE, round(side / zoom))) for side in shape)
    top, left = (int(rng.integers(0, SIDE - side + 1)) for side in (rows, columns))
    window = tile[top : top + rows, left : left + columns]
    if rng.random() < 0.5:
        window = cv2.flip(window, 1)
    same = (rows, columns) == shape
    return window if same else cv2.resize(window, shape[::-1], interpolation=cv2.INTER_LINEAR)


def _neutral(values: np.ndarray) -> np.ndarray:
    """uint8 with mean 128 and standard deviation 40."""
    return np.clip(128 + 40 * ((values - values.mean()) / values.std()), 0, 255).astype(np.uint8)


def gradient(colours: list, stops: list[float], rows: int, columns: int) -> np.ndarray:
    """An RGB image that runs from the first colour at the top to the last; `stops` (0 to 1) say where each stands."""
    at = np.linspace(0, 1, rows)
    channels = [np.interp(at, stops, channel) for channel in np.clip(colours, 0, 255).T]
    column = np.stack(channels, axis=1)[:, None, :].astype(np.uint8)
    return cv2.resize(column, (columns, rows), interpolation=cv2.INTER_NEAREST)


def lit(image: np.ndarray, texture: np.ndarray, strength: float) -> np.ndarray:
    """Multiply by a neutral-128 texture, softened to `strength`."""
    offset = 128 * (1 - strength)
    gain = cv2.convertScaleAbs(texture, alpha=strength, beta=offset)
    return cv2.multiply(image, cv2.cvtColor(gain, cv2.COLOR_GRAY2RGB), scale=1 / 128)
