"""Effects: what a lens, a light or a file format does to a whole photo. RGB in, RGB out."""

from functools import lru_cache

import cv2
import numpy as np

from fishnet.reef.brush import rgb

Rng = np.random.Generator


def tint(pixels: np.ndarray, rng: Rng) -> np.ndarray:
    """A warm cast, as of a lamp or an old print."""
    colour = np.array(rgb(rng.uniform(0.07, 0.1), 0.85, 1.0))
    strength = rng.uniform(0.3, 0.45)
    table = np.arange(256)[:, None] * (1 - strength + strength * colour / 255) + 0.12 * strength * colour
    return np.asarray(cv2.LUT(pixels, np.clip(table, 0, 255).astype(np.uint8)[:, None, :]))


@lru_cache(maxsize=4)
def _distance(height: int, width: int) -> np.ndarray:
    """Squared distance from the middle, 1 in the corners."""
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    return np.asarray((x**2 + y**2) / 2, np.float32)


def vignette(pixels: np.ndarray, rng: Rng) -> np.ndarray:
    """Dark corners, as of a cheap lens."""
    light = 255 * (1 - rng.uniform(0.65, 0.85) * np.minimum(1, rng.uniform(1.2, 1.5) * _distance(*pixels.shape[:2])))
    return np.asarray(cv2.multiply(pixels, cv2.merge([light.astype(np.uint8)] * 3), scale=1 / 255))


def blur(pixels: np.ndarray, rng: Rng) -> np.ndarray:
    """Out of focus."""
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), min(pixels.shape[:2]) * rng.uniform(0.009, 0.015)))


def jpeg(pixels: np.ndarray, rng: Rng) -> np.ndarray:
    """Saved at a low quality, as a messenger does: the grid of eight pixels shows."""
    packed = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(9, 17))])[1]
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))[..., ::-1].copy()
