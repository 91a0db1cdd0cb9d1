"""Colours and anti-aliased strokes with sub-pixel points: OpenCV's own, in float coordinates.

Most functions take a single outline (n, 2) or many of equal length (k, n, 2): drawing a bunch of weed in one call
costs as much as drawing one blade. They draw into `image`, of any number of channels.
"""

import colorsys
from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

Colour = tuple[float, ...] | float
_SHIFT = 4  # fractional bits of OpenCV's fixed-point coordinates
_TURN = np.linspace(0, 2 * np.pi, 28, endpoint=False)
CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)


def rgb(hue: float, saturation: float, value: float) -> tuple[float, float, float]:
    """A colour of 0 to 255 from hue, saturation and value; the hue wraps, the others are clipped to 0–1."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0), 1), min(max(value, 0), 1))
    return 255 * red, 255 * green, 255 * blue


def shade(colour: tuple[float, ...], factor: float, opacity: int = 255) -> tuple[float, float, float, int]:
    """RGBA of a colour that is `factor` times as light."""
    red, green, blue = colour[:3]
    return min(255.0, red * factor), min(255.0, green * factor), min(255.0, blue * factor), opacity


def _fixed(points: np.ndarray) -> list[np.ndarray]:
    return list(np.rint(points * (1 << _SHIFT)).astype(np.int32).reshape(-1, *points.shape[-2:]))


def fill(image: np.ndarray, points: np.ndarray, colour: Colour) -> None:
    """Fill an outline, or many that do not overlap, with one colour."""
    cv2.fillPoly(image, _fixed(points), colour, cv2.LINE_AA, _SHIFT)


def stroke(image: np.ndarray, points: np.ndarray, colour: Colour, width: float = 1) -> None:
    """Draw an open line, or many, `width` pixels wide."""
    cv2.polylines(image, _fixed(points), False, colour, max(1, round(width)), cv2.LINE_AA, _SHIFT)


def disc(image: np.ndarray, centre: Sequence[float] | np.ndarray, radius: float, colour: Colour) -> None:
    at = (round(float(centre[0]) * (1 << _SHIFT)), round(float(centre[1]) * (1 << _SHIFT)))
    cv2.circle(image, at, round(radius * (1 << _SHIFT)), colour, cv2.FILLED, cv2.LINE_AA, _SHIFT)


def ellipse(
    image: np.ndarray, centre: Sequence[float] | np.ndarray, axes: tuple[float, float], colour: Colour, turn: float = 0
) -> None:
    """Fill an ellipse of these half axes, turned by `turn` degrees."""
    cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    fill(image, CIRCLE * axes @ np.array([[cos, sin], [-sin, cos]]) + centre, colour)


def flood(shape: tuple[int, int], colour: tuple[float, ...]) -> np.ndarray:
    """An image of one colour, of as many channels (several times faster than numpy's broadcasting)."""
    image = np.empty((*shape, len(colour)), np.uint8)
    cv2.rectangle(image, (0, 0), shape[::-1], colour, cv2.FILLED)
    return image


@lru_cache
def _spline(knots: int, samples: int) -> np.ndarray:
    """The Catmull-Rom spline as a matrix from knots to samples."""
    padding = np.zeros((knots + 2, knots))
    padding[1:-1] = np.eye(knots)
    padding[0, :2], padding[-1, -2:] = (2, -1), (-1, 2)
    position = np.linspace(0, knots - 1 - 1e-9, samples)
    first, u = position.astype(int), position % 1
    weights = 0.5 * np.stack([-u + 2 * u**2 - u**3, 2 - 5 * u**2 + 3 * u**3, u + 4 * u**2 - 3 * u**3, u**3 - u**2])
    matrix = np.zeros((samples, knots + 2))
    for k in range(4):
        matrix[np.arange(samples), first + k] += weights[k]
    return matrix @ padding


@lru_cache
def _linear(knots: int, samples: int) -> np.ndarray:
    at = np.linspace(0, 1, samples)
    return np.stack([np.interp(at, np.linspace(0, 1, knots), unit) for unit in np.eye(knots)], axis=1)


def smooth(points: np.ndarray, samples: int = 24) -> np.ndarray:
    """A curve through few points, for limbs, hills and weed."""
    return _spline(points.shape[-2], samples) @ points


def limb(path: np.ndarray, widths: Sequence[float], samples: int = 16) -> np.ndarray:
    """The outline of a limb along a smooth path; `widths` are spread evenly from its root to its end."""
    line = smooth(path, samples)
    steps = np.concatenate([line[..., :1, :], line, line[..., -1:, :]], axis=-2)
    along = steps[..., 2:, :] - steps[..., :-2, :]
    length = np.sqrt((along**2).sum(-1, keepdims=True)) + 1e-9
    half = _linear(len(widths), samples) @ np.asarray(widths) / 2
    normal = along[..., ::-1] * (-1, 1) / length * half[:, None]
    return np.concatenate([line + normal, (line - normal)[..., ::-1, :]], axis=-2)


def blend(under: np.ndarray, over: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """`over` where the mask is 255, `under` where it is 0 (whole numbers: twice as fast as blendLinear)."""
    weight = cv2.merge([mask] * under.shape[2])
    below = cv2.multiply(under, cv2.bitwise_not(weight), scale=1 / 255)
    return cv2.add(cv2.multiply(over, weight, scale=1 / 255), below)


def posed(
    patch: np.ndarray, pose: np.ndarray, shape: tuple[int, int], margin: int = 0
) -> tuple[tuple[slice, slice], np.ndarray]:
    """The rows and columns of a photo that a patch can touch, `pose` (2, 3) leading from it to the photo, and what it
    has there; `shape` is the photo's height and width."""
    rows, columns = patch.shape[:2]
    limit = np.array(shape[::-1])
    corners = np.array([[0, 0, 1], [columns, 0, 1], [0, rows, 1], [columns, rows, 1]]) @ pose.T
    low = np.clip(corners.min(0) - margin, 0, limit - 8).astype(int)
    high = np.clip(np.ceil(corners.max(0)) + margin, low + 8, limit).astype(int)
    moved = pose - np.c_[np.zeros((2, 2)), low]
    part = cv2.warpAffine(patch, moved, tuple((high - low).tolist()), flags=cv2.INTER_LINEAR)
    return (slice(low[1], high[1]), slice(low[0], high[0])), part


def overlay(pixels: np.ndarray, layer: np.ndarray) -> np.ndarray:
    """Scale an RGBA layer to the RGB photo, lay it over the photo in place, and return how opaque it is (0 to 255)."""
    layer = cv2.resize(layer, pixels.shape[1::-1], interpolation=cv2.INTER_AREA)
    alpha = cv2.extractChannel(layer, 3)
    pixels[:] = blend(pixels, cv2.cvtColor(layer, cv2.COLOR_RGBA2RGB), alpha)
    return alpha
