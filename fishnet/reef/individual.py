"""One fish as itself: its colours, its build and its own marks.

Colours come from one palette for all species. Marks are darker or paler than the flank by the toss of a
coin, so the share of dark pixels does not give the species away either.
"""

import colorsys
from dataclasses import dataclass

import numpy as np

from fishnet.reef.markings import PAINTERS
from fishnet.reef.species import Species

Colour = tuple[float, float, float]
HUES = (0.0, 0.04, 0.09, 0.12, 0.15, 0.2, 0.3, 0.45, 0.52, 0.57, 0.62, 0.75, 0.9)


@dataclass(frozen=True)
class Individual:
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


def rgb(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0), 1), min(max(value, 0), 1))
    return 255 * red, 255 * green, 255 * blue


def draw_individual(kind: Species, rng: np.random.Generator) -> Individual:
    hue = HUES[rng.integers(len(HUES))] + rng.normal(0, 0.02)
    saturation = rng.beta(2, 3.0)
    pale_marks = bool(rng.random() < 0.25)
    value = rng.uniform(0.34, 0.5) if pale_marks else rng.uniform(0.6, 0.86)
    second = hue + rng.normal(0, 0.05) + (0.4 * rng.random() if rng.random() < 0.25 else 0)
    if pale_marks:
        mark = rgb(second, saturation * rng.uniform(0.2, 0.6), rng.uniform(0.78, 0.95))
    else:
        mark = rgb(second, saturation * rng.uniform(0.5, 1.1), rng.uniform(0.1, 0.3))
    return Individual(
        back=rgb(hue + rng.normal(0, 0.02), saturation * 1.05, value * rng.uniform(0.5, 0.68)),
        flank=rgb(hue, saturation * 0.85, value),
        belly=rgb(second, saturation * rng.uniform(0.15, 0.6), min(value * rng.uniform(1.15, 1.4), 0.97)),
        fins=rgb(
            second + rng.normal(0, 0.03),
            min(saturation * rng.uniform(0.7, 1.5), 0.9),
            value * rng.uniform(0.6, 1.05),
        ),
        mark=mark,
        iris=rgb(rng.uniform(0.03, 0.16), rng.uniform(0.2, 0.9), rng.uniform(0.7, 0.98)),
        mark_strength=rng.uniform(0.75, 0.98),
        depth=min(max(rng.normal(1, 0.06), 0.86), 1.16),
        scales=rng.uniform(0.25, 0.9),
        marks=PAINTERS[kind.marks](kind.mark_count, rng),
    )
