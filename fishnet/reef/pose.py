"""Where a painted fish falls in the photo: turned, mirrored, foreshortened, and its shadow."""

import cv2
import numpy as np

from fishnet.reef.body import Body
from fishnet.reef.fish import blend

Rng = np.random.Generator
FINE = 1.25  # the fish is painted this much larger than it is shown
FISH = 1  # in masks


def free_pose(body: Body, size: int, rng: Rng, turn: float) -> np.ndarray:
    """Turned, mirrored, foreshortened, a little off the middle."""
    target = size * (0.5 + np.clip(rng.normal(0, 0.04, 2), -0.09, 0.09))
    mirror = bool(rng.random() < 0.5)
    return pose_matrix(body.at(0.55, 0.0), target, turn=turn, squeeze=rng.uniform(0.88, 1.0), mirror=mirror)


def pose_matrix(middle: np.ndarray, target: np.ndarray, *, turn: float, squeeze: float, mirror: bool) -> np.ndarray:
    cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.diag([(-1 if mirror else 1) * squeeze, 1]) / FINE
    return np.c_[linear, target - linear @ middle]


def put(
    scene: np.ndarray, canvas: np.ndarray, pose: np.ndarray, *, veil: float = 0, colour: tuple = (0, 0, 0)
) -> np.ndarray:
    """Lay the fish into the scene where it falls, behind a `veil` of water; returns its mask."""
    window = _window(canvas, pose, len(scene))
    part = _warp(canvas, pose, window)
    alpha = cv2.extractChannel(part, 3)
    fish = cv2.cvtColor(part, cv2.COLOR_RGBA2RGB)
    if veil:
        lent = np.array([*(veil * channel for channel in colour), 0.0])
        fish = cv2.add(cv2.convertScaleAbs(fish, alpha=1 - veil), lent)
    scene[window] = blend(scene[window], fish, alpha)
    mask = np.zeros(scene.shape[:2], np.uint8)
    mask[window] = (alpha > 127) * np.uint8(FISH)
    return mask


def _window(canvas: np.ndarray, pose: np.ndarray, size: int, margin: int = 0) -> tuple[slice, slice]:
    """The rows and columns of the photo that the patch can touch."""
    rows, columns = canvas.shape[:2]
    corners = np.array([[0, 0, 1], [columns, 0, 1], [0, rows, 1], [columns, rows, 1]]) @ pose.T
    low = np.clip(corners.min(0) - margin, 0, size - 8).astype(int)
    high = np.clip(np.ceil(corners.max(0)) + margin, low + 8, size).astype(int)
    return slice(low[1], high[1]), slice(low[0], high[0])


def _warp(image: np.ndarray, pose: np.ndarray, window: tuple[slice, slice]) -> np.ndarray:
    rows, columns = window
    moved = pose - [[0, 0, columns.start], [0, 0, rows.start]]
    shape = (columns.stop - columns.start, rows.stop - rows.start)
    return cv2.warpAffine(image, moved, shape, flags=cv2.INTER_LINEAR)


def shadow(scene: np.ndarray, canvas: np.ndarray, pose: np.ndarray, rng: Rng) -> None:
    offset = rng.uniform(0.005, 0.03, 2) * len(scene)
    cast = pose + np.c_[np.zeros((2, 2)), offset]
    window = _window(canvas, cast, len(scene), 4)
    soft = cv2.blur(_warp(cv2.extractChannel(canvas, 3), cast, window), (7, 7))
    under = scene[window]
    scene[window] = blend(under, cv2.convertScaleAbs(under, alpha=0.35), cv2.convertScaleAbs(soft, alpha=0.8))
