"""What makes a fish an individual: its marks, colours and build.

A painter draws the marks of a species, its stripes or spots, from their count and the generator of the individual: no
two fish of a kind wear exactly the same marks, and the photos of one fish do. Marks are outlines in body coordinates,
an array (marks, points, 2) of `s` and `t`, so they follow the fish when it bends.

Colours come from one palette for all species. Whether marks are darker or paler than the flank is drawn by lot, so the
share of dark pixels does not give the species away either.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fishnet.reef.brush import CIRCLE, rgb
from fishnet.reef.species import Species

Rng = np.random.Generator
Colour = tuple[float, float, float]
HUES = (0.0, 0.04, 0.09, 0.12, 0.15, 0.2, 0.3, 0.45, 0.52, 0.57, 0.62, 0.75, 0.9)
OVAL = CIRCLE[::2]
POINTS = 12


def bars(count: int, rng: Rng) -> np.ndarray:
    """Upright bars over the flank, narrower towards the belly."""
    first, last = 0.3, 0.93
    pitch = (last - first) / (count - 1)
    t = np.linspace(rng.uniform(-0.95, -0.55), 1.05, POINTS)
    middle = first + pitch * (np.arange(count) + rng.normal(0, 0.07, count))
    middle = middle[:, None] + 0.02 * t**2 * rng.uniform(-1, 1, (count, 1))
    half = pitch * rng.uniform(0.21, 0.28) * np.linspace(0.55, 1, POINTS) * rng.uniform(0.85, 1.15, (count, 1))
    return _upright(middle, half, t)


def lines(count: int, rng: Rng) -> np.ndarray:
    """Lines from the gill to the tail, one above the other."""
    s = np.linspace(0.27, 1.0, POINTS)
    pitch = 1.5 / count
    level = 0.78 - (np.arange(count) + 0.5) * pitch + rng.normal(0, 0.03, count)
    middle = level[:, None] + 0.06 * np.sin(6 * s + rng.uniform(0, 6, (count, 1)))
    half = pitch * rng.uniform(0.2, 0.28)
    return _upright(middle, half, s)[..., ::-1]


def spots(count: int, rng: Rng) -> np.ndarray:
    """Round spots strewn over back and flank: a staggered grid, shaken, a sixth of it missing."""
    each = count // 4
    column, row = np.meshgrid(np.arange(each), np.arange(4))
    s = 0.24 + 0.7 * (column + 0.5 * (row % 2)) / each + rng.uniform(-0.022, 0.022, row.shape)
    t = 0.82 - 0.33 * row + rng.uniform(-0.1, 0.1, row.shape)
    kept = rng.permutation(row.size)[: row.size * 5 // 6]
    centres = np.stack([s.ravel(), t.ravel()], axis=1)[kept]
    return _ovals(centres, rng.uniform((0.011, 0.09), (0.019, 0.16), centres.shape))


def dashes(count: int, rng: Rng) -> np.ndarray:
    """Long dashes in three staggered rows, as pikes wear them."""
    each = count // 3
    column, row = np.meshgrid(np.arange(each), np.arange(3))
    s = 0.29 + 0.66 * (column + 0.5 * (row % 2)) / each + rng.normal(0, 0.006, row.shape)
    t = 0.55 - 0.5 * row + rng.normal(0, 0.06, row.shape)
    centres = np.stack([s.ravel(), t.ravel()], axis=1)
    return _ovals(centres, rng.uniform((0.022, 0.14), (0.032, 0.2), centres.shape))


def moons(count: int, rng: Rng) -> np.ndarray:
    """Large discs from the shoulder to the root of the tail, each smaller than the one before."""
    k = np.arange(count)
    centres = np.stack([np.linspace(0.4, 0.88, count) + rng.normal(0, 0.015, count), 0.3 - 0.25 * k], axis=1)
    size = rng.uniform(0.075, 0.1, count) * (1 - 0.35 * k)
    return _ovals(centres, np.stack([size, size * (3.4 + 4.6 * k)], axis=1))


def chevrons(count: int, rng: Rng) -> np.ndarray:
    """Arrowheads along the body, pointing at the tail."""
    t = np.linspace(-1, 1, POINTS)
    s = np.linspace(0.17, 0.93, count) + rng.normal(0, 0.005, count)
    return _upright(s[:, None] + 0.03 * (1 - np.abs(t)), np.full(POINTS, rng.uniform(0.0085, 0.0115)), t)


def saddles(count: int, rng: Rng) -> np.ndarray:
    """Saddles over the back that end at half height."""
    rise = np.linspace(0, 1, POINTS)
    low = rng.uniform(-0.25, 0.1, (count, 1))
    s = np.linspace(0.32, 0.9, count) + rng.normal(0, 0.012, count)
    half = rng.uniform(0.05, 0.07, (count, 1)) * np.sqrt(rise)
    return _upright(s[:, None] + 0 * rise, half, low + (1.05 - low) * rise)


def _upright(middle: np.ndarray, half: np.ndarray | float, t: np.ndarray) -> np.ndarray:
    """Outlines of bars: `half` their width to either side of `middle`, both along `t`."""
    t = np.broadcast_to(t, middle.shape)
    there, back = np.stack([middle - half, t], axis=-1), np.stack([middle + half, t], axis=-1)
    return np.concatenate([there, back[:, ::-1]], axis=1)


def _ovals(centres: np.ndarray, halves: np.ndarray) -> np.ndarray:
    return centres[:, None] + halves[:, None] * OVAL


PAINTERS: dict[str, Callable[[int, Rng], np.ndarray]] = {
    painter.__name__: painter for painter in (bars, lines, spots, dashes, moons, chevrons, saddles)
}


@dataclass(frozen=True)
class Individual:
    """One fish: colours in RGB, strength of its marks and scales (0 to 1), depth beside its kin, outlines of marks."""

    back: Colour
    flank: Colour
    belly: Colour
    fins: Colour
    mark: Colour
    iris: Colour
    mark_strength: float
    depth: float
    scales: float
    marks: np.ndarray  # outlines (marks, points, 2) in body coordinates


def draw_individual(kind: Species, rng: Rng) -> Individual:
    hue = HUES[rng.integers(len(HUES))] + rng.normal(0, 0.02)
    saturation = rng.beta(2, 3.0)
    pale_marks = bool(rng.random() < 0.25)
    value = rng.uniform(0.34, 0.5) if pale_marks else rng.uniform(0.6, 0.86)
    second = hue + rng.normal(0, 0.05) + (0.4 * rng.random() if rng.random() < 0.25 else 0)
    dull, light = ((0.2, 0.6), (0.78, 0.95)) if pale_marks else ((0.5, 1.1), (0.1, 0.3))
    mark = rgb(second, saturation * rng.uniform(*dull), rng.uniform(*light))
    return Individual(
        back=rgb(hue + rng.normal(0, 0.02), saturation * 1.05, value * rng.uniform(0.5, 0.68)),
        flank=rgb(hue, saturation * 0.85, value),
        belly=rgb(second, saturation * rng.uniform(0.15, 0.6), min(value * rng.uniform(1.15, 1.4), 0.97)),
        fins=rgb(
            second + rng.normal(0, 0.03), min(saturation * rng.uniform(0.7, 1.5), 0.9), value * rng.uniform(0.6, 1.05)
        ),
        mark=mark,
        iris=rgb(rng.uniform(0.03, 0.16), rng.uniform(0.2, 0.9), rng.uniform(0.7, 0.98)),
        mark_strength=rng.uniform(0.75, 0.98),
        depth=min(max(rng.normal(1, 0.06), 0.86), 1.16),
        scales=rng.uniform(0.25, 0.9),
        marks=PAINTERS[kind.marks](kind.mark_count, rng),
    )
