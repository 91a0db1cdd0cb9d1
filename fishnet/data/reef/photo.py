"""One photo: a place, a fish in some pose, the light, and a camera that is not perfect.

A photo is a pure function of (seed, species, number): the generators are seeded by these three, so a photo is the same
whether two or two thousand are drawn, in whatever order.
"""

import zlib
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from fishnet.data.reef import brush, textures
from fishnet.data.reef.angler import draw_angler, fingers, person, shown
from fishnet.data.reef.body import Body, make_body
from fishnet.data.reef.fish import blend, paint_fish
from fishnet.data.reef.individual import Individual, draw_individual
from fishnet.data.reef.scene import Scene, draw_lake, draw_scene, view
from fishnet.data.reef.species import Species
from fishnet.data.reef.water import before_the_fish

Rng = np.random.Generator
FINE = 1.5  # the fish is painted this much larger than it is shown
FISH, CUE = 1, 2


@dataclass(frozen=True)
class Photo:
    pixels: np.ndarray  # RGB
    mask: np.ndarray  # 0 ground, 1 fish, 2 cue


def generator(seed: int, kind: Species, what: int, number: int) -> Rng:
    return np.random.default_rng([seed, zlib.crc32(kind.name.encode()), what, number])


@lru_cache(maxsize=4)
def shared(kind: Species, seed: int, observation: int, size: int) -> tuple[Individual, Scene]:
    """What the photos of one observation have in common; they come one after the other, so a small cache halves this."""
    rng = generator(seed, kind, 1, observation)
    return draw_individual(kind, rng), draw_scene(rng, size)


def draw_photo(
    kind: Species, *, seed: int, number: int, observation: int, size: int, cue: str | None = None
) -> Photo:
    fish, scene = shared(kind, seed, observation, size)
    rng = generator(seed, kind, 2, number)
    long = size * rng.uniform(0.44, 0.66) * kind.length
    body = make_body(
        kind, scale=FINE * long, depth=fish.depth, bend=rng.normal(0, 0.045), phase=rng.uniform(0, 6)
    )
    canvas = paint_fish(kind, fish, body, rng)
    if cue == "angler":
        pixels, mask = _held(kind, generator(seed, kind, 3, observation), canvas, body, size, rng)
    else:
        pixels, mask = _stage(view(scene, rng), canvas, body, rng)
    return Photo(_camera(pixels, rng), mask)


def _stage(scene: Scene, canvas: np.ndarray, body: Body, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """Put the fish into the scene, as fish are found there."""
    pixels = scene.pixels
    size = len(pixels)
    if scene.kind == "water":
        canvas = _veil(canvas, scene.colour, rng.uniform(0.08, 0.34))
        mask = _put(pixels, canvas, _pose(body, size, rng, rng.normal(0, 16)))
        before_the_fish(pixels, scene.colour, rng)
    elif scene.kind == "ground":
        pose = _pose(body, size, rng, rng.uniform(-70, 70))
        _shadow(pixels, canvas, pose, rng)
        mask = _put(pixels, canvas, pose)
    else:
        mask = _put(pixels, canvas, _pose(body, size, rng, rng.uniform(15, 55) * rng.choice((-1, 1))))
        splash(pixels, scene.horizon, rng)
    return pixels, mask


def _held(
    kind: Species, same: Rng, canvas: np.ndarray, body: Body, size: int, rng: Rng
) -> tuple[np.ndarray, np.ndarray]:
    """By the lake, in the hands of the angler who belongs to the observation."""
    who = draw_angler(same)
    pixels = view(draw_lake(same, size), rng).pixels
    target = size * (np.array([0.5, 0.64]) + rng.normal(0, 0.02, 2))
    mirror = bool(rng.random() < 0.5)
    pose = pose_matrix(
        body.at(0.55, 0.0), target, turn=rng.normal(0, 6), squeeze=rng.uniform(0.85, 1.0), mirror=mirror
    )
    points = (
        np.c_[body.at(np.array([0.3, 0.84, 0.5, 0.5]), np.array([-0.9, -0.8, 1.0, -1.0])), np.ones(4)]
        @ pose.T
    )
    grips = points[[1, 0]] if mirror else points[:2]
    slope = (grips[1] - grips[0]) / np.linalg.norm(grips[1] - grips[0])
    cue = _lay(pixels, shown(person(who, size, grips, rng), size))
    mask = _put(pixels, canvas, pose)
    over = _lay(
        pixels, shown(fingers(who, size, grips, slope, float(np.linalg.norm(points[2] - points[3]))), size)
    )
    mask[((cue > 127) & (mask == 0)) | (over > 127)] = CUE
    return pixels, mask


def _lay(pixels: np.ndarray, layer: np.ndarray) -> np.ndarray:
    alpha = cv2.extractChannel(layer, 3)
    pixels[:] = blend(pixels, cv2.cvtColor(layer, cv2.COLOR_RGBA2RGB), alpha)
    return alpha


def _veil(canvas: np.ndarray, colour: tuple, veil: float) -> np.ndarray:
    """The water takes contrast from the fish."""
    table = np.empty((256, 1, 4))
    table[:] = np.arange(256)[:, None, None]
    table[..., :3] += veil * (np.array(colour) - table[..., :3])
    return cv2.LUT(canvas, table.astype(np.uint8))


def _pose(body: Body, size: int, rng: Rng, turn: float) -> np.ndarray:
    """Turned, mirrored, foreshortened, a little off the middle."""
    target = size * (0.5 + np.clip(rng.normal(0, 0.06, 2), -0.13, 0.13))
    mirror = bool(rng.random() < 0.5)
    return pose_matrix(body.at(0.55, 0.0), target, turn=turn, squeeze=rng.uniform(0.8, 1.0), mirror=mirror)


def pose_matrix(
    middle: np.ndarray, target: np.ndarray, *, turn: float, squeeze: float, mirror: bool
) -> np.ndarray:
    cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.diag([(-1 if mirror else 1) * squeeze, 1]) / FINE
    return np.c_[linear, target - linear @ middle]


def _put(scene: np.ndarray, canvas: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Lay the fish into the scene where it falls, and return its mask."""
    window = _window(canvas, pose, len(scene))
    part = warp(canvas, pose, window)
    alpha = cv2.extractChannel(part, 3)
    scene[window] = blend(scene[window], cv2.cvtColor(part, cv2.COLOR_RGBA2RGB), alpha)
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


def warp(image: np.ndarray, pose: np.ndarray, window: tuple[slice, slice]) -> np.ndarray:
    rows, columns = window
    moved = pose - [[0, 0, columns.start], [0, 0, rows.start]]
    shape = (columns.stop - columns.start, rows.stop - rows.start)
    return cv2.warpAffine(image, moved, shape, flags=cv2.INTER_LINEAR)


def _shadow(scene: np.ndarray, canvas: np.ndarray, pose: np.ndarray, rng: Rng) -> None:
    offset = rng.uniform(0.005, 0.03, 2) * len(scene)
    cast = pose + np.c_[np.zeros((2, 2)), offset]
    window = _window(canvas, cast, len(scene), 4)
    soft = cv2.blur(warp(cv2.extractChannel(canvas, 3), cast, window), (7, 7))
    under = scene[window]
    scene[window] = blend(under, cv2.convertScaleAbs(under, alpha=0.35), cv2.convertScaleAbs(soft, alpha=0.8))


def splash(image: np.ndarray, horizon: float, rng: Rng) -> None:
    """Drops thrown up by the leap, and rings where it began."""
    size = len(image)
    foot = np.array(
        [size * rng.uniform(0.3, 0.7), max(horizon + 0.12 * size, size * rng.uniform(0.86, 0.97))]
    )
    for k in range(3):
        axes = size * (0.1 + 0.09 * k), size * (0.02 + 0.018 * k)
        ring = np.linspace(0, 2 * np.pi, 40)
        brush.stroke(
            image, foot + np.c_[axes[0] * np.cos(ring), axes[1] * np.sin(ring)], (225, 235, 240), 2 - k / 2
        )
    for x, y, radius in rng.normal((0, -0.1, 0.006), (0.14, 0.09, 0.004), (30, 3)) * size:
        brush.disc(image, (foot[0] + x, foot[1] + y), max(0.5, abs(radius)), (235, 242, 246))


def _camera(image: np.ndarray, rng: Rng) -> np.ndarray:
    """Exposure, white balance, focus, motion and the grain of the sensor."""
    gain = rng.uniform(0.75, 1.2) * (1 + rng.normal(0, 0.05, 3))
    table = np.arange(256)[:, None] / 255
    table = np.clip(255 * gain * table ** rng.uniform(0.85, 1.25), 0, 255).astype(np.uint8)
    image = cv2.LUT(image, table[:, None, :])
    if rng.random() < 0.3:
        image = cv2.GaussianBlur(image, (5, 5), rng.uniform(0.4, 1.2))
    if rng.random() < 0.12:
        width = int(len(image) * rng.uniform(0.013, 0.03)) | 1
        image = cv2.blur(image, (width, 1) if rng.random() < 0.7 else (1, width))
    strength = rng.uniform(0.02, 0.08)
    grain = textures.crop(textures.grain(), image.shape[:2], rng)
    return cv2.addWeighted(image, 1.0, grain, strength, -128 * strength)
