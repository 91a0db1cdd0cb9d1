"""How sure a fit is: a parametric bootstrap, studentised, and never surer than the fit's own doubt.

The fitted stock is lived again many times, with new chance in nature and in looking, and fitted again each time. What
counts is not how far the new answers scatter but how far they miss *in units of the doubt they state themselves*: that
ratio hardly depends on r and K, so its quantiles carry over from the fitted stock to the real one (bootstrap-t). Where
the table says little the new answers crowd around what was believed beforehand, and would look sure: there the fit's
own standard deviation, beliefs included, is the smallest that is stated.

Boats are replayed as the share they took, not as tonnes: the tonnes of one history would empty the sea of another.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from .fitting import Fit, Series, fit
from .simulating import walked

LEVEL = 0.90
RESAMPLES = 200
REFIT_ROUNDS = 40
QUANTITIES = ("r", "k", "msy", "bmsy", "fmsy", "b_bmsy", "f_fmsy")  # the last two: now


@dataclass(frozen=True)
class Interval:
    value: float
    low: float
    high: float

    @property
    def relative_width(self) -> float:
        return (self.high - self.low) / self.value

    def holds(self, truth: float) -> bool:
        return self.low <= truth <= self.high


@dataclass(frozen=True)
class Doubt:
    """90 % intervals of what managers ask for, and of the two errors."""

    intervals: dict[str, Interval]
    process: Interval
    looking: Interval
    stretch: float  # how much wider than the fit's own the MSY's interval had to be


def logs(found: Fit) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Each quantity's log and the standard deviation of that log, a value a series."""
    years = found.states.shape[1]
    r_at, k_at, last = years, years + 1, years - 1
    curve, catch = found.curve, np.log(np.maximum(found.series.catch[:, -1], 1e-12 * found.series.scale))
    made_of = {
        "r": (found.log_r, [r_at]),
        "k": (found.log_k, [k_at]),
        "msy": (np.log(curve.top) + found.log_r + found.log_k, [r_at, k_at]),
        "bmsy": (np.log(curve.bmsy) + found.log_k, [k_at]),
        "fmsy": (np.log(curve.fmsy(1.0)) + found.log_r, [r_at]),
        "b_bmsy": (found.states[:, last] - np.log(curve.bmsy), [last]),
        "f_fmsy": (
            catch - found.log_k - found.states[:, last] - np.log(curve.fmsy(1.0)) - found.log_r,
            [r_at, k_at, last],
        ),
    }
    return {
        name: (value, np.sqrt(found.covariance[:, places][:, :, places].sum(axis=(1, 2))))
        for name, (value, places) in made_of.items()
    }


def doubt(found: Fit, *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0) -> Doubt:
    """Of a single fit (an array of one)."""
    tail = (1 - level) / 2
    own = logs(found)
    lived, truth = lived_again(found, resamples, seed)
    again = fit(found.curve, lived, start=found, rounds=REFIT_ROUNDS)
    answers = logs(again)
    least = norm.ppf(1 - tail)
    intervals, stretch = {}, 1.0
    for name, (value, sd) in own.items():
        missed = (answers[name][0] - truth[name]) / answers[name][1]
        low, high = np.quantile(missed[np.isfinite(missed)], [tail, 1 - tail])
        up, down = max(-low, least), max(high, least)
        centre, spread = float(value[0]), float(sd[0])
        intervals[name] = Interval(
            float(np.exp(centre)), float(np.exp(centre - down * spread)), float(np.exp(centre + up * spread))
        )
        if name == "msy":
            stretch = (up + down) / (2 * least)
    if found.series.catch[0, -1] == 0:
        intervals["f_fmsy"] = Interval(0.0, 0.0, 0.0)  # a closed fishery: whatever there is, nothing is taken
    return Doubt(
        intervals,
        process=_error_interval(found.process[0], again.process, tail),
        looking=_error_interval(found.looking[0], again.looking, tail),
        stretch=float(stretch),
    )


def lived_again(found: Fit, resamples: int, seed: int) -> tuple[Series, dict[str, np.ndarray]]:
    """Other histories that the fitted stock might have had, and what is true in each of them."""
    chance = np.random.default_rng(seed)
    curve, series, k = found.curve, found.series, float(np.exp(found.log_k[0]))
    taken = np.minimum(series.catch[0] / found.biomass[0], 0.9)
    r = np.full(resamples, float(np.exp(found.log_r[0])))
    process = np.full(resamples, float(found.process[0]))
    states, catch = walked(curve, r, np.full(resamples, found.states[0, 0]), taken[None, :], chance, process)
    q = 1.0 if series.absolute else float(np.exp(found.log_q[0]))
    index = q * k * np.exp(states + found.looking[0] * chance.normal(size=states.shape))
    index = np.where(np.isfinite(series.index[0])[None, :], index, np.nan)
    lived = Series(catch=catch * k, index=index, absolute=series.absolute)
    same = {"r": r[0], "k": k, "msy": curve.msy(r[0], k), "bmsy": curve.bmsy * k, "fmsy": curve.fmsy(r[0])}
    truth = {name: np.full(resamples, np.log(value)) for name, value in same.items()}
    truth["b_bmsy"] = states[:, -1] - np.log(curve.bmsy)
    truth["f_fmsy"] = np.log(np.maximum(catch[:, -1], 1e-12)) - states[:, -1] - np.log(curve.fmsy(1.0)) - np.log(r[0])
    return lived, truth


def _error_interval(value: float, again: np.ndarray, tail: float) -> Interval:
    """As far as refits fall from what they were drawn with, on either side."""
    low, high = np.quantile(np.log(again / value), [tail, 1 - tail])
    reach = max(abs(low), abs(high))
    return Interval(float(value), float(value * np.exp(-reach)), float(value * np.exp(reach)))
