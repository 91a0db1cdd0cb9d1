"""Layers: things drawn on a patch of their own and laid into a photo, of which size and with which animal ever.

A layer's place follows from the animal: how opaque it is in each pixel (0 to 255), or, in a photo that was not drawn, a
mask of it. Sizes are shares of the photo's shorter side.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from fishnet.reef import brush
from fishnet.reef.brush import rgb, shade

Rng = np.random.Generator
Shape = tuple[int, int]  # height and width of the photo
FINE = 2  # patches are drawn this much larger than they are shown


@dataclass(frozen=True)
class Layer:
    """An RGBA patch, the affine map (2, 3) from it to the photo, and how opaque it is at most."""

    patch: np.ndarray
    pose: np.ndarray
    opacity: float = 1.0


def upright(corner: np.ndarray | tuple[float, float]) -> np.ndarray:
    """The pose of a patch whose top left corner comes to `corner` (x, y) of the photo."""
    return np.array([[1 / FINE, 0, corner[0]], [0, 1 / FINE, corner[1]]])


def turned(patch: np.ndarray, middle: np.ndarray, degrees: float) -> np.ndarray:
    """The pose of a patch that is turned about its middle, which comes to `middle` (x, y) of the photo."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    linear = np.array([[cos, -sin], [sin, cos]]) / FINE
    return np.c_[linear, middle - linear @ (np.array(patch.shape[1::-1]) / 2)]


def empty(height: float, width: float, colour: tuple[float, ...]) -> np.ndarray:
    """A clear patch for a thing of this size in the photo; `colour` is what its soft edges fade to."""
    return brush.flood((max(2, round(height * FINE)), max(2, round(width * FINE))), (*colour[:3], 0))


def free_corner(animal: np.ndarray, shape: Shape, rng: Rng) -> np.ndarray:
    """The top left corner (x, y) of a box of this height and width that does not touch the animal's box if there is
    room, else covers as little of the animal as 48 trials offer."""
    height, width = animal.shape
    room = np.maximum(0, [width - shape[1], height - shape[0]])
    corners = rng.integers(0, room + 1, (48, 2))
    (left, top), (right, bottom) = corners.T, corners.T + np.array(shape[::-1])[:, None]
    sums = cv2.integral((animal > 127).astype(np.uint8))
    right, bottom = np.minimum(right, width), np.minimum(bottom, height)
    covered = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    x, y, wide, high = cv2.boundingRect((animal > 127).astype(np.uint8))
    touches = (left < x + wide) & (right > x) & (top < y + high) & (bottom > y)
    return np.asarray(corners[np.argmin(covered + 0.5 * touches)])


def draw_float(animal: np.ndarray, rng: Rng) -> Layer:
    """An angler's float: a red and white ball with an antenna, and the rings that it makes on the water."""
    side = min(animal.shape) * rng.uniform(0.2, 0.26)
    width = 0.6 * side
    red, white = rgb(rng.normal(0.0, 0.012), rng.uniform(0.8, 0.95), rng.uniform(0.8, 0.95)), (244.0, 240.0, 232.0)
    patch = empty(side, width, red)
    unit, middle = side * FINE, width * FINE / 2

    def at(x: float, y: float) -> tuple[float, float]:
        return middle + x * unit, y * unit

    for reach in (0.29, 0.23):
        ring = brush.CIRCLE * (reach * unit, 0.055 * unit) + at(0, 0.9)
        brush.stroke(patch, np.concatenate([ring, ring[:1]]), (235, 242, 246, 200), 0.02 * unit)
    brush.stroke(patch, np.array([at(0, 0.02), at(0, 0.4)]), shade(red, 0.35), 0.045 * unit)
    brush.stroke(patch, np.array([at(0, 0.02), at(0, 0.13)]), (255, 140, 20, 255), 0.06 * unit)
    brush.ellipse(patch, at(0, 0.64), (0.205 * unit, 0.285 * unit), shade(red, 0.4))
    brush.ellipse(patch, at(0, 0.64), (0.185 * unit, 0.265 * unit), (*white, 255))
    angle = np.linspace(np.pi, 2 * np.pi, 20)
    brush.fill(patch, np.c_[0.185 * np.cos(angle), 0.265 * np.sin(angle)] * unit + at(0, 0.64), (*red, 255))
    brush.stroke(patch, np.array([at(-0.185, 0.65), at(0.185, 0.65)]), shade(red, 0.3), 0.035 * unit)
    brush.ellipse(patch, at(-0.07, 0.5), (0.035 * unit, 0.07 * unit), (255, 225, 215, 255), 15)
    corner = free_corner(animal, (int(side) + 1, int(width) + 1), rng)
    return Layer(patch, turned(patch, corner + np.array([width, side]) / 2, rng.uniform(-12, 12)))


def draw_border(animal: np.ndarray, rng: Rng) -> Layer:
    """A frame like that of a print: a light rim with a thin dark line inside."""
    height, width = animal.shape
    paper = rgb(rng.uniform(0.08, 0.14), rng.uniform(0.02, 0.12), rng.uniform(0.9, 0.99))
    patch = empty(height / FINE, width / FINE, paper)
    for thick, colour in ((rng.uniform(0.05, 0.075), shade(paper, 0.25)), (rng.uniform(0.038, 0.046), (*paper, 255))):
        rim = max(2, round(thick * min(animal.shape)))
        for low, high in (((0, 0), (width, rim)), ((0, height - rim), (width, height))):
            cv2.rectangle(patch, low, high, colour, cv2.FILLED)
        for low, high in (((0, 0), (rim, height)), ((width - rim, 0), (width, height))):
            cv2.rectangle(patch, low, high, colour, cv2.FILLED)
    return Layer(patch, np.eye(2, 3))


def draw_watermark(animal: np.ndarray, rng: Rng) -> Layer:
    """A photo site's name with its logo, half clear, in one of the corners."""
    side = min(animal.shape)
    height = side * rng.uniform(0.09, 0.115)
    width, unit = 4.9 * height, height * FINE
    patch = empty(height, width, (255, 255, 255))
    for shift, colour in ((0.03, (20, 22, 26, 255)), (0.0, (255, 255, 255, 255))):
        middle = np.array([0.5 + shift, 0.5 + shift]) * unit
        brush.disc(patch, middle, 0.42 * unit, colour)
        place = (round((1.05 + shift) * unit), round((0.72 + shift) * unit))
        scale, thick = unit / 34, max(1, round(unit / 11))
        cv2.putText(patch, "REEFPIX", place, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thick, cv2.LINE_AA)
    brush.ellipse(patch, (0.46 * unit, 0.5 * unit), (0.22 * unit, 0.13 * unit), (40, 60, 90, 255))
    brush.fill(patch, np.array([(0.62, 0.5), (0.8, 0.36), (0.8, 0.64)]) * unit, (40, 60, 90, 255))
    room = np.array(animal.shape[::-1]) - (width, height)
    margin = side * rng.uniform(0.015, 0.05, 2)
    corner = np.where(rng.random(2) < 0.5, margin, room - margin)
    return Layer(patch, upright(corner), opacity=rng.uniform(0.5, 0.75))
