"""How a stock grows when it is left alone: the two surplus-production curves that the field has used longest.

Both say what a year adds to a biomass P, as a share of what the sea carries (P = B/K). Schaefer (1954) puts the
largest surplus at half of K, Fox (1970) at K/e, 37 %. Everything managers ask for follows from r, K and the curve.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

FLOOR = 0.02  # of K: below it growth is continued by a straight line in log P, so that a fit may pass by and return

Number = TypeVar("Number", float, np.ndarray)


@dataclass(frozen=True)
class Curve:
    """Surplus a year = r · shape(P) · K."""

    name: str  # as users write it
    shape: Callable[[np.ndarray], np.ndarray]  # the surplus at a biomass P
    slope: Callable[[np.ndarray], np.ndarray]  # its derivative
    bmsy: float  # the share of K at which the surplus is largest
    top: float  # shape(bmsy)

    def msy(self, r: Number, k: Number) -> Number:
        """The largest surplus, a year, in the unit of K."""
        return self.top * r * k

    def fmsy(self, r: Number) -> Number:
        """The share of the biomass that may be taken each year for ever, at Bmsy."""
        return self.top * r / self.bmsy


SCHAEFER = Curve("schaefer", lambda p: p * (1 - p), lambda p: 1 - 2 * p, bmsy=0.5, top=0.25)
FOX = Curve(
    "fox",
    lambda p: -p * np.log(np.maximum(p, 1e-12)),
    lambda p: -1 - np.log(np.maximum(p, 1e-12)),
    bmsy=float(np.exp(-1)),
    top=float(np.exp(-1)),
)
CURVES = {curve.name: curve for curve in (SCHAEFER, FOX)}


def next_log_biomass(curve: Curve, p: np.ndarray, r: np.ndarray, catch: np.ndarray) -> np.ndarray:
    """log P a year later, without process error; `catch` is a share of K, like P.

    Below the floor it is the tangent of log: a catch larger than the stock is very unlikely, but no error.
    """
    later = p + r * curve.shape(p) - catch
    return np.where(later > FLOOR, np.log(np.maximum(later, FLOOR)), np.log(FLOOR) + later / FLOOR - 1)
