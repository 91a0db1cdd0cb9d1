"""A stock's dynamics from its catches and an index of its biomass, with chance in nature and chance in looking apart.

The state-space form of the surplus-production model, as in Meyer and Millar (1999) or SPiCT (Pedersen and Berg 2017):

    nature    log P(t+1) = log( P(t) + r·shape(P(t)) − C(t)/K ) + process error
    looking   log I(t)   = log q + log K + log P(t)           + observation error

Unknown are all the P(t), r, K and q; one Gauss-Newton step improves all of them together, and after each step the two
error sizes are set to what the residuals *and the remaining doubt about P, r, K, q* say (an EM step). Counting that
doubt is what keeps the two errors apart and stops them from shrinking, as they do in plain least squares.

Everything is written for many series at once (the first axis): a bootstrap's two hundred refits cost little more
than one.
"""

from dataclasses import dataclass, replace

import numpy as np

from .production import FLOOR, Curve, grown

# What is held to be likely before the table is seen; on the log scale, as (centre, standard deviation).
PRIOR_R = (np.log(0.4), 0.8)  # 0.11 to 1.5 a year: from slow sharks to quick sardines
PRIOR_K = (np.log(20.0), 2.0)  # in largest catches: from below 1 to 500, for a stock may be hardly fished at all
PRIOR_START = (np.log(0.8), 0.5)  # the first year's share of K
# Error sizes: scaled inverse chi-square, as much as NOISE_WEIGHT years of evidence for these values.
NOISE_WEIGHT, NOISE_PROCESS, NOISE_LOOKING = 4.0, 0.10, 0.15
ROUNDS, CLOSE = 80, 2e-3


@dataclass(frozen=True)
class Series:
    """Catches and biomass of one stock, or of many drawn again: arrays of (series, years); NaN where nobody looked."""

    catch: np.ndarray
    index: np.ndarray
    absolute: bool = False  # the index is biomass in the catch's own unit, so that q is 1

    @property
    def scale(self) -> np.ndarray:
        """The largest catch; K is told in it while fitting, so that tonnes and thousand tonnes fit alike."""
        return np.maximum(self.catch.max(axis=1), 1e-300)


@dataclass(frozen=True)
class Fit:
    """The most likely values of many series, and the covariance of states (first) and log r, log K, log q (last)."""

    curve: Curve
    series: Series
    states: np.ndarray  # log P, (series, years)
    log_r: np.ndarray
    log_k: np.ndarray  # in the catch's unit
    log_q: np.ndarray
    process: np.ndarray  # standard deviations of log errors
    looking: np.ndarray
    covariance: np.ndarray
    evidence: np.ndarray  # log, up to a constant that is the same for both curves

    def row(self, number: int) -> "Fit":
        """One of the many, still as an array of one."""
        cut = {
            name: getattr(self, name)[number : number + 1]
            for name in ("states", "log_r", "log_k", "log_q", "process", "looking", "covariance", "evidence")
        }
        series = replace(
            self.series, catch=self.series.catch[number : number + 1], index=self.series.index[number : number + 1]
        )
        return replace(self, series=series, **cut)

    @property
    def biomass(self) -> np.ndarray:
        return np.exp(self.states + self.log_k[:, None])


def fit(curve: Curve, series: Series, start: Fit | None = None, rounds: int = ROUNDS) -> Fit:
    """From three starting sizes of K (or from an earlier fit), the best by evidence."""
    if start is not None:
        return _fit_from(curve, series, _started_at(series, start), rounds)
    found = [_fit_from(curve, series, _started(series, size), rounds) for size in (5.0, 12.0, 35.0)]
    best = np.argmax([one.evidence for one in found], axis=0)
    if len(best) == 1:
        return found[int(best[0])]
    raise ValueError("several series need a fit to start from")


@dataclass
class _State:
    """What a Gauss-Newton step moves: z = (x, log r, log K in largest catches, log q on that scale)."""

    z: np.ndarray
    process: np.ndarray
    looking: np.ndarray


def _started(series: Series, size: float) -> _State:
    years = series.catch.shape[1]
    log_index = _log_index(series)
    level = np.array([_filled(row) for row in log_index])
    log_k = np.full(len(level), np.log(size))
    log_q = np.zeros(len(level)) if series.absolute else level.max(axis=1) - np.log(0.9) - log_k
    states = np.clip(level - log_q[:, None] - log_k[:, None], np.log(0.05), np.log(1.1))
    z = np.concatenate([states, np.full((len(level), 1), PRIOR_R[0]), log_k[:, None], log_q[:, None]], axis=1)
    assert z.shape[1] == years + 3
    return _State(z, np.full(len(z), NOISE_PROCESS), np.full(len(z), NOISE_LOOKING))


def _started_at(series: Series, start: Fit) -> _State:
    many = len(series.catch)
    log_k = start.log_k - np.log(series.scale)
    ends = [np.broadcast_to(value, many)[:, None] for value in (start.log_r, log_k, _q_in_scale(start, series))]
    states = np.broadcast_to(start.states, (many, start.states.shape[1]))
    z = np.concatenate([states, *ends], axis=1)
    return _State(z, np.broadcast_to(start.process, many).copy(), np.broadcast_to(start.looking, many).copy())


def _q_in_scale(start: Fit, series: Series) -> np.ndarray:
    return start.log_q + 0 * series.scale if series.absolute else start.log_q + np.log(series.scale)


def _filled(row: np.ndarray) -> np.ndarray:
    seen = np.flatnonzero(np.isfinite(row))
    return np.interp(np.arange(len(row)), seen, row[seen])


def _log_index(series: Series) -> np.ndarray:
    """log of the index; absolute biomass is told in largest catches like K."""
    index = series.index / series.scale[:, None] if series.absolute else series.index
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(index > 0, np.log(np.where(index > 0, index, 1.0)), np.nan)


# ---- one step


class _Problem:
    """Residuals, their derivatives and the normal matrix, for all series at once."""

    def __init__(self, curve: Curve, series: Series) -> None:
        self.curve, self.years = curve, series.catch.shape[1]
        self.catch = series.catch / series.scale[:, None]
        log_index = _log_index(series)
        self.seen = np.isfinite(log_index)
        self.index = np.where(self.seen, log_index, 0.0)
        self.fixed_q = series.absolute

    def parts(self, z: np.ndarray):
        years = self.years
        return z[:, :years], z[:, years], z[:, years + 1], z[:, years + 2]

    def residuals(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Nature's and looking's, unscaled."""
        x, log_r, log_k, log_q = self.parts(z)
        r, catch = np.exp(log_r)[:, None], self.catch[:, :-1] * np.exp(-log_k)[:, None]
        nature = x[:, 1:] - grown(self.curve, np.exp(x[:, :-1]), r, catch)
        looking = np.where(self.seen, self.index - log_q[:, None] - log_k[:, None] - x, 0.0)
        return nature, looking

    def cost(self, z: np.ndarray, process: np.ndarray, looking: np.ndarray) -> np.ndarray:
        nature, seen = self.residuals(z)
        x, log_r, log_k, log_q = self.parts(z)
        prior = [(log_r, PRIOR_R), (log_k, PRIOR_K), (x[:, 0], PRIOR_START)]
        beliefs = sum(((value - centre) / sd) ** 2 for value, (centre, sd) in prior)
        errors = (nature**2).sum(axis=1) / process**2 + (seen**2).sum(axis=1) / looking**2
        return errors + beliefs + self._q_weight() * log_q**2

    def _q_weight(self) -> float:
        return 1e8 if self.fixed_q else 1e-4

    def derivatives(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of next year's expected log P: to this year's, to log r, to log K."""
        x, log_r, log_k, _ = self.parts(z)
        p, r = np.exp(x[:, :-1]), np.exp(log_r)[:, None]
        catch = self.catch[:, :-1] * np.exp(-log_k)[:, None]
        gain = r * self.curve.shape(p)
        steep = 1 / np.maximum(p + gain - catch, FLOOR)
        return steep * p * (1 + r * self.curve.slope(p)), steep * gain, steep * catch

    def normal(self, z, process, looking) -> tuple[np.ndarray, np.ndarray]:
        """Half the cost's gradient and the Gauss-Newton matrix: three bands for the states, a border for the rest."""
        years, t = self.years, np.arange(self.years)
        nature, seen = self.residuals(z)
        dx, dr, dk = self.derivatives(z)
        x, log_r, log_k, log_q = self.parts(z)
        a, b = (1 / process**2)[:, None], (1 / looking**2)[:, None] * self.seen
        gradient, matrix = np.zeros_like(z), np.zeros((len(z), years + 3, years + 3))
        r_at, k_at, q_at = years, years + 1, years + 2
        for place, slope in ((t[:-1], -dx), (t[1:], np.ones_like(dx))):
            gradient[:, place] += a * nature * slope
            matrix[:, place, place] += a * slope**2
        matrix[:, t[:-1], t[1:]] -= a * dx
        for at, slope in ((r_at, -dr), (k_at, -dk)):
            gradient[:, at] += (a * nature * slope).sum(axis=1)
            matrix[:, t[:-1], at] += a * slope * -dx
            matrix[:, t[1:], at] += a * slope
        matrix[:, r_at, r_at] += (a * dr**2).sum(axis=1)
        matrix[:, k_at, k_at] += (a * dk**2).sum(axis=1)
        matrix[:, r_at, k_at] += (a * dr * dk).sum(axis=1)
        gradient[:, t] -= b * seen
        matrix[:, t, t] += b
        total, weighted = b.sum(axis=1), (b * seen).sum(axis=1)
        for at in (k_at, q_at):
            gradient[:, at] -= weighted
            matrix[:, t, at] += b
            matrix[:, at, at] += total
        matrix[:, k_at, q_at] += total
        for at, value, (centre, sd) in ((r_at, log_r, PRIOR_R), (k_at, log_k, PRIOR_K), (0, x[:, 0], PRIOR_START)):
            gradient[:, at] += (value - centre) / sd**2
            matrix[:, at, at] += 1 / sd**2
        gradient[:, q_at] += self._q_weight() * log_q
        matrix[:, q_at, q_at] += self._q_weight()
        upper = np.triu(matrix, 1)
        return gradient, matrix + upper.transpose(0, 2, 1)

    def error_sizes(self, z, covariance) -> tuple[np.ndarray, np.ndarray]:
        """Mean squares of the residuals, the remaining doubt counted in."""
        years, t = self.years, np.arange(self.years)
        nature, seen = self.residuals(z)
        dx, dr, dk = self.derivatives(z)
        slopes = [-dx, np.ones_like(dx), -dr, -dk]
        places = [t[:-1], t[1:], np.full(years - 1, years), np.full(years - 1, years + 1)]
        doubt = sum(slopes[i] * slopes[j] * covariance[:, places[i], places[j]] for i in range(4) for j in range(4))
        border = [t, np.full(years, years + 1), np.full(years, years + 2)]
        unseen = sum(covariance[:, border[i], border[j]] for i in range(3) for j in range(3))
        nature_square = (nature**2 + doubt).sum(axis=1) + NOISE_WEIGHT * NOISE_PROCESS**2
        seen_square = (seen**2 + unseen * self.seen).sum(axis=1) + NOISE_WEIGHT * NOISE_LOOKING**2
        process = np.sqrt(nature_square / (years - 1 + NOISE_WEIGHT))
        looking = np.sqrt(seen_square / (self.seen.sum(axis=1) + NOISE_WEIGHT))
        return np.clip(process, 0.01, 1.0), np.clip(looking, 0.01, 1.5)


def _fit_from(curve: Curve, series: Series, state: _State, rounds: int) -> Fit:
    problem = _Problem(curve, series)
    z, process, looking = state.z.copy(), state.process, state.looking
    damping = np.full(len(z), 1e-2)
    diagonal = np.arange(z.shape[1])
    for _ in range(rounds):
        gradient, matrix = problem.normal(z, process, looking)
        matrix[:, diagonal, diagonal] *= 1 + damping[:, None]
        covariance = np.linalg.inv(matrix)
        step = np.clip(-(covariance @ gradient[:, :, None])[:, :, 0], -1.0, 1.0)
        better = problem.cost(z + step, process, looking) <= problem.cost(z, process, looking) + 1e-9
        z = np.where(better[:, None], z + step, z)
        damping = np.where(better, np.maximum(damping * 0.2, 1e-9), np.minimum(damping * 8, 1e6))
        calm = better & (damping < 0.1)
        new_process, new_looking = problem.error_sizes(z, covariance)
        moved = np.abs(np.log(new_process / process)) + np.abs(np.log(new_looking / looking))
        moved = np.where(calm, moved + np.abs(step).max(axis=1), 1.0)
        process, looking = np.where(calm, new_process, process), np.where(calm, new_looking, looking)
        if (moved < CLOSE).all():
            break
    return _told(curve, series, problem, z, process, looking)


def _told(curve, series, problem: _Problem, z, process, looking) -> Fit:
    _, matrix = problem.normal(z, process, looking)
    x, log_r, log_k, log_q = problem.parts(z)
    seen = problem.seen.sum(axis=1)
    noise = NOISE_WEIGHT * ((NOISE_PROCESS / process) ** 2 + (NOISE_LOOKING / looking) ** 2) / 2
    evidence = (
        -problem.cost(z, process, looking) / 2
        - (problem.years - 1 + NOISE_WEIGHT) * np.log(process)
        - (seen + NOISE_WEIGHT) * np.log(looking)
        - noise
        - np.linalg.slogdet(matrix)[1] / 2
    )
    log_scale = np.log(series.scale)
    return Fit(
        curve=curve,
        series=series,
        states=x,
        log_r=log_r,
        log_k=log_k + log_scale,
        log_q=log_q - (0 if series.absolute else log_scale),
        process=process,
        looking=looking,
        covariance=np.linalg.inv(matrix),
        evidence=evidence,
    )
