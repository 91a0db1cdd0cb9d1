"""One photo: a fish in some pose, the place where it was seen, perhaps planted cues, the light and the camera.

It is a pure function of (seed, species, number) and of the observation that the number belongs to. A cue has random
numbers of its own: but for the angler, who holds the fish, a photo shows the same fish in the same pose with any cues.
"""

from bisect import bisect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from zlib import crc32

import cv2
import numpy as np

from fishnet.errors import BadInput
from fishnet.reef import textures
from fishnet.reef.angler import Angler, draw_angler
from fishnet.reef.brush import blend, overlay, posed
from fishnet.reef.cues import CUES, hiding
from fishnet.reef.layout import ARRANGEMENTS, Painted, pose_matrix
from fishnet.reef.markings import Individual, draw_individual
from fishnet.reef.observations import ANGLER, FISH_AND_SCENE, PHOTO, generator
from fishnet.reef.scenery import Scene, bubbles, ground, jetty, lake, splash, under_water, view
from fishnet.reef.species import Species

Rng = np.random.Generator
Arrange = Callable[[list[Painted], int, float, Rng], list[np.ndarray]]
FISH, CUE = 1, 2  # in masks
UP_TO = (0.72, 0.86, 1.0)  # cumulated shares of scenes under water, on the ground and above the lake
GRIPS = np.array([0.3, 0.84]), np.array([-0.9, -0.8])  # near the gill and at the root of the tail


@dataclass(frozen=True)
class Photo:
    """A photo and its ground truth."""

    pixels: np.ndarray  # RGB
    mask: np.ndarray  # 0 ground, 1 fish, 2 cue
    covered: dict[str, np.ndarray] = field(default_factory=dict)  # by cue; nothing by those that change the whole photo


@dataclass
class Drawing:
    """A photo before the camera, with the opacity (0 to 255) of its fish, and of all that is in front of the place."""

    pixels: np.ndarray
    fish: np.ndarray
    front: np.ndarray
    covered: dict[str, np.ndarray] = field(default_factory=dict)


@lru_cache(maxsize=4)
def shared(kind: Species, seed: int, observation: int, size: int) -> tuple[Individual, Scene]:
    """What the photos of an observation have in common; drawn in a row, they hit this cache."""
    rng = generator(seed, kind, FISH_AND_SCENE, observation)
    fish = draw_individual(kind, rng)
    draw_scene = (under_water, ground, lake)[bisect(UP_TO, rng.random())]
    return fish, draw_scene(rng, size)


def draw_photo(
    kind: Species, *, seed: int, number: int, observation: int, size: int, cues: Collection[str] = (),
    layout: str = "centred", without: Collection[str] = (),
) -> Photo:  # fmt: skip
    """Photo `number` of a species in the reef of this seed, `size` pixels wide and high.

    `without` names parts of the fish that are left out (PARTS of fish.py). In the layout `centred` nothing else changes
    by it, not a grain of noise; a free fish is placed by its outline, which its fins belong to.

    `cues` are names of CUES; they are drawn in its order, whatever theirs is. An angler holds the first of two fish.
    """
    if unknown := set(cues) - set(CUES):
        raise BadInput(f"There is no cue {sorted(unknown)[0]!r}; the cues are {', '.join(CUES)}.")
    individual, scene = shared(kind, seed, observation, size)
    rng = generator(seed, kind, PHOTO, number)
    paint, pose = ARRANGEMENTS[layout]
    school = paint(kind, individual, size, rng, without)
    if "angler" in cues:
        same = generator(seed, kind, ANGLER, observation)
        angler = draw_angler(same)
        drawing = hold(view(lake(same, size), rng).pixels, school[0], angler, rng, aside=layout == "free")
    else:
        drawing = lay(view(scene, rng), school, pose, rng)
    of_cues = {name: generator(seed, kind, crc32(name.encode()), number) for name in CUES if name in cues}
    if "background" in cues:
        move(drawing, view(home(seed, size), of_cues["background"]).pixels)
    add(drawing, of_cues, after_camera=False)
    drawing.pixels = through_camera(drawing.pixels, rng)
    add(drawing, of_cues, after_camera=True)
    mask = (drawing.fish > 127) * np.uint8(FISH)
    for covered in drawing.covered.values():
        mask[covered] = CUE
    return Photo(drawing.pixels, mask, drawing.covered)


@lru_cache(maxsize=2)
def home(seed: int, size: int) -> Scene:
    """The place of the cue `background`: one for the whole reef of this seed."""
    return jetty(np.random.default_rng([seed, crc32(b"background")]), size)


def lay(scene: Scene, school: list[Painted], arrange: Arrange, rng: Rng) -> Drawing:
    """The fish by themselves: swimming, on the ground, or leaping from the lake; the first is in front."""
    pixels, size = scene.pixels, len(scene.pixels)
    fish, veil = np.zeros((size, size), np.uint8), 0.0
    if scene.kind == "water":
        turn = rng.normal(0, 8)
    elif scene.kind == "ground":
        turn = rng.uniform(-35, 35)
    else:
        turn = rng.uniform(8, 32) * (1 if rng.random() < 0.5 else -1)
    poses = arrange(school, size, turn, rng)
    if scene.kind == "water":
        veil = rng.uniform(0.04, 0.22)
    for painted, pose in reversed(list(zip(school, poses, strict=True))):
        if scene.kind == "ground":
            shadow(pixels, painted.canvas, pose, rng)
        cv2.max(fish, put(pixels, painted.canvas, pose, veil=veil, colour=scene.colour), fish)
    if scene.kind == "water":
        bubbles(pixels, scene.colour, rng)
    elif scene.kind == "lake":
        splash(pixels, scene.horizon, rng)
    return Drawing(pixels, fish, fish)


def hold(pixels: np.ndarray, fish: Painted, angler: Angler, rng: Rng, *, aside: bool) -> Drawing:
    """The fish between the layers of the angler, turned but little, as it is held; off the middle, if `aside`."""
    size, body = len(pixels), fish.body
    target = size * (np.array([0.5, 0.64]) + rng.normal(0, 0.02, 2))
    if aside:
        target += size * rng.uniform((-0.14, -0.1), (0.14, 0.08))
    mirror, turn, squeeze = bool(rng.random() < 0.5), rng.normal(0, 6), rng.uniform(0.85, 1.0)
    pose = pose_matrix(body.at(0.55, 0.0), target, turn=turn, squeeze=squeeze, mirror=mirror)
    grips = (body.at(*GRIPS) @ pose[:, :2].T + pose[:, 2])[:: -1 if mirror else 1]
    back, belly = body.at(0.5, np.array([1.0, -1.0])) @ pose[:, :2].T + pose[:, 2]
    behind, before = angler.layers(size, grips, float(np.linalg.norm(back - belly)), rng)
    person = overlay(pixels, behind)
    opacity = put(pixels, fish.canvas, pose)
    fingers = overlay(pixels, before)
    covered = ((person > 127) & (opacity <= 127)) | (fingers > 127)
    front = cv2.max(person, cv2.max(opacity, fingers))
    return Drawing(pixels, cv2.min(opacity, cv2.bitwise_not(fingers)), front, {"angler": covered})


def move(drawing: Drawing, place: np.ndarray) -> None:
    """Take what is in front to another place."""
    drawing.pixels = blend(place, drawing.pixels, hiding(drawing.front))
    drawing.covered["background"] = drawing.front <= 127


def add(drawing: Drawing, of_cues: Mapping[str, Rng], *, after_camera: bool) -> None:
    """Draw those of the cues that are seen by the camera, or those that are made after it."""
    for name, rng in of_cues.items():
        cue = CUES[name]
        if cue.apply and cue.after_camera == after_camera:
            drawing.pixels, drawing.covered[name] = cue.apply(drawing.pixels, drawing.fish, rng)


def put(scene: np.ndarray, canvas: np.ndarray, pose: np.ndarray, veil: float = 0, colour: tuple = ()) -> np.ndarray:
    """Lay the fish into the scene, behind a `veil` of water of this `colour`; returns how opaque it is (0 to 255)."""
    window, part = posed(canvas, pose, scene.shape[:2])
    alpha = cv2.extractChannel(part, 3)
    fish = cv2.cvtColor(part, cv2.COLOR_RGBA2RGB)
    if veil:
        lent = np.array([*(veil * channel for channel in colour), 0.0])
        fish = cv2.add(cv2.convertScaleAbs(fish, alpha=1 - veil), lent)
    scene[window] = blend(scene[window], fish, alpha)
    opacity = np.zeros(scene.shape[:2], np.uint8)
    opacity[window] = alpha
    return opacity


def shadow(scene: np.ndarray, canvas: np.ndarray, pose: np.ndarray, rng: Rng) -> None:
    """Darken the ground beside a fish that lies on it."""
    offset = rng.uniform(0.005, 0.03, 2) * len(scene)
    cast = pose + np.c_[np.zeros((2, 2)), offset]
    window, part = posed(cv2.extractChannel(canvas, 3), cast, scene.shape[:2], 4)
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
