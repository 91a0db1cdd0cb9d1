"""What comes next, if so much is caught, or if so hard is fished: many futures, drawn from what the fit leaves open.

Each future has its own r, K and present biomass (drawn together, as the fit's covariance says, stretched as the
bootstrap asked) and its own process errors. Years later the futures spread; that spread is the answer.
"""

from dataclasses import dataclass

import numpy as np

from .fitting import Fit
from .intervals import LEVEL
from .production import next_log_biomass
from .simulating import LOWEST

DRAWS = 1000
MOST_TAKEN = 0.9  # of the biomass, whatever was planned
WITHIN = np.log(LOWEST), np.log(2.0)  # of log biomass / K


@dataclass(frozen=True)
class Future:
    """What one rule for the coming years leads to; every array has a value a year."""

    rule: str  # in words
    b_bmsy: np.ndarray  # B/Bmsy, (3, years): low, middle, high
    catch: np.ndarray  # the same of the catch
    above: np.ndarray  # the probability that B/Bmsy is 1 or more
    collapsed: np.ndarray  # the probability that it is below a fifth


def project(
    fitted: Fit,
    *,
    years: int,
    stretch: float = 1.0,  # how much wider than the fit's own the intervals have to be
    catch: float | None = None,  # in the unit of the fitted catches
    fishing: float | None = None,  # F/Fmsy
    unit: str = " tonnes",  # of the catch, as it is written
    draws: int = DRAWS,  # how many futures
    level: float = LEVEL,  # of the intervals
    seed: int = 0,
) -> Future:
    """The stock of a fit to a single series, under one rule: either a catch every year or a fishing pressure."""
    if (catch is None) == (fishing is None):
        raise ValueError("one of catch and fishing")
    rng = np.random.default_rng(seed)
    last = fitted.states.shape[1] - 1
    middle = np.array([fitted.states[0, -1], fitted.log_r[0], fitted.log_k[0]])
    spread = fitted.covariance[0, last : last + 3, last : last + 3] * max(stretch, 1.0) ** 2
    x, log_r, log_k = rng.multivariate_normal(middle, spread, size=draws, method="eigh").T
    r = np.exp(np.clip(log_r, -5, 1.2))

    def next_year(p: np.ndarray, taken: np.ndarray) -> np.ndarray:
        expected = next_log_biomass(fitted.curve, p, r, taken)
        return np.clip(expected + fitted.process_error[0] * rng.normal(size=draws), *WITHIN)

    p = np.exp(np.clip(x, *WITHIN))
    x = next_year(p, np.minimum(fitted.series.catch[0, -1] * np.exp(-log_k), MOST_TAKEN * p))
    ratios, catches = [], []
    for _ in range(years):
        p = np.exp(x)
        wanted = catch * np.exp(-log_k) if catch is not None else (fishing or 0.0) * fitted.curve.fmsy(r) * p
        taken = np.minimum(wanted, MOST_TAKEN * p)
        ratios.append(p / fitted.curve.bmsy)
        catches.append(taken * np.exp(log_k))
        x = next_year(p, taken)
    ratio, quantiles = np.array(ratios), [(1 - level) / 2, 0.5, 1 - (1 - level) / 2]
    rule = f"{float(f'{catch:.4g}'):,g}{unit} caught" if catch is not None else f"fished at {fishing:g} × Fmsy"
    return Future(
        f"{rule} every year",
        np.quantile(ratio, quantiles, axis=1),
        np.quantile(np.array(catches), quantiles, axis=1),
        (ratio >= 1).mean(axis=1),
        (ratio < 0.2).mean(axis=1),
    )
