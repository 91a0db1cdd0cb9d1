"""Stocks whose r and K are known, because they are simulated: every method here is tested on them.

`sample` is the table for those who have none: simulated stocks in four invented seas.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .fitting import Series
from .production import FOX, SCHAEFER, Curve, next_log_biomass

STORIES = ("rise and fall", "boom and bust", "slow climb", "light and steady")
LOWEST = 0.01  # of K: nobody fishes on below it
SEAS = ("Cold Bay", "Grey Bank", "Long Reach", "Warm Shelf")
# group of species → its r a year: slow ones suffer most from the same fishing
GROUPS = {"sharks": (0.10, 0.25), "cods": (0.25, 0.5), "flatfish": (0.2, 0.45), "herrings": (0.45, 0.9)}
RESILIENCE = {"sharks": "very low", "cods": "medium", "flatfish": "medium", "herrings": "high"}
FIRST_YEAR, YEARS, STOCKS = 1975, 45, 48
ASSESSMENT_ERROR = 0.10  # of the published ratios


@dataclass(frozen=True)
class SimulatedStock:
    """One stock: what a table would show of it, and what it would not."""

    series: Series  # catches and index
    curve: Curve  # which surplus-production curve it follows
    r: float  # its growth a year
    k: float  # its carrying capacity K, in the catch's unit
    states: np.ndarray  # log of biomass / K, year by year
    story: str  # how it was fished, see `STORIES`
    process_error: float  # standard deviation of the log error of a year's growth
    observation_error: float  # standard deviation of the index's log error

    @property
    def msy(self) -> float:
        return float(self.curve.msy(self.r, self.k))

    @property
    def bmsy(self) -> float:
        return self.curve.bmsy * self.k

    @property
    def fmsy(self) -> float:
        return float(self.curve.fmsy(self.r))


def effort(story: str, years: int, rng: np.random.Generator) -> np.ndarray:
    """How hard the stock is fished, as a multiple of what it bears (F/Fmsy), year by year."""
    t = np.linspace(0, 1, years)
    if story == "rise and fall":  # fished down, then let recover: what tells most
        peak, at, low = rng.uniform(1.4, 2.2), rng.uniform(0.4, 0.6), rng.uniform(0.2, 0.6)
        path = np.interp(t, [0, at, min(at + 0.15, 0.8), 1], [rng.uniform(0.1, 0.5), peak, low, low])
    elif story == "boom and bust":  # two waves of fishing
        path = rng.uniform(0.8, 1.1) - rng.uniform(0.6, 0.8) * np.cos(2 * np.pi * t * rng.uniform(1.4, 2.2))
    elif story == "slow climb":  # more boats every year, a little restraint at the end
        path = np.interp(t, [0, 0.75, 1], [rng.uniform(0.1, 0.4), rng.uniform(1.3, 2.0), rng.uniform(0.6, 1)])
    elif story == "light and steady":  # the stock hardly notices, so its growth hardly shows
        path = np.full(years, rng.uniform(0.1, 0.35))
    else:
        raise ValueError(story)
    return np.maximum(path, 0.02) * np.exp(rng.normal(0, 0.08, years))


def simulate_stock(
    curve: Curve,
    story: str,
    rng: np.random.Generator,
    *,
    years: int = 40,
    process_error: float | None = None,
    observation_error: float | None = None,
    absolute: bool = False,
    r: float | None = None,
) -> SimulatedStock:
    """A stock that follows a curve and is fished as a story of `STORIES`; `absolute`: its index is biomass in tonnes.

    What is None is drawn: r between 0.1 and 1.2 a year, a process error of 5 to 12 %, an observation error of 8 to
    25 %; and always K, within two orders of magnitude.
    """
    r = float(np.exp(rng.uniform(np.log(0.1), np.log(1.2)))) if r is None else r
    k = float(np.exp(rng.uniform(np.log(1e4), np.log(1e6))))
    process_error = float(rng.uniform(0.05, 0.12)) if process_error is None else process_error
    observation_error = float(rng.uniform(0.08, 0.25)) if observation_error is None else observation_error
    taken = np.minimum(effort(story, years, rng) * curve.fmsy(r), 0.8)
    steady = story == "light and steady"
    first = np.log(_equilibrium(curve, r, taken[0]) if steady else rng.uniform(0.6, 1.0))
    path = np.array([r]), np.array([first]), taken[None, :], rng, np.array([process_error])
    states, catch = simulate_path(curve, *path)
    biomass = np.exp(states[0]) * k
    q = 1.0 if absolute else float(np.exp(rng.uniform(-9, -3)))
    index = q * biomass * np.exp(rng.normal(0, observation_error, years))
    series = Series(catch=catch * k, index=index[None, :], absolute=absolute)
    return SimulatedStock(series, curve, r, k, states[0], story, process_error, observation_error)


def _equilibrium(curve: Curve, r: float, taken: float) -> float:
    """Where a stock settles that is fished so for ever."""
    p = 1.0
    for _ in range(500):
        p = float(np.exp(next_log_biomass(curve, np.array(p), np.array(r), np.array(taken * p))))
    return p


def simulate_path(
    curve: Curve,
    r: np.ndarray,  # growth of each
    first: np.ndarray,  # log biomass / K of each in the first year
    taken: np.ndarray,  # the share of the biomass that is caught each year, (years,) or (stocks, years)
    rng: np.random.Generator,
    process_error: np.ndarray,  # standard deviation, for each
) -> tuple[np.ndarray, np.ndarray]:
    """Many stocks through time: log biomass / K, and catches as shares of K, both (stocks, years)."""
    many, years = len(r), taken.shape[-1]
    taken = np.broadcast_to(taken, (many, years))
    states, catch = np.empty((many, years)), np.empty((many, years))
    x = np.broadcast_to(first, many).astype(float)
    for year in range(years):
        p = np.exp(x)
        states[:, year], catch[:, year] = x, taken[:, year] * p
        x = next_log_biomass(curve, p, r, catch[:, year]) + process_error * rng.normal(size=many)
        x = np.maximum(x, np.log(LOWEST))
    return states, catch


def sample(stocks: int = STOCKS, years: int = YEARS, seed: int = 7) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table as it would be published, and the truth behind it."""
    rng = np.random.default_rng(seed)
    tables, truths = [], []
    for number in range(stocks):
        sea, group = SEAS[number % len(SEAS)], list(GROUPS)[(number // len(SEAS)) % len(GROUPS)]
        story = STORIES[int(rng.choice(len(STORIES), p=[0.4, 0.15, 0.3, 0.15]))]
        curve = (SCHAEFER, FOX)[number % 2]
        stock = simulate_stock(curve, story, rng, years=years, r=float(rng.uniform(*GROUPS[group])))
        name = f"{group[:3].upper()}{number + 1:02d}"
        tables.append(_published(stock, name, group, sea, rng))
        values = {"r": stock.r, "K": stock.k, "MSY": stock.msy, "Bmsy": stock.bmsy, "Fmsy": stock.fmsy}
        truths.append({"stockid": name, "curve": curve.name, **values, "story": story})
    return pd.concat(tables, ignore_index=True), pd.DataFrame(truths)


def _published(stock: SimulatedStock, name: str, group: str, sea: str, rng: np.random.Generator) -> pd.DataFrame:
    catch, index, biomass = stock.series.catch[0], stock.series.index[0], np.exp(stock.states)
    years = len(catch)
    ratio = biomass / stock.curve.bmsy * np.exp(rng.normal(0, ASSESSMENT_ERROR, years))
    pressure = catch / (biomass * stock.k) / stock.fmsy * np.exp(rng.normal(0, ASSESSMENT_ERROR, years))
    title = f"{group.capitalize()} {name[3:]}, {sea}"
    labels = {"stockid": name, "stocklong": title, "region": sea, "species category": group}
    labels |= {"resilience": RESILIENCE[group]}
    values = {"catch (tonnes)": catch.round(1), "survey index": [f"{value:.5g}" for value in index]}
    ratios = {"BdivBmsy": ratio.round(3), "UdivUmsy": pressure.round(3)}
    return pd.DataFrame({**labels, "year": FIRST_YEAR + np.arange(years), **values, **ratios})
