"""One photo: a fish in some pose, the place where it was seen, perhaps a planted cue, the light and the camera.

It is a pure function of (seed, species, number) and of the observation that the number belongs to.
"""

from bisect import bisect
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from fishnet.reef import textures
from fishnet.reef.brush import blend
from fishnet.reef.cues import CUES, Cue, overlay
from fishnet.reef.fish import Body, make_body, paint_fish
from fishnet.reef.markings import Individual, draw_individual
from fishnet.reef.observations import ANGLER, FISH_AND_SCENE, PHOTO, generator
from fishnet.reef.scenery import Scene, bubbles, ground, lake, splash, under_water, view
from fishnet.reef.species import Species

Rng = np.random.Generator
FINE = 1.25  # the fish is painted this much larger than it is shown
FISH, CUE = 1, 2  # in masks
UP_TO = (0.72, 0.86, 1.0)  # cumulated shares of scenes under water, on the ground and above the lake
GRIPS = np.array([0.3, 0.84]), np.array([-0.9, -0.8])  # near the gill and at the root of the tail


@dataclass(frozen=True)
class Photo:
    """A photo and its ground truth."""

    pixels: np.ndarray  # RGB
    mask: np.ndarray  # 0 ground, 1 fish, 2 cue


@lru_cache(maxsize=4)
def shared(kind: Species, seed: int, observation: int, size: int) -> tuple[Individual, Scene]:
    """What the photos of an observation have in common; drawn in a row, they hit this cache."""
    rng = generator(seed, kind, FISH_AND_SCENE, observation)
    fish = draw_individual(kind, rng)
    draw_scene = (under_water, ground, lake)[bisect(UP_TO, rng.random())]
    return fish, draw_scene(rng, size)


def draw_photo(kind: Species, *, seed: int, number: int, observation: int, size: int, cue: str | None = None) -> Photo:
    """Photo `number` of a species in the reef of this seed, `size` pixels wide and high; `cue` is a name of CUES."""
    fish, scene = shared(kind, seed, observation, size)
    rng = generator(seed, kind, PHOTO, number)
    scale = FINE * size * rng.uniform(0.6, 0.75) * kind.length
    body = make_body(kind, scale=scale, depth=fish.depth, bend=rng.normal(0, 0.045), phase=rng.uniform(0, 6))
    canvas = paint_fish(kind, fish, body, rng)
    if cue is None:
        pixels, mask = _free(view(scene, rng), canvas, body, rng)
    else:
        same = generator(seed, kind, ANGLER, observation)
        planted = CUES[cue](same)
        pixels, mask = _held(view(lake(same, size), rng).pixels, canvas, body, planted, rng)
    return Photo(through_camera(pixels, rng), mask)


def _free(scene: Scene, canvas: np.ndarray, body: Body, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """The fish by itself: swimming, on the ground, or leaping from the lake."""
    pixels, size = scene.pixels, len(scene.pixels)
    if scene.kind == "water":
        pose = free_pose(body, size, rng, turn=rng.normal(0, 8))
        mask = put(pixels, canvas, pose, veil=rng.uniform(0.04, 0.22), colour=scene.colour)
        bubbles(pixels, scene.colour, rng)
    elif scene.kind == "ground":
        pose = free_pose(body, size, rng, turn=rng.uniform(-35, 35))
        shadow(pixels, canvas, pose, rng)
        mask = put(pixels, canvas, pose)
    else:
        turn = rng.uniform(8, 32) * (1 if rng.random() < 0.5 else -1)
        mask = put(pixels, canvas, free_pose(body, size, rng, turn=turn))
        splash(pixels, scene.horizon, rng)
    return pixels, mask


def _held(pixels: np.ndarray, canvas: np.ndarray, body: Body, cue: Cue, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """The fish between the layers of a cue, turned but little, as it is held."""
    size = len(pixels)
    target = size * (np.array([0.5, 0.64]) + rng.normal(0, 0.02, 2))
    mirror, turn, squeeze = bool(rng.random() < 0.5), rng.normal(0, 6), rng.uniform(0.85, 1.0)
    pose = pose_matrix(body.at(0.55, 0.0), target, turn=turn, squeeze=squeeze, mirror=mirror)
    grips = (body.at(*GRIPS) @ pose[:, :2].T + pose[:, 2])[:: -1 if mirror else 1]
    back, belly = body.at(0.5, np.array([1.0, -1.0])) @ pose[:, :2].T + pose[:, 2]
    behind, before = cue.layers(size, grips, float(np.linalg.norm(back - belly)), rng)
    covered = overlay(pixels, behind)
    mask = put(pixels, canvas, pose)
    mask[(covered & (mask == 0)) | overlay(pixels, before)] = CUE
    return pixels, mask


def free_pose(body: Body, size: int, rng: Rng, turn: float) -> np.ndarray:
    """Turned, mirrored, foreshortened, a little off the middle."""
    target = size * (0.5 + np.clip(rng.normal(0, 0.04, 2), -0.09, 0.09))
    mirror = bool(rng.random() < 0.5)
    return pose_matrix(body.at(0.55, 0.0), target, turn=turn, squeeze=rng.uniform(0.88, 1.0), mirror=mirror)


def pose_matrix(middle: np.ndarray, target: np.ndarray, *, turn: float, squeeze: float, mirror: bool) -> np.ndarray:
    """The affine map (2, 3) from the patch to the photo: `middle` comes to `target`, the length is `squeeze` times."""
    cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.diag([(-1 if mirror else 1) * squeeze, 1]) / FINE
    return np.c_[linear, target - linear @ middle]


def put(scene: np.ndarray, canvas: np.ndarray, pose: np.ndarray, veil: float = 0, colour: tuple = ()) -> np.ndarray:
    """Lay the fish into the scene, behind a `veil` of water of this `colour`; returns its mask."""
    window, part = _posed(canvas, pose, len(scene))
    alpha = cv2.extractChannel(part, 3)
    fish = cv2.cvtColor(part, cv2.COLOR_RGBA2RGB)
    if veil:
        lent = np.array([*(veil * channel for channel in colour), 0.0])
        fish = cv2.add(cv2.convertScaleAbs(fish, alpha=1 - veil), lent)
    scene[window] = blend(scene[window], fish, alpha)
    mask = np.zeros(scene.shape[:2], np.uint8)
    mask[window] = (alpha > 127) * np.uint8(FISH)
    return mask


def _posed(patch: np.ndarray, pose: np.ndarray, size: int, margin: int = 0) -> tuple[tuple[slice, slice], np.ndarray]:
    """The rows and columns of the photo that the posed patch can touch, and what it has there."""
    rows, columns = patch.shape[:2]
    corners = np.array([[0, 0, 1], [columns, 0, 1], [0, rows, 1], [columns, rows, 1]]) @ pose.T
    low = np.clip(corners.min(0) - margin, 0, size - 8).astype(int)
    high = np.clip(np.ceil(corners.max(0)) + margin, low + 8, size).astype(int)
    moved = pose - np.c_[np.zeros((2, 2)), low]
    part = cv2.warpAffine(patch, moved, tuple((high - low).tolist()), flags=cv2.INTER_LINEAR)
    return (slice(low[1], high[1]), slice(low[0], high[0])), part


def shadow(scene: np.ndarray, canvas: np.ndarray, pose: np.ndarray, rng: Rng) -> None:
    """Darken the ground beside a fish that lies on it."""
    offset = rng.uniform(0.005, 0.03, 2) * len(scene)
    cast = pose + np.c_[np.zeros((2, 2)), offset]
    window, part = _posed(cv2.extractChannel(canvas, 3), cast, len(scene), 4)
    soft = cv2.blur(part, (7, 7))
    under = scene[window]
    scene[window] = blend(under, cv2.convertScaleAbs(under, alpha=0.35), cv2.convertScaleAbs(soft, alpha=0.8))


def through_camera(image: np.ndarray, rng: Rng) -> np.ndarray:
    """An imperfect camera: exposure, white balance, focus, motion and the grain of its sensor."""
    gain = rng.uniform(0.82, 1.15) * (1 + rng.normal(0, 0.04, 3))
    table = np.arange(256)[:, None] / 255
    table = np.clip(255 * gain * table ** rng.uniform(0.85, 1.25), 0, 255).astype(np.uint8)
    image = cv2.LUT(image, table[:, None, :])
    if rng.random() < 0.25:
        image = cv2.GaussianBlur(image, (5, 5), rng.uniform(0.4, 1.2))
    if rng.random() < 0.07:
        width = int(len(image) * rng.uniform(0.013, 0.03)) | 1
        image = cv2.blur(image, (width, 1) if rng.random() < 0.7 else (1, width))
    strength = rng.uniform(0.02, 0.08)
    grain = textures.crop(textures.grain(), image.shape[:2], rng)
    return cv2.addWeighted(image, 1.0, grain, strength, -128 * strength)
