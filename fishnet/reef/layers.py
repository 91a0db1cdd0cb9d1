"""Layers: patches that are laid into a photo, and where they may lie beside or on the animal in it.

The animal is given by how opaque it is in each pixel (0 to 255), so that a drawn and any other photo are treated alike.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from fishnet.reef import brush

Rng = np.random.Generator
Shape = tuple[int, int]  # height and width of the photo
FINE = 2  # patches are drawn this much larger than they are shown
CAPITAL = 21  # the height of a capital letter of OpenCV's font at scale 1


@dataclass(frozen=True)
class Layer:
    """An RGBA patch, the affine map (2, 3) from it to the photo, and how opaque it is at most."""

    patch: np.ndarray
    pose: np.ndarray
    opacity: float = 1.0


def upright(corner: np.ndarray | tuple[float, float], fine: float = FINE) -> np.ndarray:
    """The pose of a patch, drawn `fine` times as large, whose top left corner comes to `corner` (x, y) of the photo."""
    return np.array([[1 / fine, 0, corner[0]], [0, 1 / fine, corner[1]]])


def turned(patch: np.ndarray, middle: np.ndarray, degrees: float) -> np.ndarray:
    """The pose of a patch that is turned about its middle, which comes to `middle` (x, y) of the photo."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    linear = np.array([[cos, -sin], [sin, cos]]) / FINE
    return np.c_[linear, middle - linear @ (np.array(patch.shape[1::-1]) / 2)]


def empty(height: float, width: float, colour: tuple[float, ...]) -> np.ndarray:
    """A clear patch for a thing of this size in the photo; `colour` is what its soft edges fade to."""
    return brush.flood((max(2, round(height * FINE)), max(2, round(width * FINE))), (*colour[:3], 0))


def letter(patch: np.ndarray, text: str, at: tuple[float, float], height: float, colour: tuple[float, ...]) -> None:
    """Write capital letters or digits of this height on an RGBA patch, opaque, from the foot of the first at (x, y)."""
    ink = np.zeros(patch.shape[:2], np.uint8)
    start, thick = (round(at[0]), round(at[1])), max(1, round(0.16 * height))
    cv2.putText(ink, text, start, cv2.FONT_HERSHEY_SIMPLEX, height / CAPITAL, 255, thick, cv2.LINE_AA)
    rgba = (*colour[:3], 255)
    patch[:] = brush.blend(patch, brush.flood(patch.shape[:2], rgba), ink)


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


@dataclass(frozen=True)
class Spot:
    """A place on an animal, in pixels of the photo."""

    middle: np.ndarray  # (x, y), well inside
    turn: float  # degrees by which the animal is turned from lying level, -90 to 90
    thickness: float  # of the animal there
    length: float  # of the animal


def spot_on(animal: np.ndarray, rng: Rng) -> Spot | None:
    """Somewhere along the thick part of an animal (one of them, if there are several); None if there is no animal."""
    scale = min(1.0, 96 / max(animal.shape))
    small = cv2.resize(animal, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    inside = cv2.copyMakeBorder((small > 127).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 3)
    if not depth.max():
        return None
    y, x = np.nonzero(depth >= 0.8 * depth.max())
    chosen = int(rng.integers(len(x)))
    _, parts = cv2.connectedComponents(inside)
    whole = cv2.moments((parts == parts[y[chosen], x[chosen]]).astype(np.uint8), binaryImage=True)
    across, along, both = (whole[key] / whole["m00"] for key in ("mu02", "mu20", "mu11"))
    spread = (across + along) / 2 + np.hypot((along - across) / 2, both)
    middle = (np.array([x[chosen], y[chosen]]) - 0.5) / scale
    turn = float(np.degrees(0.5 * np.arctan2(2 * both, along - across)))
    return Spot(middle, turn, 2 * float(depth[y[chosen], x[chosen]]) / scale, 4 * float(np.sqrt(spread)) / scale)
