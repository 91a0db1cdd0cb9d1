"""Stocks whose r and K are known, because we made them: what every method here is held against."""

from dataclasses import dataclass

import numpy as np

from .fitting import Series
from .production import Curve, grown

LOWEST = 0.01  # of K: nobody fishes on below it


@dataclass(frozen=True)
class Truth:
    """One made stock: what a table would show, and what it would not."""

    series: Series
    curve: Curve
    r: float
    k: float
    states: np.ndarray  # log P
    story: str
    process: float  # standard deviations of log errors
    looking: float

    @property
    def msy(self) -> float:
        return float(self.curve.msy(self.r, self.k))

    @property
    def bmsy(self) -> float:
        return self.curve.bmsy * self.k

    @property
    def fmsy(self) -> float:
        return float(self.curve.fmsy(self.r))


STORIES = ("rise and fall", "boom and bust", "slow climb", "light and steady")


def effort(story: str, years: int, chance: np.random.Generator) -> np.ndarray:
    """How hard the stock is fished, as a multiple of what it bears (F/Fmsy), year by year."""
    t = np.linspace(0, 1, years)
    if story == "rise and fall":  # fished down, then let recover: what tells most
        peak, at, low = chance.uniform(1.4, 2.2), chance.uniform(0.4, 0.6), chance.uniform(0.2, 0.6)
        path = np.interp(t, [0, at, min(at + 0.15, 0.8), 1], [chance.uniform(0.1, 0.5), peak, low, low])
    elif story == "boom and bust":  # two waves of fishing
        path = chance.uniform(0.8, 1.1) - chance.uniform(0.6, 0.8) * np.cos(2 * np.pi * t * chance.uniform(1.4, 2.2))
    elif story == "slow climb":  # more boats every year, a little restraint at the end
        path = np.interp(t, [0, 0.75, 1], [chance.uniform(0.1, 0.4), chance.uniform(1.3, 2.0), chance.uniform(0.6, 1)])
    elif story == "light and steady":  # the stock hardly notices, so its growth hardly shows
        path = np.full(years, chance.uniform(0.1, 0.35))
    else:
        raise ValueError(story)
    return np.maximum(path, 0.02) * np.exp(chance.normal(0, 0.08, years))


def made_stock(
    curve: Curve,
    story: str,
    chance: np.random.Generator,
    *,
    years: int = 40,
    process: float | None = None,
    looking: float | None = None,
    absolute: bool = False,
    r: float | None = None,
) -> Truth:
    """r from 0.1 to 1.2 a year, K over two orders of magnitude; errors of 5–12 % in nature, 8–25 % in looking."""
    r = float(np.exp(chance.uniform(np.log(0.1), np.log(1.2)))) if r is None else r
    k = float(np.exp(chance.uniform(np.log(1e4), np.log(1e6))))
    process = float(chance.uniform(0.05, 0.12)) if process is None else process
    looking = float(chance.uniform(0.08, 0.25)) if looking is None else looking
    taken = np.minimum(effort(story, years, chance) * curve.fmsy(r), 0.8)
    steady = story == "light and steady"
    first = np.log(_level(curve, r, taken[0]) if steady else chance.uniform(0.6, 1.0))
    states, catch = walked(curve, np.array([r]), np.array([first]), taken[None, :], chance, np.array([process]))
    biomass = np.exp(states[0]) * k
    q = 1.0 if absolute else float(np.exp(chance.uniform(-9, -3)))
    index = q * biomass * np.exp(chance.normal(0, looking, years))
    series = Series(catch=catch * k, index=index[None, :], absolute=absolute)
    return Truth(series, curve, r, k, states[0], story, process, looking)


def _level(curve: Curve, r: float, taken: float) -> float:
    """Where a stock settles that is fished so for ever."""
    p = 1.0
    for _ in range(500):
        p = float(np.exp(grown(curve, np.array(p), r, taken * p)))
    return p


def walked(
    curve: Curve, r: np.ndarray, first: np.ndarray, taken: np.ndarray, chance: np.random.Generator, process: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """log P and catches (as shares of K) when the share `taken` of what is there is caught each year."""
    many, years = len(r), taken.shape[-1]
    taken = np.broadcast_to(taken, (many, years))
    states, catch = np.empty((many, years)), np.empty((many, years))
    x = np.broadcast_to(first, many).astype(float)
    for year in range(years):
        p = np.exp(x)
        states[:, year], catch[:, year] = x, taken[:, year] * p
        x = grown(curve, p, r, catch[:, year]) + process * chance.normal(size=many)
        x = np.maximum(x, np.log(LOWEST))
    return states, catch
