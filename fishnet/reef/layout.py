"""How large the fish of a photo are and where they lie: `centred` as a photographer frames them, or `free`.

A fish is painted on a patch; its pose is the affine map (2, 3) from the patch to the photo.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

import cv2
import numpy as np

from fishnet.reef.fish import Body, make_body, paint_fish
from fishnet.reef.markings import Individual, draw_individual
from fishnet.reef.species import Species

Rng = np.random.Generator
FINE = 1.25  # the fish is painted this much larger than it is shown
# of free photos: those with two fish, and those in which the frame cuts the fish
TWO, CUT = 0.2, 0.2


@dataclass(frozen=True)
class Painted:
    """A fish on a patch of its own, RGBA."""

    canvas: np.ndarray
    body: Body
    extent: float = 0.0  # share of the photo's width that a free fish takes, its fins included

    def outline(self) -> np.ndarray:
        """Points (n, 2) of the patch between which the fish lies, its fins included."""
        shape = cv2.extractChannel(self.canvas, 3) > 127
        columns = np.flatnonzero(shape.any(0))
        top, bottom = shape[:, columns].argmax(0), len(shape) - 1 - shape[::-1, columns].argmax(0)
        return np.concatenate([np.c_[columns, top], np.c_[columns, bottom]])


def paint_centred(
    kind: Species, individual: Individual, size: int, rng: Rng, without: Collection[str]
) -> list[Painted]:
    return [_paint(kind, individual, FINE * size * rng.uniform(0.6, 0.75) * kind.length, rng, without)]


def paint_free(kind: Species, individual: Individual, size: int, rng: Rng, without: Collection[str]) -> list[Painted]:
    """A fish of any size, or two of the species, of which the second is another individual."""
    if rng.random() >= TWO:
        return [_paint_free(kind, individual, rng.uniform(0.3, 0.95), size, rng, without)]
    others = [individual, draw_individual(kind, rng)]
    return [_paint_free(kind, fish, rng.uniform(0.3, 0.6), size, rng, without) for fish in others]


def _paint_free(
    kind: Species, individual: Individual, extent: float, size: int, rng: Rng, without: Collection[str]
) -> Painted:
    painted = _paint(kind, individual, FINE * size * extent / (1 + kind.tail.length), rng, without)
    return replace(painted, extent=extent)


def _paint(kind: Species, individual: Individual, scale: float, rng: Rng, without: Collection[str]) -> Painted:
    body = make_body(kind, scale=scale, depth=individual.depth, bend=rng.normal(0, 0.045), phase=rng.uniform(0, 6))
    return Painted(paint_fish(kind, individual, body, rng, without=without), body)


def pose_matrix(middle: np.ndarray, target: np.ndarray, *, turn: float, squeeze: float, mirror: bool) -> np.ndarray:
    """The pose that brings `middle` to `target`: the length is `squeeze` times, and the fish turned by degrees."""
    cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.diag([(-1 if mirror else 1) * squeeze, 1]) / FINE
    return np.c_[linear, target - linear @ middle]


def centred_poses(school: list[Painted], size: int, turn: float, rng: Rng) -> list[np.ndarray]:
    """Turned, mirrored, foreshortened, a little off the middle."""
    target = size * (0.5 + np.clip(rng.normal(0, 0.04, 2), -0.09, 0.09))
    mirror = bool(rng.random() < 0.5)
    middle = school[0].body.at(0.55, 0.0)
    return [pose_matrix(middle, target, turn=turn, squeeze=rng.uniform(0.88, 1.0), mirror=mirror)]


def free_poses(school: list[Painted], size: int, turn: float, rng: Rng) -> list[np.ndarray]:
    """Off the middle and of very different sizes; of two fish, the second keeps away from the first."""
    poses: list[np.ndarray] = []
    middles = np.empty((0, 2))
    for fish, side in zip(school, (1, -1), strict=False):
        mirror, squeeze = bool(rng.random() < 0.5), rng.uniform(0.88, 1.0)
        pose = pose_matrix(np.zeros(2), np.zeros(2), turn=side * turn, squeeze=squeeze, mirror=mirror)
        points = fish.outline() @ pose[:, :2].T
        scale = fish.extent * size / np.ptp(points, axis=0).max()
        low, high = scale * points.min(0), scale * points.max(0)
        cut = not poses and rng.random() < CUT
        choices = np.stack([_middle(high - low, size, rng, cut=cut) for _ in range(8)])
        away = np.abs(choices[:, None] - middles).max(2).min(1) if len(middles) else np.zeros(8)
        middle = choices[away.argmax()]
        poses.append(np.c_[scale * pose[:, :2], middle - (low + high) / 2])
        middles = np.concatenate([middles, middle[None]])
    return poses


def _middle(extent: np.ndarray, size: int, rng: Rng, *, cut: bool) -> np.ndarray:
    """The middle of a fish of this width and height: at least half of the way to an edge, or its end beyond it."""
    offset = rng.uniform(-1, 1, 2)
    offset[rng.integers(2)] = rng.uniform(0.5, 1) * (1 if rng.random() < 0.5 else -1)
    middle = size / 2 + offset * np.maximum(0.97 * size - extent, 0) / 2
    if cut:
        axis = int(extent.argmax())
        beyond = extent[axis] * (0.5 - rng.uniform(0.15, 0.4))
        middle[axis] = beyond if rng.random() < 0.5 else size - beyond
    return middle


# how the fish of a layout are painted, and how they are posed
ARRANGEMENTS = {"centred": (paint_centred, centred_poses), "free": (paint_free, free_poses)}
