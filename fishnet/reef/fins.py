"""Fins: a root line on the body, an outer edge, and rays between the two.

Canvases are RGBA, clear where no fish is.
"""

import numpy as np

from fishnet.reef import brush
from fishnet.reef.body import Body
from fishnet.reef.species import Fin, Species, Tail

U = np.linspace(0, 1, 22)
EDGES = {
    "sail": np.minimum(1, U * 6) ** 0.8 * (1 - 0.72 * U) * np.minimum(1, (1 - U) * 9),
    "round": np.sin(np.pi * U) ** 0.55,
    "spiny": np.sin(np.pi * U**0.8) ** 0.6 * (1 - 0.16 * np.abs(np.sin(U * np.pi * 9))),
    "veil": np.minimum(1, U * 5) * (0.25 + 0.75 * U**1.5) * np.minimum(1, (1 - U) * 12) ** 0.7,
}


V = np.linspace(1, -1, 25)
FORK, ROUND, BOW = 1 - np.abs(V) ** 1.2, np.abs(V) ** 2.2, np.sign(V) * np.abs(V) ** 0.85
OPENING = np.radians(np.linspace(-17, 21, 11))
REACH = 0.62 + 0.38 * np.sin(np.linspace(0.5, 2.9, 11))
ACROSS = np.linspace(-0.12, 0.12, 11)


def shade(colour: tuple[float, ...], factor: float, opacity: int = 255) -> tuple[float, float, float, int]:
    red, green, blue = colour[:3]
    return min(255.0, red * factor), min(255.0, green * factor), min(255.0, blue * factor), opacity


def fan(canvas: np.ndarray, roots: np.ndarray, tips: np.ndarray, colour: tuple, *, opacity: int = 235) -> None:
    """Membrane, brighter root, dark rays and a dark rim."""
    brush.fill(canvas, np.concatenate([roots, tips[::-1]]), shade(colour, 0.92, opacity))
    middle = roots + 0.45 * (tips - roots)
    brush.fill(canvas, np.concatenate([roots, middle[::-1]]), shade(colour, 1.1, opacity))
    brush.stroke(canvas, np.stack([roots[::2], tips[::2]], axis=1), shade(colour, 0.68, opacity))
    brush.stroke(canvas, tips, shade(colour, 0.55))


def edge_fin(canvas: np.ndarray, body: Body, fin: Fin, side: int, colour: tuple, spread: float) -> None:
    """A fin on the back (`side` 1) or the belly (-1)."""
    roots = body.at(fin.start + (fin.end - fin.start) * U, 0.9 * side)
    height = fin.height * EDGES[fin.shape] * spread * body.scale
    fan(canvas, roots, roots + height[:, None] * (fin.lean, -side), colour)


def tail_fin(canvas: np.ndarray, body: Body, tail: Tail, colour: tuple, spread: float) -> None:
    length = tail.length * body.scale
    reach = length * (1 - max(tail.notch, 0) * FORK + min(tail.notch, 0) * ROUND)
    root, direction = _end_of(body)
    across = np.array([-direction[1], direction[0]])
    half = np.linalg.norm(body.at(0.99, 1.0) - body.at(0.99, -1.0)) / 2
    roots = root - 0.02 * body.scale * direction - (V * half * 0.9)[:, None] * across
    width = tail.spread * spread * body.scale
    tips = root + reach[:, None] * direction - (BOW * width)[:, None] * across
    fan(canvas, roots, tips, colour, opacity=240)


def _end_of(body: Body) -> tuple[np.ndarray, np.ndarray]:
    before, end = body.at(0.93, 0.0), body.at(1.0, 0.0)
    along = (end - before) / np.linalg.norm(end - before)
    return end, along


def paired_fin(canvas: np.ndarray, root: np.ndarray, length: float, angle: float, colour: tuple, opacity: int) -> None:
    """A pectoral or pelvic fin: a fan from a short root, `angle` in degrees below the line to the tail."""
    down = np.radians(angle)
    roots = root + (ACROSS * length)[:, None] * (-np.sin(down), np.cos(down))
    tips = root + np.stack([np.cos(OPENING + down), np.sin(OPENING + down)], axis=1) * (REACH * length)[:, None]
    fan(canvas, roots, tips, colour, opacity=opacity)


def fins_behind(canvas: np.ndarray, body: Body, kind: Species, colour: tuple, rng: np.random.Generator) -> None:
    """All fins that grow out from behind the body."""
    for fin in kind.dorsal:
        edge_fin(canvas, body, fin, 1, colour, rng.uniform(0.78, 1.08))
    for fin in kind.anal:
        edge_fin(canvas, body, fin, -1, colour, rng.uniform(0.78, 1.08))
    tail_fin(canvas, body, kind.tail, colour, rng.uniform(0.8, 1.1))
    if kind.pelvic:
        at = 0.37 if kind.dorsal[0].start < 0.5 else 0.55
        root = body.at(at, -0.85)
        paired_fin(canvas, root, kind.pelvic * body.scale, rng.uniform(25, 60), colour, 235)


def barbels(canvas: np.ndarray, body: Body, colour: tuple, rng: np.random.Generator) -> None:
    root = body.at(0.03, -0.3)
    for k, length in enumerate((0.26, 0.2, 0.13)):
        sway = rng.uniform(-0.05, 0.05, 2)
        path = np.array([[0, 0], [-0.03 + 0.02 * k, 0.35 * length + sway[0]], [0.1 * k * length, length + sway[1]]])
        line = brush.limb(root + path * body.scale, (0.02 * body.scale, 0.006 * body.scale), 14)
        brush.fill(canvas, line, shade(colour, 0.7))
