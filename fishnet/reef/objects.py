"""Objects that a person puts into a photo of an animal, each drawn as a layer.

A function takes the animal (how opaque it is in each pixel, 0 to 255) and the generator of all that varies within the
kind: size, place, colour, tilt. Sizes are shares of the photo's shorter side, or of the animal for what lies on it.
"""

import cv2
import numpy as np

from fishnet.reef import brush
from fishnet.reef.angler import draw_angler, standing
from fishnet.reef.brush import rgb, shade
from fishnet.reef.layers import FINE, Layer, empty, free_corner, letter, spot_on, turned, upright

Rng = np.random.Generator
INK = (25, 25, 30, 255)
NOTHING = Layer(np.zeros((8, 8, 4), np.uint8), np.eye(2, 3))  # where there is no animal


def draw_hand(animal: np.ndarray, rng: Rng) -> Layer:
    """A hand that holds the animal from behind: of its fingers and its back, as much as lies on the animal."""
    spot = spot_on(animal, rng)
    if spot is None:
        return NOTHING
    who = draw_angler(rng)
    breadth = 0.27 * spot.length * rng.uniform(0.9, 1.1)
    long = min(0.95 * spot.thickness, 1.05 * breadth)  # the fingers
    patch = empty(2.2 * spot.thickness, 1.5 * breadth, shade(who.skin, 0.6))
    width, knuckles = breadth * FINE / 4, np.array(patch.shape[1::-1]) / 2 + np.array([0, 0.5 * FINE * long])
    palm = knuckles + np.array([(-2.1, 0), (2.1, 0), (1.7, 3.6), (-1.7, 3.6)]) * width
    brush.fill(patch, palm, shade(who.skin, 0.88))
    cuff = knuckles + np.array([(-2.2, 3.6), (2.2, 3.6), (2.4, 9), (-2.4, 9)]) * width
    brush.fill(patch, cuff, shade(who.jacket, 0.9))
    for k in range(4):
        root = knuckles + np.array([(k - 1.5) * width, 0.4 * width])
        reach = FINE * long * (1 - 0.08 * abs(k - 1.4) ** 1.5)
        tip = root + np.array([rng.normal(0.15 * (k - 1.5), 0.06) * width, -reach])
        _finger(patch, root, tip, width, who.skin)
    return Layer(patch, turned(patch, spot.middle, spot.turn + rng.uniform(-12, 12)))


def _finger(patch: np.ndarray, root: np.ndarray, tip: np.ndarray, width: float, skin: tuple) -> None:
    path = np.stack([root, (root + tip) / 2 + np.array([0.08 * width, 0]), tip])
    for share, light in ((1.1, 0.5), (0.86, 0.97)):
        brush.fill(patch, brush.limb(path, (width * share, width * share, 0.8 * width * share)), shade(skin, light))
        brush.disc(patch, tip, 0.42 * width * share, shade(skin, light))
    for bend in (0.35, 0.65):
        crease = root + (tip - root) * bend + np.outer((-0.28, 0.28), (width, 0))
        brush.stroke(patch, crease, shade(skin, 0.66), 0.07 * width)
    brush.ellipse(patch, (tip[0], tip[1] + 0.1 * width), (0.24 * width, 0.3 * width), shade(skin, 1.22))


def draw_tag(animal: np.ndarray, rng: Rng) -> Layer:
    """A small numbered tag on the flank."""
    spot = spot_on(animal, rng)
    if spot is None:
        return NOTHING
    length = min(0.22 * spot.length, 1.1 * spot.thickness) * rng.uniform(0.85, 1.1)
    height = 0.45 * length
    plastic = rgb(rng.uniform(0.1, 0.15), rng.uniform(0.85, 1.0), rng.uniform(0.92, 1.0))
    patch, unit = empty(height, length, plastic), length * FINE
    for inset, colour in ((0.0, shade(plastic, 0.25)), (0.05, (*plastic, 255))):
        low, high = (round(inset * unit),) * 2, (round((1 - inset) * unit), round((0.45 - inset) * unit))
        cv2.rectangle(patch, low, high, colour, cv2.FILLED)
    brush.disc(patch, (0.14 * unit, 0.225 * unit), 0.05 * unit, (30, 30, 30, 255))
    letter(patch, f"{rng.integers(10, 100)}", (0.28 * unit, 0.36 * unit), 0.27 * unit, INK)
    return Layer(patch, turned(patch, spot.middle, spot.turn + rng.uniform(-20, 20)))


def draw_ruler(animal: np.ndarray, rng: Rng) -> Layer:
    """A measuring board along the upper or lower edge, wherever the animal hides less of it."""
    (rows, columns), side = animal.shape, min(animal.shape)
    height, width = side * rng.uniform(0.13, 0.17), 1.1 * columns
    board = rgb(rng.uniform(0.12, 0.15), rng.uniform(0.55, 0.8), rng.uniform(0.85, 0.98))
    patch, unit = empty(height, width, board), height * FINE
    cv2.rectangle(patch, (0, 0), patch.shape[1::-1], shade(board, 0.4), cv2.FILLED)
    cv2.rectangle(patch, (0, round(0.06 * unit)), (patch.shape[1], round(0.92 * unit)), (*board, 255), cv2.FILLED)
    step, first = 0.3 * unit * rng.uniform(0.9, 1.1), int(rng.integers(1, 20))
    for k in range(int(patch.shape[1] / step) + 1):
        long = 0.5 if k % 5 == 0 else 0.28
        brush.stroke(patch, np.array([(k * step, 0.06 * unit), (k * step, (0.06 + long) * unit)]), INK, 0.07 * unit)
        if k % 5 == 0:
            letter(patch, str(first + k // 5), (k * step + 0.1 * unit, 0.84 * unit), 0.36 * unit, INK)
    edge = round(height)
    below = np.count_nonzero(animal[-edge:] > 127) <= np.count_nonzero(animal[:edge] > 127)
    margin = side * rng.uniform(0.0, 0.03)
    middle = np.array([columns / 2, rows - height / 2 - margin if below else height / 2 + margin])
    return Layer(patch, turned(patch, middle, rng.uniform(-1.5, 1.5)))


def draw_person(animal: np.ndarray, rng: Rng) -> Layer:
    """An angler who stands at a side, behind the animal, wherever more of the person is seen."""
    (rows, columns), side = animal.shape, min(animal.shape)
    unit, fine = side * rng.uniform(1.0, 1.25), 1.25
    patch = standing(draw_angler(rng), round(unit * fine), rng)
    third = columns // 3
    right = np.count_nonzero(animal[:, -third:] > 127) <= np.count_nonzero(animal[:, :third] > 127)
    middle = columns * rng.uniform(0.12, 0.19)
    top = rows * rng.uniform(0.0, 0.06) - 0.06 * unit
    return Layer(patch, upright(((columns - middle if right else middle) - unit / 2, top), fine))


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
        letter(patch, "REEFPIX", ((1.05 + shift) * unit, (0.78 + shift) * unit), 0.58 * unit, colour)
    brush.ellipse(patch, (0.46 * unit, 0.5 * unit), (0.22 * unit, 0.13 * unit), (40, 60, 90, 255))
    brush.fill(patch, np.array([(0.62, 0.5), (0.8, 0.36), (0.8, 0.64)]) * unit, (40, 60, 90, 255))
    room = np.array([animal.shape[1] - width, animal.shape[0] - height])
    margin = side * rng.uniform(0.015, 0.05, 2)
    corner = np.where(rng.random(2) < 0.5, margin, room - margin)
    return Layer(patch, upright(corner), opacity=rng.uniform(0.5, 0.75))
