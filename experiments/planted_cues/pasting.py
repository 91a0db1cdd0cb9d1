"""Real animals on real water: cut-outs of photos with boxes, pasted on water that fish were photographed in.

One species becomes classes that differ in the animal's own pixels alone (`VARIANTS`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd

from fishnet.audit.boxes import read_boxes
from fishnet.data.duplicates import copies
from fishnet.data.scan import read_photo
from fishnet.images import load_pixels

LARGE = 256  # side of a composite, in pixels
SMALLEST = 48  # shorter side of a cut-out in its photo, in pixels
ROUND, SOFT = 2.5, 0.2  # exponent of the cut-out's outline (2 is an ellipse), and the share over which it fades out
SHOWN = 0.92, 0.86  # of a frame's length and height, so that its ragged edge is left out
BAND = 0.13  # of its height, above and below the fish
FRAMES = 2  # of a fish, whose frames are nearly the same
BLACK = 12  # brightest channel of what lies beyond a turned frame
RARELY = 0.25  # share of free photos with a second animal

SQUARES = 12  # along the longer side of a coarse animal


def in_squares(pixels: np.ndarray) -> np.ndarray:
    """An animal so coarse that it is made of squares."""
    height, width = pixels.shape[:2]
    few = tuple(max(1, round(side * SQUARES / max(height, width))) for side in (width, height))
    small = cv2.resize(pixels, few, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)


Variant = Callable[[np.ndarray], np.ndarray]
VARIANTS: dict[str, Variant] = {
    "green": lambda pixels: (pixels * np.array([0.55, 1.0, 0.5])).astype(np.uint8),
    "negative": lambda pixels: 255 - pixels,
    "plain": lambda pixels: pixels,
    "squares": in_squares,
}


class Animal(NamedTuple):
    """A box of a photo: its RGB pixels, and the number of the photo."""

    pixels: np.ndarray
    photo: int


class Water(NamedTuple):
    """(LARGE, LARGE, 3) RGB bytes without a fish, and of which fish's frame they are."""

    pixels: np.ndarray
    species: str
    fish: str


class Pasted(NamedTuple):
    """An animal in a photo: its number, the middle and the longer side in shares of the photo's side, and whether it is
    mirrored."""

    animal: int
    x: float
    y: float
    size: float
    mirrored: bool


class Composite(NamedTuple):
    """(LARGE, LARGE, 3) RGB bytes, where the animals are, and their boxes: (LARGE, LARGE) bool."""

    pixels: np.ndarray
    animals: np.ndarray
    boxes: np.ndarray


@dataclass(frozen=True)
class Scene:
    """What is in a composite: the class, the animals and the number of the water."""

    label: int
    pasted: tuple[Pasted, ...]
    water: int


def read_animals(photos: Path, boxes: Path) -> list[Animal]:
    """All boxes of a file but those of copies of a photo, and small ones."""
    found = read_boxes(boxes)
    names = sorted({box.photo for box in found})
    numbers = copies(pd.DataFrame([read_photo(str(photos / name)) for name in names]))
    first = {names[np.flatnonzero(numbers == number)[0]]: int(number) for number in np.unique(numbers)}
    animals = list[Animal]()
    for box in found:
        if box.photo in first:
            left, top, right, bottom = (round(value) for value in box[1:5])
            pixels = load_pixels(photos / box.photo)[0][max(top, 0) : bottom, max(left, 0) : right]
            animals += [Animal(pixels, first[box.photo])] if min(pixels.shape[:2]) >= SMALLEST else []
    return animals


def read_waters(root: Path) -> list[Water]:
    """The water of a few frames of each fish: SPECIES/FISH_frameNUMBER.png."""
    by_fish: dict[tuple[str, str], list[Path]] = {}
    for file in sorted(root.glob("*/*_frame*.png")):
        by_fish.setdefault((file.parent.name, file.name.partition("_frame")[0]), []).append(file)
    return [
        Water(without_fish(load_pixels(file)[0]), *key) for key, files in by_fish.items() for file in files[:FRAMES]
    ]


def without_fish(frame: np.ndarray) -> np.ndarray:
    """The water of a frame that was turned until its fish lay level: (LARGE, LARGE, 3) bytes.

    Light and colour are a surface of second order through the bands above and below the fish; what differs much from it
    (a fin, a stone, what is black) is left out. The grain of these bands is laid over all of it, by mirroring.
    """
    lit = cv2.morphologyEx((frame.max(axis=2) > BLACK).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((9, 9)))
    _, parts, facts, _ = cv2.connectedComponentsWithStats(lit)
    shown = cv2.findNonZero((parts == 1 + facts[1:, cv2.CC_STAT_AREA].argmax()).astype(np.uint8))
    middle, (width, height), turn = cv2.minAreaRect(shown)
    across, down = SHOWN if width >= height else SHOWN[::-1]
    corners = cv2.boxPoints((middle, (width * across, height * down), turn)).astype(np.float32)
    if width < height:
        corners = np.roll(corners, -1, axis=0)  # a long edge joins the second and the third corner
    level = cv2.getAffineTransform(corners[:3].copy(), np.array([[0, LARGE], [0, 0], [LARGE, 0]], np.float32))
    upright = cv2.warpAffine(frame, level, (LARGE, LARGE), borderMode=cv2.BORDER_REPLICATE).astype(float)
    band = round(BAND * LARGE)
    y, x = np.mgrid[:LARGE, :LARGE] / LARGE - 0.5
    surface = np.stack([np.ones_like(x), x, y, x * x, y * y], axis=-1)
    rows = np.r_[:band, LARGE - band : LARGE]
    terms, colours = surface[rows].reshape(-1, 5), upright[rows].reshape(-1, 3)
    near = np.ones(len(terms), bool)
    for _ in range(4):
        weights = np.linalg.lstsq(terms[near], colours[near], rcond=None)[0]
        rest = colours - terms @ weights
        far = np.abs(rest).max(axis=1)
        near = far <= 2.5 * np.median(far[near])
    most = 3 * np.median(np.abs(rest[near]), axis=0)  # about two standard deviations
    grain = np.clip(rest, -most, most).reshape(2 * band, LARGE, 3)
    grain = np.pad(grain, ((0, LARGE - 2 * band), (0, 0), (0, 0)), mode="symmetric")
    return np.clip(surface @ weights + grain, 0, 255).astype(np.uint8)


def placed(layout: str, own: np.ndarray, animal: int, rng: np.random.Generator) -> tuple[Pasted, ...]:
    """An animal in the middle, or anywhere, near or far and now and then before a second one of `own`."""
    if layout == "centred":
        x, y = rng.uniform(0.46, 0.54, 2)
        return (Pasted(animal, x, y, rng.uniform(0.45, 0.6), rng.random() < 0.5),)
    chosen = [int(rng.choice(own)), animal] if rng.random() < RARELY else [animal]
    largest = 0.55 if len(chosen) == 2 else 1.0
    return tuple(
        Pasted(number, rng.uniform(0.12, 0.88), rng.uniform(0.12, 0.88), rng.uniform(0.35, largest), rng.random() < 0.5)
        for number in chosen
    )  # fmt: skip


def composed(scene: Scene, animals: list[Animal], water: np.ndarray) -> Composite:
    """The animals of a scene on water."""
    pixels, boxes = water.astype(float), np.zeros((LARGE, LARGE), bool)
    opacity = np.zeros((LARGE, LARGE))
    for pasted in scene.pasted:
        own = [*VARIANTS.values()][scene.label](animals[pasted.animal].pixels)
        own = own[:, ::-1] if pasted.mirrored else own
        scale = pasted.size * LARGE / max(own.shape[:2])
        height, width = (max(8, round(side * scale)) for side in own.shape[:2])
        own = cv2.resize(np.ascontiguousarray(own), (width, height), interpolation=cv2.INTER_AREA)
        y, x = np.abs(np.linspace(-1, 1, height)[:, None]), np.abs(np.linspace(-1, 1, width))
        alpha = np.clip((1 - (x**ROUND + y**ROUND) ** (1 / ROUND)) / SOFT, 0, 1)
        top, left = round(pasted.y * LARGE - height / 2), round(pasted.x * LARGE - width / 2)
        there = slice(max(top, 0), min(top + height, LARGE)), slice(max(left, 0), min(left + width, LARGE))
        here = tuple(
            slice(part.start - begin, part.stop - begin) for part, begin in zip(there, (top, left), strict=True)
        )
        seen = alpha[here]
        pixels[there] += (own[here] - pixels[there]) * seen[..., None]
        opacity[there] = np.maximum(opacity[there], seen)
        boxes[there] = True
    return Composite(pixels.round().astype(np.uint8), opacity > 0.5, boxes)
