"""A stock's dynamics from its catches and an index of its biomass, with process error and observation error apart.

The state-space form of the surplus-production model, as in Meyer and Millar (1999) or SPiCT (Pedersen and Berg 2017):

    growth        log P(t+1) = log( P(t) + r·shape(P(t)) − C(t)/K ) + process error
    observation   log I(t)   = log q + log K + log P(t)           + observation error

Unknown are all the P(t), r, K and q; one Gauss-Newton step improves all of them together, and after each step the two
error sizes are set to what the residuals *and the remaining uncertainty of P, r, K, q* say (an EM step). Counting that
uncertainty keeps the two errors apart and stops them from shrinking, as they do in plain least squares.

Everything is written for many series at once (the first axis): a bootstrap's two hundred refits cost little more
than one.
"""

from dataclasses import dataclass

import numpy as np

from .production import FLOOR, Curve, next_log_biomass

# Priors: what is held to be likely before the table is seen; on the log scale, as (centre, standard deviation).
PRIOR_R = (np.log(0.4), 0.8)  # 0.11 to 1.5 a year: from slow sharks to quick sardines
PRIOR_K = (np.log(20.0), 2.0)  # in largest catches: from below 1 to 500, for a stock may be hardly fished at all
PRIOR_START = (np.log(0.8), 0.5)  # the first year's share of K
# Error sizes: scaled inverse chi-square, as much as NOISE_WEIGHT years of evidence for these values.
NOISE_WEIGHT, NOISE_PROCESS, NOISE_OBSERVATION = 4.0, 0.10, 0.15
ROUNDS, CLOSE = 80, 2e-3


@dataclass(frozen=True)
class Series:
    """Catches and biomass of one stock, or of many resimulated ones."""

    catch: np.ndarray  # (series, years)
    index: np.ndarray  # (series, years), proportional to biomass; NaN where nobody looked
    absolute: bool = False  # the index is biomass in the catch's own unit, so that q is 1

    @property
    def scale(self) -> np.ndarray:
        """The largest catch, the unit of K while fitting, so that tonnes and thousand tonnes fit alike."""
        return np.maximum(self.catch.max(axis=1), 1e-300)


@dataclass(frozen=True)
class Fit:
    """The most likely values of many series, each an array with the series first."""

    curve: Curve  # which surplus-production curve was fitted
    series: Series  # what it was fitted to
    states: np.ndarray  # log P, (series, years)
    log_r: np.ndarray  # growth
    log_k: np.ndarray  # carrying capacity, in the catch's unit
    log_q: np.ndarray  # what the index is, for each unit of biomass
    process_error: np.ndarray  # standard deviation of the log error of a year's growth
    observation_error: np.ndarray  # standard deviation of the index's log error
    covariance: np.ndarray  # of the states (first) and log r, log K, log q (last)
    evidence: np.ndarray  # log marginal likelihood (Laplace), up to a constant that is the same for both curves

    @property
    def biomass(self) -> np.ndarray:
        """In the catch's unit."""
        return np.exp(self.states + self.log_k[:, None])


def fit(curve: Curve, series: Series, start: Fit | None = None, rounds: int = ROUNDS) -> Fit:
    """The most likely states, r, K and q of one stock or, beginning at an earlier fit (`start`), of many. Without it,
    three sizes of K are tried, and the best by evidence is kept. There are `rounds` Gauss-Newton steps at most."""
    if start is not None:
        return _fit_from(curve, series, *_start_at(series, start), rounds)
    if len(series.catch) > 1:
        raise ValueError("several series need a fit to start from")
    fits = [_fit_from(curve, series, *_start(series, size), rounds) for size in (5.0, 12.0, 35.0)]
    return max(fits, key=lambda fitted: float(fitted.evidence[0]))


# What a Gauss-Newton step moves, z = (log P of every year, log r, log K, log q), K and absolute biomass in largest
# catches; and the standard deviations of process and observation error.
Start = tuple[np.ndarray, np.ndarray, np.ndarray]


def _start(series: Series, size: float) -> Start:
    """With K of that size, in largest catches, and states that follow the index."""
    observed = [(np.flatnonzero(np.isfinite(row)), row) for row in _log_index(series)]
    level = np.array([np.interp(np.arange(len(row)), years, row[years]) for years, row in observed])
    log_k = np.full(len(level), np.log(size))
    log_q = np.zeros(len(level)) if series.absolute else level.max(axis=1) - np.log(0.9) - log_k
    states = np.clip(level - log_q[:, None] - log_k[:, None], np.log(0.05), np.log(1.1))
    z = np.concatenate([states, np.full((len(level), 1), PRIOR_R[0]), log_k[:, None], log_q[:, None]], axis=1)
    return z, np.full(len(z), NOISE_PROCESS), np.full(len(z), NOISE_OBSERVATION)


def _start_at(series: Series, start: Fit) -> Start:
    """Where an earlier fit ended, for each of many series."""
    many, log_scale = len(series.catch), np.log(series.scale)
    log_q = start.log_q + (0 if series.absolute else 1) * log_scale
    ends = [np.broadcast_to(value, many)[:, None] for value in (start.log_r, start.log_k - log_scale, log_q)]
    z = np.concatenate([np.broadcast_to(start.states, (many, start.states.shape[1])), *ends], axis=1)
    errors = (np.broadcast_to(error, many).copy() for error in (start.process_error, start.observation_error))
    process_error, observation_error = errors
    return z, process_error, observation_error


def _log_index(series: Series) -> np.ndarray:
    """log of the index; absolute biomass is in largest catches, like K."""
    index = series.index / series.scale[:, None] if series.absolute else series.index
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(index > 0, np.log(np.where(index > 0, index, 1.0)), np.nan)


class _Problem:
    """Residuals, their derivatives and their weights, for all series at once.

    Rows, in this order: growth from year to year, the index of each year (weight 0 where nobody looked), and the
    distances from the priors of log r, log K, the first year and log q.
    """

    def __init__(self, curve: Curve, series: Series) -> None:
        self.curve, self.years = curve, series.catch.shape[1]
        self.catch = series.catch / series.scale[:, None]
        log_index = _log_index(series)
        self.observed = np.isfinite(log_index)
        self.index = np.where(self.observed, log_index, 0.0)
        self.q_weight = 1e8 if series.absolute else 1e-4  # of the prior that log q is 0

    def parts(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The states, log r, log K and log q."""
        years = self.years
        return z[:, :years], z[:, years], z[:, years + 1], z[:, years + 2]

    def residuals(self, z: np.ndarray) -> np.ndarray:
        """Unweighted, (series, rows)."""
        x, log_r, log_k, log_q = self.parts(z)
        r, catch = np.exp(log_r)[:, None], self.catch[:, :-1] * np.exp(-log_k)[:, None]
        growth = x[:, 1:] - next_log_biomass(self.curve, np.exp(x[:, :-1]), r, catch)
        index = np.where(self.observed, self.index - log_q[:, None] - log_k[:, None] - x, 0.0)
        priors = np.stack([log_r - PRIOR_R[0], log_k - PRIOR_K[0], x[:, 0] - PRIOR_START[0], log_q], axis=1)
        return np.concatenate([growth, index, priors], axis=1)

    def jacobian(self, z: np.ndarray) -> np.ndarray:
        """The residuals' derivatives to each of z."""
        x, log_r, log_k, _ = self.parts(z)
        p, r = np.exp(x[:, :-1]), np.exp(log_r)[:, None]
        catch = self.catch[:, :-1] * np.exp(-log_k)[:, None]
        gain = r * self.curve.shape(p)
        steep = 1 / np.maximum(p + gain - catch, FLOOR)
        years, r_at, k_at, q_at = np.arange(self.years), self.years, self.years + 1, self.years + 2
        index, priors = self.years - 1 + years, 2 * self.years - 1 + np.arange(4)
        matrix = np.zeros((len(z), 2 * self.years + 3, self.years + 3))
        matrix[:, years[:-1], years[:-1]] = -steep * p * (1 + r * self.curve.slope(p))
        matrix[:, years[:-1], years[1:]] = 1
        matrix[:, years[:-1], r_at] = -steep * gain
        matrix[:, years[:-1], k_at] = -steep * catch
        for at in (years, k_at, q_at):
            matrix[:, index, at] = -1
        matrix[:, priors, [r_at, k_at, 0, q_at]] = 1
        return matrix

    def weights(self, process_error: np.ndarray, observation_error: np.ndarray) -> np.ndarray:
        """One over the variance of each residual."""
        growth = np.repeat(1 / process_error[:, None] ** 2, self.years - 1, axis=1)
        index = self.observed / observation_error[:, None] ** 2
        priors = [1 / PRIOR_R[1] ** 2, 1 / PRIOR_K[1] ** 2, 1 / PRIOR_START[1] ** 2, self.q_weight]
        return np.concatenate([growth, index, np.tile(priors, (len(growth), 1))], axis=1)

    def cost(self, z: np.ndarray, process_error: np.ndarray, observation_error: np.ndarray) -> np.ndarray:
        """The weighted sum of squared residuals, of each series."""
        return (self.weights(process_error, observation_error) * self.residuals(z) ** 2).sum(axis=1)

    def normal(self, z: np.ndarray, process: np.ndarray, observation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Half the cost's gradient, and the Gauss-Newton matrix."""
        jacobian = self.jacobian(z)
        weighted = (jacobian * self.weights(process, observation)[:, :, None]).transpose(0, 2, 1)
        return (weighted @ self.residuals(z)[:, :, None])[:, :, 0], weighted @ jacobian

    def error_sizes(self, z: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Process and observation error: mean squares of the residuals, with the uncertainty of z counted in."""
        jacobian, steps = self.jacobian(z), self.years - 1
        squares = self.residuals(z) ** 2 + ((jacobian @ covariance) * jacobian).sum(axis=2)
        growth = squares[:, :steps].sum(axis=1) + NOISE_WEIGHT * NOISE_PROCESS**2
        index = (squares[:, steps:-4] * self.observed).sum(axis=1) + NOISE_WEIGHT * NOISE_OBSERVATION**2
        process_error = np.sqrt(growth / (steps + NOISE_WEIGHT))
        observation_error = np.sqrt(index / (self.observed.sum(axis=1) + NOISE_WEIGHT))
        return np.clip(process_error, 0.01, 1.0), np.clip(observation_error, 0.01, 1.5)


def _fit_from(
    curve: Curve, series: Series, z: np.ndarray, process: np.ndarray, observation: np.ndarray, rounds: int
) -> Fit:
    """Damped Gauss-Newton steps (Levenberg-Marquardt) for z, an EM step for the errors after each that went well."""
    problem = _Problem(curve, series)
    damping = np.full(len(z), 1e-2)
    diagonal = np.arange(z.shape[1])
    for _ in range(rounds):
        gradient, matrix = problem.normal(z, process, observation)
        matrix[:, diagonal, diagonal] *= 1 + damping[:, None]
        covariance = np.linalg.inv(matrix)
        step = np.clip(-(covariance @ gradient[:, :, None])[:, :, 0], -1.0, 1.0)
        better = problem.cost(z + step, process, observation) <= problem.cost(z, process, observation) + 1e-9
        z = np.where(better[:, None], z + step, z)
        damping = np.where(better, np.maximum(damping * 0.2, 1e-9), np.minimum(damping * 8, 1e6))
        calm = better & (damping < 0.1)
        new_process, new_observation = problem.error_sizes(z, covariance)
        moved = np.abs(np.log(new_process / process)) + np.abs(np.log(new_observation / observation))
        moved = np.where(calm, moved + np.abs(step).max(axis=1), 1.0)
        process, observation = np.where(calm, new_process, process), np.where(calm, new_observation, observation)
        if (moved < CLOSE).all():
            break
    _, matrix = problem.normal(z, process, observation)
    noise = NOISE_WEIGHT * ((NOISE_PROCESS / process) ** 2 + (NOISE_OBSERVATION / observation) ** 2) / 2
    evidence = (
        -problem.cost(z, process, observation) / 2
        - (problem.years - 1 + NOISE_WEIGHT) * np.log(process)
        - (problem.observed.sum(axis=1) + NOISE_WEIGHT) * np.log(observation)
        - noise
        - np.linalg.slogdet(matrix)[1] / 2
    )
    x, log_r, log_k, log_q = problem.parts(z)
    log_scale = np.log(series.scale)
    log_k, log_q = log_k + log_scale, log_q - (0 if series.absolute else log_scale)
    return Fit(curve, series, x, log_r, log_k, log_q, process, observation, np.linalg.inv(matrix), evidence)
