"""One fish: the geometry of its body, and the strokes that paint it on an RGBA patch of its own.

Every marking, fin and highlight is laid out in body coordinates (`s` along the body, `t` from belly -1 to back 1) and
mapped to pixels by Body, so all of them follow the fish when it bends or is deeper than its kin. The body's colours
are a table over belly-to-back height (dark back, pale belly, a shine on the upper flank), read per pixel; the marks
are a second table laid over it through a mask. Everything else is a few strokes. The patch is clear where no fish is.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from scipy.interpolate import PchipInterpolator

from fishnet.reef import brush
from fishnet.reef.brush import blend, shade
from fishnet.reef.markings import Individual
from fishnet.reef.species import BODY_KNOTS, Species, Tail

Rng = np.random.Generator
PARTS = ("barbels", "dorsal", "anal", "tail", "pelvic", "pectoral", "marks", "head")  # head: eye, mouth and gill cover
Number = float | np.ndarray
STATIONS = np.linspace(0, 1, 65)
FRONT, BEHIND, ROOM = 0.08, 0.3, 0.05  # room around body and fins, in body lengths
# fins: the outer edge of those on back and belly over `U`, of the tail over `V`, and the fan of the paired ones
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
# colours from belly to back
HEIGHTS = np.linspace(0, 1, 256)
STOPS = [0.0, 0.1, 0.36, 0.62, 0.88, 1.0]
TO_TABLE = np.stack([np.interp(HEIGHTS, STOPS, stop) for stop in np.eye(len(STOPS))], axis=1)
DARKER = np.array([[0.72], [1.0], [1.0], [1.0], [1.0], [0.75]])  # towards the edges, as a round body is
SHINE = 0.32 * np.exp(-(((HEIGHTS - 0.7) / 0.07) ** 2))[:, None]
# gill cover and mouth
GILL_T = np.linspace(0.72, -0.82, 14)
GILL_BOW = 0.035 * (1 - GILL_T**2) - 0.02
MOUTH = np.linspace(0.004, 0.075, 8), np.linspace(-0.3, -0.42, 8)


@lru_cache
def outline(kind: Species) -> tuple[np.ndarray, np.ndarray]:
    """Back and belly of a species at STATIONS, in body lengths; the square root keeps the snout round."""
    knots, along = np.sqrt(BODY_KNOTS), np.sqrt(STATIONS)
    return PchipInterpolator(knots, kind.back)(along), PchipInterpolator(knots, kind.belly)(along)


@dataclass(frozen=True)
class Body:
    """One fish in its patch, in pixels; `scale` is pixels per body length."""

    scale: float
    snout: float  # x of the snout
    top: np.ndarray  # y of the back at STATIONS
    bottom: np.ndarray  # y of the belly
    shape: tuple[int, int]

    def at(self, s: Number, t: Number) -> np.ndarray:
        """Pixels (n, 2) of body coordinates."""
        top, bottom = np.interp(s, STATIONS, self.top), np.interp(s, STATIONS, self.bottom)
        x, y = self.snout + s * self.scale, 0.5 * (top + bottom + t * (top - bottom))
        return np.stack(np.broadcast_arrays(x, y), axis=-1)

    def box(self) -> tuple[slice, slice]:
        """Rows and columns that hold the body without its fins."""
        (height, width), end = self.shape, self.snout + self.scale
        rows = slice(max(0, int(self.top.min()) - 2), min(height, int(self.bottom.max()) + 3))
        return rows, slice(max(0, int(self.snout) - 2), min(width, int(end) + 3))

    def height_map(self) -> np.ndarray:
        """`t` of every pixel of the box as uint8: 0 at the belly, 255 at the back."""
        rows, columns = self.box()
        s = (np.arange(columns.start, columns.stop) - self.snout) / self.scale
        top, bottom = np.interp(s, STATIONS, self.top), np.interp(s, STATIONS, self.bottom)
        slope = 255.0 / np.maximum(bottom - top, 1.0)
        y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
        rising = (bottom * slope).astype(np.float32) - y * slope.astype(np.float32)
        return cv2.convertScaleAbs(np.maximum(rising, 0, out=rising))


def make_body(kind: Species, *, scale: float, depth: float, bend: float, phase: float) -> Body:
    """A body in a patch that holds its fins too; `depth` is 1 for a usual one, `bend` and `phase` curve its axis."""
    back, belly = (edge * depth for edge in outline(kind))
    axis = bend * STATIONS**1.4 * np.sin(4.2 * STATIONS + phase)
    axis -= axis.mean()
    sway = float(np.abs(axis).max()) + ROOM
    above = max(float(back.max()) + 0.9 * max(fin.height for fin in kind.dorsal) + sway, kind.tail.spread + sway)
    below = float(belly.max()) + max([0.9 * fin.height for fin in kind.anal] + [kind.pelvic]) + sway
    below = max(below, kind.tail.spread + sway, 0.32 if kind.barbels else 0.0)
    shape = (int((above + below) * scale), int((1 + FRONT + BEHIND) * scale))
    middle = (above + axis) * scale
    return Body(scale, FRONT * scale, middle - back * scale, middle + belly * scale, shape)


def fan(canvas: np.ndarray, roots: np.ndarray, tips: np.ndarray, colour: tuple, *, opacity: int = 235) -> None:
    """A fin from a root line to an outer edge: membrane, brighter root, dark rays and a dark rim."""
    brush.fill(canvas, np.concatenate([roots, tips[::-1]]), shade(colour, 0.92, opacity))
    middle = roots + 0.45 * (tips - roots)
    brush.fill(canvas, np.concatenate([roots, middle[::-1]]), shade(colour, 1.1, opacity))
    brush.stroke(canvas, np.stack([roots[::2], tips[::2]], axis=1), shade(colour, 0.68, opacity))
    brush.stroke(canvas, tips, shade(colour, 0.55))


def tail_fin(canvas: np.ndarray, body: Body, tail: Tail, colour: tuple, spread: float) -> None:
    """The tail, in the direction in which the body ends."""
    length = tail.length * body.scale
    reach = length * (1 - max(tail.notch, 0) * FORK + min(tail.notch, 0) * ROUND)
    before, root = body.at(0.93, 0.0), body.at(1.0, 0.0)
    direction = (root - before) / np.linalg.norm(root - before)
    across = np.array([-direction[1], direction[0]])
    half = np.linalg.norm(body.at(0.99, 1.0) - body.at(0.99, -1.0)) / 2
    roots = root - 0.02 * body.scale * direction - (V * half * 0.9)[:, None] * across
    width = tail.spread * spread * body.scale
    tips = root + reach[:, None] * direction - (BOW * width)[:, None] * across
    fan(canvas, roots, tips, colour, opacity=240)


def paired_fin(canvas: np.ndarray, root: np.ndarray, length: float, angle: float, colour: tuple, opacity: int) -> None:
    """A pectoral or pelvic fin: a fan from a short root, `angle` in degrees below the line to the tail."""
    down = np.radians(angle)
    roots = root + (ACROSS * length)[:, None] * (-np.sin(down), np.cos(down))
    tips = root + np.stack([np.cos(OPENING + down), np.sin(OPENING + down)], axis=1) * (REACH * length)[:, None]
    fan(canvas, roots, tips, colour, opacity=opacity)


def barbels(canvas: np.ndarray, body: Body, colour: tuple, rng: Rng) -> None:
    root = body.at(0.03, -0.3)
    for k, length in enumerate((0.26, 0.2, 0.13)):
        sway = rng.uniform(-0.05, 0.05, 2)
        path = np.array([[0, 0], [-0.03 + 0.02 * k, 0.35 * length + sway[0]], [0.1 * k * length, length + sway[1]]])
        line = brush.limb(root + path * body.scale, (0.02 * body.scale, 0.006 * body.scale), 14)
        brush.fill(canvas, line, shade(colour, 0.7))


def paint_fish(kind: Species, fish: Individual, body: Body, rng: Rng, *, without: Collection[str] = ()) -> np.ndarray:
    """The fish on an RGBA patch of `body.shape`; parts that are left `without` (some of PARTS) change nothing else."""
    canvas = brush.flood(body.shape, shade(fish.fins, 1.0, 0))

    def onto(part: str) -> np.ndarray:  # what is left out is painted, too, for the same numbers are drawn then
        return canvas.copy() if part in without else canvas

    if kind.barbels:
        barbels(onto("barbels"), body, fish.back, rng)
    for part, fin, side in [("dorsal", fin, 1) for fin in kind.dorsal] + [("anal", fin, -1) for fin in kind.anal]:
        roots = body.at(fin.start + (fin.end - fin.start) * U, 0.9 * side)
        height = fin.height * EDGES[fin.shape] * rng.uniform(0.78, 1.08) * body.scale
        fan(onto(part), roots, roots + height[:, None] * (fin.lean, -side), fish.fins)
    tail_fin(onto("tail"), body, kind.tail, fish.fins, rng.uniform(0.8, 1.1))
    if kind.pelvic:
        root = body.at(0.37 if kind.dorsal[0].start < 0.5 else 0.55, -0.85)
        paired_fin(onto("pelvic"), root, kind.pelvic * body.scale, rng.uniform(25, 60), fish.fins, 235)
    _paint_body(canvas, kind, fish, body, rng, plain="marks" in without)
    _paint_head(onto("head"), kind, fish, body)
    root = body.at(kind.gill + 0.045, -0.3)
    paired_fin(onto("pectoral"), root, kind.pectoral * body.scale, rng.uniform(0, 45), fish.fins, 255)
    return canvas


def _paint_body(canvas: np.ndarray, kind: Species, fish: Individual, body: Body, rng: Rng, *, plain: bool) -> None:
    rows, columns = box = body.box()
    corner = np.array([columns.start, rows.start])
    x = body.snout + STATIONS * body.scale
    contour = np.concatenate([np.c_[x, body.top], np.c_[x, body.bottom][::-1]])
    heights = body.height_map()
    mask, marks = np.zeros((2, *heights.shape), np.uint8)
    brush.fill(mask, contour - corner, 255)
    if not plain:
        brush.fill(marks, body.at(fish.marks[..., 0], fish.marks[..., 1]) - corner, 255)
    soft = 2 * int(body.scale / 90) + 1
    bare, marked = _tables(fish)
    skin = blend(cv2.applyColorMap(heights, bare), cv2.applyColorMap(heights, marked), cv2.blur(marks, (soft, soft)))
    _scales(skin, fish, round(kind.gill * body.scale), rng)
    canvas[box] = blend(canvas[box], cv2.cvtColor(skin, cv2.COLOR_RGB2RGBA), mask)
    brush.stroke(canvas, contour, shade(fish.back, 0.6), body.scale / 160)


def _tables(fish: Individual) -> tuple[np.ndarray, np.ndarray]:
    """The colours from belly to back, without and with a mark."""
    plain = np.array([fish.belly, fish.belly, fish.flank, fish.flank, fish.back, fish.back])
    both = TO_TABLE @ np.concatenate([plain * DARKER, np.outer(DARKER, fish.mark)], axis=1)
    both += SHINE * (255 - both)
    both[:, 3:] = both[:, :3] + (both[:, 3:] - both[:, :3]) * fish.mark_strength
    table = np.minimum(both, 255).astype(np.uint8)
    return table[:, None, :3].copy(), table[:, None, 3:].copy()


@lru_cache
def _scale_tile() -> np.ndarray:
    """Overlapping scales, light at the middle and dark at the rim; 128 is neutral."""
    pitch, size = 9, 720
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    tile = np.full((size, size), 90, np.float32)
    for shift in (1, 0):
        cx = (np.floor(x / pitch / 2 + shift / 2) - shift / 2 + 0.5) * 2 * pitch
        away = np.hypot((x - cx) / pitch, (y % (2 * pitch) - pitch - (shift - 0.5) * pitch) / pitch)
        tile = np.where(away < 1, 175 - 85 * away**2, tile)
    return np.repeat(cv2.GaussianBlur(tile, (3, 3), 0.8)[:, :, None], 3, axis=2).astype(np.uint8)


def _scales(skin: np.ndarray, fish: Individual, gill: int, rng: Rng) -> None:
    """Multiply the skin behind the gill by a random piece of the tile of scales."""
    tile, part = _scale_tile(), skin[:, gill:]
    top = int(rng.integers(0, max(1, len(tile) - len(part))))
    scales = tile[top : top + len(part), : part.shape[1]]
    part = part[: len(scales), : scales.shape[1]]
    amount = 0.3 * fish.scales
    cv2.addWeighted(part, 1 - amount, cv2.multiply(part, scales, scale=1 / 128), amount, 0, part)


def _paint_head(canvas: np.ndarray, kind: Species, fish: Individual, body: Body) -> None:
    bow = kind.gill + GILL_BOW
    width = max(1.0, body.scale / 110)
    brush.stroke(canvas, body.at(bow + 0.012, GILL_T), shade(fish.flank, 1.25), width)
    brush.stroke(canvas, body.at(bow, GILL_T), shade(fish.back, 0.55), width)
    brush.stroke(canvas, body.at(*MOUTH), shade(fish.back, 0.45), width)
    centre, radius = body.at(*kind.eye_at), kind.eye * body.scale
    brush.disc(canvas, centre, radius * 1.18, shade(fish.back, 0.55))
    brush.disc(canvas, centre, radius, shade(fish.iris, 1.0))
    brush.disc(canvas, centre, radius * 0.58, (12, 12, 16, 255))
    brush.disc(canvas, centre - 0.3 * radius, radius * 0.22, (250, 250, 250, 255))
