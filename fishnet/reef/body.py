"""The geometry of one fish: from (along the body, belly to back) to pixels of its patch.

Every marking, fin and highlight is laid out in body coordinates and mapped here, so all of them follow the
fish when it bends or is deeper than its kin.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from scipy.interpolate import PchipInterpolator

from fishnet.reef.species import BODY_KNOTS, Species

Number = float | np.ndarray
STATIONS = np.linspace(0, 1, 65)
FRONT, BEHIND, ROOM = 0.08, 0.3, 0.05  # room around body and fins, in body lengths


@lru_cache
def outline(kind: Species) -> tuple[np.ndarray, np.ndarray]:
    """Back and belly of the kind at STATIONS; the square root keeps the snout round."""
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
        y = 0.5 * (top + bottom + t * (top - bottom))
        points = np.empty((*y.shape, 2))
        points[..., 0] = self.snout + s * self.scale
        points[..., 1] = y
        return points

    def contour(self) -> np.ndarray:
        x = self.snout + STATIONS * self.scale
        edges = np.concatenate([self.top, self.bottom[::-1]])
        return np.stack([np.concatenate([x, x[::-1]]), edges], axis=1)

    def box(self) -> tuple[slice, slice]:
        """Rows and columns that hold the body without its fins."""
        rows = slice(max(0, int(self.top.min()) - 2), int(self.bottom.max()) + 3)
        return rows, slice(int(self.snout) - 2, int(self.snout + self.scale) + 3)

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
    back, belly = (edge * depth for edge in outline(kind))
    axis = bend * STATIONS**1.4 * np.sin(4.2 * STATIONS + phase)
    axis = axis - axis.mean()
    sway = float(np.abs(axis).max()) + ROOM
    above = float(back.max()) + 0.9 * max(fin.height for fin in kind.dorsal) + sway
    above = max(above, kind.tail.spread + sway)
    below = float(belly.max()) + max([0.9 * fin.height for fin in kind.anal] + [kind.pelvic]) + sway
    below = max(below, kind.tail.spread + sway, 0.32 if kind.barbels else 0.0)
    shape = (int((above + below) * scale), int((1 + FRONT + BEHIND) * scale))
    middle = (above + axis) * scale
    return Body(scale, FRONT * scale, middle - back * scale, middle + belly * scale, shape)
