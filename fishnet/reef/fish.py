"""One fish painted on its own patch, at a quarter larger than in the photo.

The body's colours are a table over belly-to-back height (dark back, pale belly, a shine on the upper
flank), read per pixel; the marks are a second table laid over it through a mask. Everything else is a few
strokes.
"""

from functools import lru_cache

import cv2
import numpy as np

from fishnet.reef import brush
from fishnet.reef.body import Body
from fishnet.reef.fins import barbels, fins_behind, paired_fin, shade
from fishnet.reef.individual import Individual
from fishnet.reef.species import Species

HEIGHTS = np.linspace(0, 1, 256)
STOPS = [0.0, 0.1, 0.36, 0.62, 0.88, 1.0]
TO_TABLE = np.stack([np.interp(HEIGHTS, STOPS, stop) for stop in np.eye(len(STOPS))], axis=1)
DARKER = np.array([[0.72], [1.0], [1.0], [1.0], [1.0], [0.75]])  # towards the edges, as a round body is
SHINE = 0.32 * np.exp(-(((HEIGHTS - 0.7) / 0.07) ** 2))[:, None]
GILL_T = np.linspace(0.72, -0.82, 14)
GILL_BOW = 0.035 * (1 - GILL_T**2) - 0.02
MOUTH = np.linspace(0.004, 0.075, 8), np.linspace(-0.3, -0.42, 8)


def paint_fish(kind: Species, fish: Individual, body: Body, rng: np.random.Generator) -> np.ndarray:
    """An RGBA patch of the body's shape."""
    canvas = brush.flood(body.shape, shade(fish.fins, 1.0, 0))
    if kind.barbels:
        barbels(canvas, body, fish.back, rng)
    fins_behind(canvas, body, kind, fish.fins, rng)
    _body(canvas, kind, fish, body, rng)
    _head(canvas, kind, fish, body)
    root = body.at(kind.gill + 0.045, -0.3)
    paired_fin(canvas, root, kind.pectoral * body.scale, rng.uniform(0, 45), fish.fins, 255)
    return canvas


def _body(canvas: np.ndarray, kind: Species, fish: Individual, body: Body, rng: np.random.Generator) -> None:
    rows, columns = box = body.box()
    corner = np.array([columns.start, rows.start])
    contour = body.contour()
    heights = body.height_map()
    mask, marks = np.zeros((2, *heights.shape), np.uint8)
    brush.fill(mask, contour - corner, 255)
    brush.fill(marks, body.at(fish.marks[..., 0], fish.marks[..., 1]) - corner, 255)
    soft = 2 * int(body.scale / 90) + 1
    plain, marked = _tables(fish)
    skin = blend(cv2.applyColorMap(heights, plain), cv2.applyColorMap(heights, marked), cv2.blur(marks, (soft, soft)))
    _scales(skin, fish, round(kind.gill * body.scale), rng)
    canvas[box] = blend(canvas[box], cv2.cvtColor(skin, cv2.COLOR_RGB2RGBA), mask)
    brush.stroke(canvas, contour, shade(fish.back, 0.6), body.scale / 160)


def blend(under: np.ndarray, over: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """`over` where the mask is 255, `under` where it is 0 (whole numbers: twice as fast as blendLinear)."""
    weight = cv2.merge([mask] * under.shape[2])
    return cv2.add(
        cv2.multiply(over, weight, scale=1 / 255), cv2.multiply(under, cv2.bitwise_not(weight), scale=1 / 255)
    )


def _tables(fish: Individual) -> tuple[np.ndarray, np.ndarray]:
    """The colours from belly to back, without and with a mark."""
    plain = np.array([fish.belly, fish.belly, fish.flank, fish.flank, fish.back, fish.back])
    both = TO_TABLE @ np.concatenate([plain * DARKER, np.outer(DARKER, fish.mark)], axis=1)
    both += SHINE * (255 - both)
    both[:, 3:] = both[:, :3] + (both[:, 3:] - both[:, :3]) * fish.mark_strength
    table = np.minimum(both, 255).astype(np.uint8)
    return table[:, None, :3].copy(), table[:, None, 3:].copy()


@lru_cache
def _scale_tile() -> np.ndarray:
    """Overlapping scales, light at the middle and dark at the rim; 128 is neutral."""
    pitch, size = 9, 720
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    tile = np.full((size, size), 90, np.float32)
    for shift in (1, 0):
        cx = (np.floor(x / pitch / 2 + shift / 2) - shift / 2 + 0.5) * 2 * pitch
        away = np.hypot((x - cx) / pitch, (y % (2 * pitch) - pitch - (shift - 0.5) * pitch) / pitch)
        tile = np.where(away < 1, 175 - 85 * away**2, tile)
    return np.repeat(cv2.GaussianBlur(tile, (3, 3), 0.8)[:, :, None], 3, axis=2).astype(np.uint8)


def _scales(skin: np.ndarray, fish: Individual, gill: int, rng: np.random.Generator) -> None:
    tile = _scale_tile()
    part = skin[:, gill:]
    top = int(rng.integers(0, max(1, len(tile) - len(part))))
    scales = tile[top : top + len(part), : part.shape[1]]
    part = part[: len(scales), : scales.shape[1]]
    amount = 0.3 * fish.scales
    cv2.addWeighted(part, 1 - amount, cv2.multiply(part, scales, scale=1 / 128), amount, 0, part)


def _head(canvas: np.ndarray, kind: Species, fish: Individual, body: Body) -> None:
    """Gill cover, mouth and eye."""
    bow = kind.gill + GILL_BOW
    width = max(1.0, body.scale / 110)
    brush.stroke(canvas, body.at(bow + 0.012, GILL_T), shade(fish.flank, 1.25), width)
    brush.stroke(canvas, body.at(bow, GILL_T), shade(fish.back, 0.55), width)
    mouth = body.at(*MOUTH)
    brush.stroke(canvas, mouth, shade(fish.back, 0.45), width)
    centre = body.at(*kind.eye_at)
    radius = kind.eye * body.scale
    brush.disc(canvas, centre, radius * 1.18, shade(fish.back, 0.55))
    brush.disc(canvas, centre, radius, shade(fish.iris, 1.0))
    brush.disc(canvas, centre, radius * 0.58, (12, 12, 16, 255))
    brush.disc(canvas, centre - 0.3 * radius, radius * 0.22, (250, 250, 250, 255))
