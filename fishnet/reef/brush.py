"""Anti-aliased strokes with sub-pixel points: OpenCV's own, in float coordinates.

Most functions take one outline (n, 2) or many alike (k, n, 2): one call for a bunch of weed costs as much
as one blade.
"""

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

Colour = tuple[float, ...] | float
_SHIFT = 4
_TURN = np.linspace(0, 2 * np.pi, 28, endpoint=False)
CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.rint(points * (1 << _SHIFT)).astype(np.int32)


def fill(image: np.ndarray, points: np.ndarray, colour: Colour) -> None:
    """Fill one outline, or many that do not overlap, with one colour."""
    fixed = _fixed(points)
    cv2.fillPoly(image, [fixed] if fixed.ndim == 2 else list(fixed), colour, cv2.LINE_AA, _SHIFT)


def stroke(image: np.ndarray, points: np.ndarray, colour: Colour, width: float = 1) -> None:
    """Draw one open line, or many."""
    fixed = _fixed(points)
    lines = [fixed] if fixed.ndim == 2 else list(fixed)
    cv2.polylines(image, lines, False, colour, max(1, round(width)), cv2.LINE_AA, _SHIFT)


def disc(image: np.ndarray, centre: Sequence[float] | np.ndarray, radius: float, colour: Colour) -> None:
    at = (round(float(centre[0]) * (1 << _SHIFT)), round(float(centre[1]) * (1 << _SHIFT)))
    cv2.circle(image, at, round(radius * (1 << _SHIFT)), colour, cv2.FILLED, cv2.LINE_AA, _SHIFT)


def ellipse(
    image: np.ndarray,
    centre: Sequence[float] | np.ndarray,
    axes: tuple[float, float],
    colour: Colour,
    turn: float = 0,
) -> None:
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


def smooth(points: np.ndarray, samples: int = 24) -> np.ndarray:
    """A curve through few points, for limbs, hills and weed."""
    return _spline(points.shape[-2], samples) @ points


@lru_cache
def _ramp(knots: int, samples: int) -> np.ndarray:
    at = np.linspace(0, 1, samples)
    return np.stack([np.interp(at, np.linspace(0, 1, knots), one) for one in np.eye(knots)], axis=1)


def limb(path: np.ndarray, widths: Sequence[float], samples: int = 16) -> np.ndarray:
    """The outline of something long that tapers along a smooth path."""
    line = smooth(path, samples)
    along = np.empty_like(line)
    along[..., 1:-1, :] = line[..., 2:, :] - line[..., :-2, :]
    along[..., 0, :] = line[..., 1, :] - line[..., 0, :]
    along[..., -1, :] = line[..., -1, :] - line[..., -2, :]
    length = np.sqrt((along**2).sum(-1, keepdims=True)) + 1e-9
    half = _ramp(len(widths), samples) @ np.asarray(widths) / 2
    normal = along[..., ::-1] * (-1, 1) / length * half[:, None]
    return np.concatenate([line + normal, (line - normal)[..., ::-1, :]], axis=-2)
