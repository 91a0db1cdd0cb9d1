"""One photo: a fish in some pose, the place it was seen, the light and the camera.

It is a pure function of (seed, species, number) and of the observation that the number belongs to.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fishnet.reef.body import Body, make_body
from fishnet.reef.camera import through_camera
from fishnet.reef.fish import paint_fish
from fishnet.reef.held import held
from fishnet.reef.individual import Individual, draw_individual
from fishnet.reef.pose import FINE, free_pose, put, shadow
from fishnet.reef.scene import Scene, draw_scene, view
from fishnet.reef.scenery import splash
from fishnet.reef.seeds import ANGLER, FISH_AND_SCENE, PHOTO, generator
from fishnet.reef.species import Species
from fishnet.reef.water import before_the_fish

Rng = np.random.Generator


@dataclass(frozen=True)
class Photo:
    pixels: np.ndarray  # RGB
    mask: np.ndarray  # 0 ground, 1 fish, 2 cue


@lru_cache(maxsize=4)
def shared(kind: Species, seed: int, observation: int, size: int) -> tuple[Individual, Scene]:
    """What the photos of one observation have in common; drawn in a row, they hit this cache."""
    rng = generator(seed, kind, FISH_AND_SCENE, observation)
    return draw_individual(kind, rng), draw_scene(rng, size)


def draw_photo(kind: Species, *, seed: int, number: int, observation: int, size: int, cue: str | None = None) -> Photo:
    fish, scene = shared(kind, seed, observation, size)
    rng = generator(seed, kind, PHOTO, number)
    scale = FINE * size * rng.uniform(0.6, 0.75) * kind.length
    body = make_body(kind, scale=scale, depth=fish.depth, bend=rng.normal(0, 0.045), phase=rng.uniform(0, 6))
    canvas = paint_fish(kind, fish, body, rng)
    if cue == "angler":
        pixels, mask = held(canvas, body, size, same=generator(seed, kind, ANGLER, observation), rng=rng)
    else:
        pixels, mask = _free(view(scene, rng), canvas, body, rng)
    return Photo(through_camera(pixels, rng), mask)


def _free(scene: Scene, canvas: np.ndarray, body: Body, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """The fish by itself: swimming, on the ground, or leaping from the lake."""
    pixels = scene.pixels
    size = len(pixels)
    if scene.kind == "water":
        pose = free_pose(body, size, rng, turn=rng.normal(0, 8))
        mask = put(pixels, canvas, pose, veil=rng.uniform(0.04, 0.22), colour=scene.colour)
        before_the_fish(pixels, scene.colour, rng)
    elif scene.kind == "ground":
        pose = free_pose(body, size, rng, turn=rng.uniform(-35, 35))
        shadow(pixels, canvas, pose, rng)
        mask = put(pixels, canvas, pose)
    else:
        turn = rng.uniform(8, 32) * (1 if rng.random() < 0.5 else -1)
        mask = put(pixels, canvas, free_pose(body, size, rng, turn=turn))
        splash(pixels, scene.horizon, rng)
    return pixels, mask
