"""Confidence intervals of a fit: a parametric bootstrap, studentised, and never narrower than the fit's own.

The fitted stock is simulated again many times, with new process and observation errors, and fitted again each time.
What counts is not how far the new estimates scatter but how far they miss *in units of the standard deviation they
state themselves*: that ratio hardly depends on r and K, so its quantiles carry over from the fitted stock to the real
one (bootstrap-t). Where the table says little the new estimates crowd around the priors, and would look sure: there the
fit's own standard deviation, priors included, is the smallest that is stated.

Boats are replayed as the share they took, not as tonnes: the tonnes of one history would empty the sea of another.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from .fitting import Fit, Series, fit
from .simulating import simulate_path

LEVEL = 0.90
RESAMPLES = 200
REFIT_ROUNDS = 40
QUANTITIES = ("r", "k", "msy", "bmsy", "fmsy", "b_bmsy", "f_fmsy")  # the last two: now


@dataclass(frozen=True)
class Interval:
    """An estimate with the ends of its interval."""

    value: float
    low: float
    high: float

    def holds(self, truth: float) -> bool:
        """Whether the truth lies between the ends."""
        return self.low <= truth <= self.high


@dataclass(frozen=True)
class Uncertainty:
    """How sure a fit is."""

    intervals: dict[str, Interval]  # of each quantity in `QUANTITIES`
    process_error: Interval  # standard deviation, with its interval
    observation_error: Interval  # standard deviation, with its interval
    stretch: float  # how much wider than the fit's own the MSY's interval had to be


def log_quantities(fitted: Fit) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Each quantity's log and the standard deviation of that log, a value a series."""
    last, r_at, k_at = (fitted.states.shape[1] + shift for shift in (-1, 0, 1))
    curve, catch = fitted.curve, np.log(np.maximum(fitted.series.catch[:, -1], 1e-12 * fitted.series.scale))
    log_fmsy = np.log(curve.fmsy(1.0))
    f_fmsy = catch - fitted.log_k - fitted.states[:, last] - log_fmsy - fitted.log_r
    summands = {
        "r": (fitted.log_r, [r_at]),
        "k": (fitted.log_k, [k_at]),
        "msy": (np.log(curve.top) + fitted.log_r + fitted.log_k, [r_at, k_at]),
        "bmsy": (np.log(curve.bmsy) + fitted.log_k, [k_at]),
        "fmsy": (log_fmsy + fitted.log_r, [r_at]),
        "b_bmsy": (fitted.states[:, last] - np.log(curve.bmsy), [last]),
        "f_fmsy": (f_fmsy, [r_at, k_at, last]),
    }
    return {
        name: (value, np.sqrt(fitted.covariance[:, at][:, :, at].sum(axis=(1, 2))))
        for name, (value, at) in summands.items()
    }


def uncertainty(fitted: Fit, *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0) -> Uncertainty:
    """The intervals of a fit to a single series, of the given confidence level."""
    tail = (1 - level) / 2
    series, truth = resimulated(fitted, resamples, seed)
    refits = fit(fitted.curve, series, start=fitted, rounds=REFIT_ROUNDS)
    estimates = log_quantities(refits)
    least = norm.ppf(1 - tail)
    intervals, stretch = {}, 1.0
    for name, (value, sd) in log_quantities(fitted).items():
        missed = (estimates[name][0] - truth[name]) / estimates[name][1]
        low, high = np.quantile(missed[np.isfinite(missed)], [tail, 1 - tail])
        up, down = max(-low, least), max(high, least)
        centre, spread = float(value[0]), float(sd[0])
        ends = centre, centre - down * spread, centre + up * spread
        intervals[name] = Interval(*(float(np.exp(end)) for end in ends))
        if name == "msy":
            stretch = (up + down) / (2 * least)
    if fitted.series.catch[0, -1] == 0:
        intervals["f_fmsy"] = Interval(0.0, 0.0, 0.0)  # a closed fishery: whatever there is, nothing is taken
    return Uncertainty(
        intervals,
        process_error=_error_interval(fitted.process_error[0], refits.process_error, tail),
        observation_error=_error_interval(fitted.observation_error[0], refits.observation_error, tail),
        stretch=float(stretch),
    )


def resimulated(fitted: Fit, resamples: int, seed: int) -> tuple[Series, dict[str, np.ndarray]]:
    """Other histories that the fitted stock might have had, and the log of what is true in each of them."""
    rng = np.random.default_rng(seed)
    curve, observed, k = fitted.curve, fitted.series, float(np.exp(fitted.log_k[0]))
    taken = np.minimum(observed.catch[0] / fitted.biomass[0], 0.9)
    r = np.full(resamples, float(np.exp(fitted.log_r[0])))
    first, process_error = np.full(resamples, fitted.states[0, 0]), np.full(resamples, float(fitted.process_error[0]))
    states, catch = simulate_path(curve, r, first, taken[None, :], rng, process_error)
    q = 1.0 if observed.absolute else float(np.exp(fitted.log_q[0]))
    index = q * k * np.exp(states + fitted.observation_error[0] * rng.normal(size=states.shape))
    index = np.where(np.isfinite(observed.index[0])[None, :], index, np.nan)
    same = {"r": r[0], "k": k, "msy": curve.msy(r[0], k), "bmsy": curve.bmsy * k, "fmsy": curve.fmsy(r[0])}
    truth = {name: np.full(resamples, np.log(value)) for name, value in same.items()}
    truth["b_bmsy"] = states[:, -1] - np.log(curve.bmsy)
    truth["f_fmsy"] = np.log(np.maximum(catch[:, -1], 1e-12)) - states[:, -1] - np.log(curve.fmsy(1.0)) - np.log(r[0])
    return Series(catch=catch * k, index=index, absolute=observed.absolute), truth


def _error_interval(value: float, refitted: np.ndarray, tail: float) -> Interval:
    """As far as refits fall from what they were simulated with, on either side."""
    low, high = np.quantile(np.log(refitted / value), [tail, 1 - tail])
    reach = max(abs(low), abs(high))
    return Interval(float(value), float(value * np.exp(-reach)), float(value * np.exp(reach)))
