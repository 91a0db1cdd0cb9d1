"""What comes next, if so much is caught, or if so hard is fished: many futures, drawn from what the fit leaves open.

Each future has its own r, K and present biomass (drawn together, as the fit's covariance says, stretched as the
bootstrap asked) and its own chance in nature. Years later the futures spread; that spread is the answer.
"""

from dataclasses import dataclass

import numpy as np

from .fitting import Fit
from .intervals import LEVEL
from .production import grown
from .simulating import LOWEST

DRAWS = 1000
MOST_TAKEN = 0.9  # of what is there, whatever was planned


@dataclass(frozen=True)
class Future:
    """One rule for the coming years: quantiles of B/Bmsy and catch, and the chance to be above Bmsy, year by year."""

    rule: str
    b_bmsy: np.ndarray  # (3, years): low, middle, high
    catch: np.ndarray
    above: np.ndarray
    collapsed: np.ndarray  # below a fifth of Bmsy


def drawn(found: Fit, stretch: float, draws: int, chance: np.random.Generator) -> tuple[np.ndarray, ...]:
    """log P next year, r and log K of many possible stocks."""
    years = found.states.shape[1]
    places = [years - 1, years, years + 1]
    middle = np.array([found.states[0, -1], found.log_r[0], found.log_k[0]])
    spread = found.covariance[0][np.ix_(places, places)] * max(stretch, 1.0) ** 2
    x, log_r, log_k = chance.multivariate_normal(middle, spread, size=draws, method="eigh").T
    x, r = np.clip(x, np.log(LOWEST), np.log(2.0)), np.exp(np.clip(log_r, -5, 1.2))
    p = np.exp(x)
    caught = np.minimum(found.series.catch[0, -1] * np.exp(-log_k), MOST_TAKEN * p)
    return _next(found, p, r, caught, chance), r, log_k


def _next(found: Fit, p, r, caught, chance) -> np.ndarray:
    x = grown(found.curve, p, r, caught) + found.process[0] * chance.normal(size=len(p))
    return np.clip(x, np.log(LOWEST), np.log(2.0))


def project(
    found: Fit,
    *,
    years: int,
    stretch: float = 1.0,
    catch: float | None = None,
    fishing: float | None = None,
    unit: str = " tonnes",
    draws: int = DRAWS,
    level: float = LEVEL,
    seed: int = 0,
) -> Future:
    """Either `catch` (in tonnes, as every table is read, every year) or `fishing` (F/Fmsy, every year)."""
    if (catch is None) == (fishing is None):
        raise ValueError("one of catch and fishing")
    chance = np.random.default_rng(seed)
    x, r, log_k = drawn(found, stretch, draws, chance)
    bmsy, states, caught = found.curve.bmsy, [], []
    for _ in range(years):
        p = np.exp(x)
        wanted = catch * np.exp(-log_k) if catch is not None else (fishing or 0.0) * found.curve.fmsy(r) * p
        taken = np.minimum(wanted, MOST_TAKEN * p)
        states.append(p / bmsy)
        caught.append(taken * np.exp(log_k))
        x = _next(found, p, r, taken, chance)
    ratio = np.array(states)
    tail = (1 - level) / 2
    rule = (
        f"{float(f'{catch:.4g}'):,g}{unit} caught every year"
        if catch is not None
        else f"fished at {fishing:g} × Fmsy every year"
    )
    return Future(
        rule,
        np.quantile(ratio, [tail, 0.5, 1 - tail], axis=1),
        np.quantile(np.array(caught), [tail, 0.5, 1 - tail], axis=1),
        (ratio >= 1).mean(axis=1),
        (ratio < 0.2).mean(axis=1),
    )
