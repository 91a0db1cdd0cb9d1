"""One stock's dynamics: which stocks can be fitted, both curves, the likelier of them, warnings, futures, tables.

A number without a word on whether the table can carry it is the commonest mistake of the field: catches and biomass
that never moved say nothing about how fast a stock grows, and any r fits, with its own K.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fishnet.errors import BadInput
from fishnet.text import counted, nearest

from .fitting import PRIOR_R, Fit, Series, fit
from .intervals import LEVEL, Uncertainty, uncertainty
from .production import CURVES, next_log_biomass
from .projecting import Future, project

MEASURES = ("index", "biomass", "b_bmsy")  # of biomass; the first that a table has
FEWEST_YEARS, MOST_YEARS = 8, 120
MOST_BLANK = 0.2  # of the catches in between

FEWEST_OBSERVED = 15  # years in which somebody looked
CONTRAST = 1.8  # the smoothed biomass at its highest against its lowest, a tenth of the years left out at either end
BELIEF = 0.75  # of the prior's standard deviation: above it, r is what was believed beforehand
ALIKE = 0.6  # lag-1 autocorrelation
WIDEST = 1.0  # of MSY itself

MEAN_OF_YEARS = 3  # of whose catches 'as much as now' is the mean
CLEAR = 3.0  # of log evidence: below it, the table does not tell the curves apart
NAMES = {
    "r": "r, growth a year",
    "k": "K, what the sea carries",
    "msy": "MSY, the most that can be taken for ever",
    "bmsy": "Bmsy",
    "fmsy": "Fmsy",
    "b_bmsy": "B/Bmsy now",
    "f_fmsy": "F/Fmsy now",
}


@dataclass(frozen=True)
class Candidate:
    """A stock or region that can be fitted."""

    entity: str  # its name in the table's rows
    title: str  # its name for people
    years: np.ndarray  # of the series, without gaps
    series: Series  # catches and a measure of biomass
    measure: str  # which of `MEASURES`
    notes: list[str]  # what was filled in
    unit: str = " tonnes"  # of the catches, as it is written behind a number


def candidates(frames: Sequence[pd.DataFrame]) -> list[Candidate]:
    """Everything that has catches and some measure of biomass, the most informative first."""
    by_entity: dict[str, Candidate] = {}
    for frame in frames:
        if "catch" not in frame or not set(MEASURES) & set(frame):
            continue
        for entity, rows in frame.groupby("entity", sort=False):
            if candidate := _candidate(str(entity), rows[rows["kind"] == rows["kind"].iloc[0]]):
                by_entity.setdefault(str(entity), candidate)
    return sorted(by_entity.values(), key=contrast_score, reverse=True)


def _candidate(entity: str, rows: pd.DataFrame) -> Candidate | None:
    measure = next((name for name in MEASURES if name in rows and (rows[name] > 0).sum() >= FEWEST_YEARS), None)
    if measure is None or rows["catch"].notna().sum() < FEWEST_YEARS or not (rows["catch"] > 0).any():
        return None
    by_year = rows.set_index("year")
    caught = by_year["catch"].dropna()
    years = np.arange(caught.index.min(), caught.index.max() + 1)[-MOST_YEARS:]
    catch, index = by_year["catch"].reindex(years), by_year[measure].reindex(years)
    index = index.where(index > 0)
    blank = int(catch.isna().sum())
    if blank > MOST_BLANK * len(years) or index.notna().sum() < FEWEST_YEARS:
        return None
    filled = counted(blank, "year without a catch was", "years without a catch were")
    beside = "it" if blank == 1 else "them"
    notes = [f"{filled} filled from what is beside {beside}"] if blank else []
    title = str(rows["name"].iloc[0]) if "name" in rows and rows["name"].iloc[0] else entity
    catches, observed = catch.interpolate().to_numpy()[None, :], index.to_numpy()[None, :]
    series = Series(catch=catches, index=observed, absolute=measure == "biomass")
    relative = measure == "b_bmsy" and rows["kind"].iloc[0] in ("region", "taxon")  # means over stocks, catches too
    return Candidate(entity, title, years, series, measure, notes, unit="" if relative else " tonnes")


def contrast_score(candidate: Candidate) -> float:
    """Years times how far the biomass went down *and* came back: a one-way trip hides r behind K."""
    index = candidate.series.index[0]
    level = np.log(index[np.isfinite(index)])
    smooth = np.convolve(level, np.ones(3) / 3, mode="valid") if len(level) > 4 else level
    low = int(np.argmin(smooth))
    down, back = smooth[: low + 1].max() - smooth[low], smooth[low:].max() - smooth[low]
    return min(len(level), 60) * (0.2 * min(down, 2.0) + min(down, back, 1.5))


def select(from_candidates: list[Candidate], names: str | None, most: int) -> list[Candidate]:
    """What `stock=` names (several with commas), else the most informative ones."""
    if names is None:
        return from_candidates[:most]
    by_name = {candidate.entity.casefold(): candidate for candidate in from_candidates}
    by_name |= {candidate.title.casefold(): candidate for candidate in from_candidates}
    parts = [names] if names.casefold() in by_name else [name.strip() for name in names.split(",") if name.strip()]
    for name in parts:
        if name.casefold() not in by_name:
            known = [each.entity for each in from_candidates] + [each.title for each in from_candidates]
            hint = nearest(name, known) if known else "no stock in these tables has both."
            raise BadInput(f"stock={name}: no such stock with catches and a measure of biomass; {hint}")
    return [by_name[name.casefold()] for name in parts]


def contrast(fitted: Fit) -> float:
    """The fitted biomass at its highest against its lowest."""
    low, high = np.quantile(fitted.states[0], [0.05, 0.95])
    return float(np.exp(high - low))


def process_residuals(fitted: Fit) -> np.ndarray:
    """How far each year's log biomass lies from what the curve expected the year before."""
    x, catch = fitted.states[0], fitted.series.catch[0, :-1] / np.exp(fitted.log_k[0])
    return x[1:] - next_log_biomass(fitted.curve, np.exp(x[:-1]), np.exp(fitted.log_r[0]), catch)


def lag1_autocorrelation(fitted: Fit) -> float:
    """Of the process residuals: near 0 if the model holds, near 1 if it misses something."""
    error = process_residuals(fitted) - process_residuals(fitted).mean()
    return float((error[1:] * error[:-1]).sum() / max((error**2).sum(), 1e-12))


def warnings(fitted: Fit, sure: Uncertainty) -> list[str]:
    """Why the fit should not be trusted, a sentence each; none where the data carry it."""
    years, sentences = fitted.states.shape[1], []
    observed = int(np.isfinite(fitted.series.index[0]).sum())
    if observed < FEWEST_OBSERVED:
        few = f"too short: biomass is known for {observed} years"
        sentences.append(f"{few}, and fewer than {FEWEST_OBSERVED} seldom tell r from K")
    if (change := contrast(fitted)) < CONTRAST:
        change_words = f"no contrast: the biomass changed only {change:.1f}-fold"
        sentences.append(f"{change_words}, so how fast it grows can hardly be seen")
    if float(fitted.covariance[0, years, years]) ** 0.5 > BELIEF * PRIOR_R[1]:
        sentences.append("r is hardly more than what was believed before the table was seen")
    msy = sure.intervals["msy"]
    if (width := (msy.high - msy.low) / msy.value) > WIDEST:
        sentences.append(f"the interval of MSY is {width:.1f} times MSY itself")
    if lag1_autocorrelation(fitted) > ALIKE:
        alike = "process errors of neighbouring years are much alike"
        sentences.append(f"{alike}, so the curve misses something and the intervals are too narrow")
    return sentences


@dataclass(frozen=True)
class Dynamics:
    """All that was estimated of one stock."""

    stock: Candidate  # what was fitted
    fits: dict[str, tuple[Fit, Uncertainty]]  # by the curve's name, the fit and its uncertainty
    best: str  # the name of the curve with the larger evidence
    warnings: list[str]  # why the best fit should not be trusted
    futures: list[Future]  # projections of the best fit

    @property
    def fit(self) -> Fit:
        return self.fits[self.best][0]

    @property
    def uncertainty(self) -> Uncertainty:
        return self.fits[self.best][1]

    @property
    def evidence_gap(self) -> float | None:
        """How much likelier the better curve is, in log evidence."""
        values = [float(fitted.evidence[0]) for fitted, _ in self.fits.values()]
        return max(values) - min(values) if len(values) > 1 else None

    @property
    def undecided(self) -> bool:
        """Whether the table does not tell the two curves apart."""
        return self.evidence_gap is not None and self.evidence_gap < CLEAR

    def path(self) -> pd.DataFrame:
        """B/Bmsy and F/Fmsy through time, by the likelier curve."""
        fitted, r = self.fit, np.exp(self.fit.log_r[0])
        b_bmsy = np.exp(fitted.states[0]) / fitted.curve.bmsy
        u_umsy = fitted.series.catch[0] / fitted.biomass[0] / fitted.curve.fmsy(r)
        return pd.DataFrame({"year": self.stock.years, "b_bmsy": b_bmsy, "u_umsy": u_umsy})


def dynamics(
    stock: Candidate,
    *,
    curve: str = "both",  # or schaefer, or fox
    resamples: int = 200,
    horizon: int = 10,  # years to project
    catch: float | None = None,  # of every year to come; the mean of the last years where it is None
    fishing: float = 1.0,  # of every year to come, in Fmsy
    seed: int = 0,
) -> Dynamics:
    """Fits, bootstraps and projects one stock."""
    if curve not in (*CURVES, "both"):
        raise BadInput(f"curve={curve}: {nearest(curve, [*CURVES, 'both'])}")
    fits = {}
    for each in CURVES.values() if curve == "both" else [CURVES[curve]]:
        fitted = fit(each, stock.series)
        fits[each.name] = (fitted, uncertainty(fitted, resamples=resamples, seed=seed))
    best = max(fits, key=lambda name: float(fits[name][0].evidence[0]))
    fitted, sure = fits[best]
    steady = float(stock.series.catch[0, -MEAN_OF_YEARS:].mean()) if catch is None else catch
    futures = [
        project(fitted, years=horizon, stretch=sure.stretch, catch=steady, unit=stock.unit, seed=seed),
        project(fitted, years=horizon, stretch=sure.stretch, fishing=fishing, seed=seed),
    ]
    return Dynamics(stock, fits, best, warnings(fitted, sure), futures)


def fit_table(estimates: Sequence[Dynamics]) -> pd.DataFrame:
    """A row a stock, curve and quantity, with its interval."""
    rows = []
    for each in estimates:
        for name, (fitted, sure) in each.fits.items():
            common = {"stock": each.stock.entity, "curve": name, "chosen": name == each.best}
            common |= {"years": len(each.stock.years), "measure": each.stock.measure}
            common |= {"contrast": contrast(fitted), "warning": "; ".join(each.warnings)}
            errors = {"process_error": sure.process_error, "observation_error": sure.observation_error}
            for key, value in {**sure.intervals, **errors}.items():
                ends = {"value": value.value, "low": value.low, "high": value.high}
                rows.append({**common, "quantity": key, **ends, "level": LEVEL})
    return pd.DataFrame(rows)


def future_table(estimates: Sequence[Dynamics]) -> pd.DataFrame:
    """A row a stock, rule and year to come."""
    rows = []
    for each in estimates:
        for future in each.futures:
            for step in range(future.b_bmsy.shape[1]):
                row = {"stock": each.stock.entity, "rule": future.rule, "year": int(each.stock.years[-1]) + 1 + step}
                for name, values in (("b_bmsy", future.b_bmsy), ("catch", future.catch)):
                    row |= dict(zip((f"{name}_low", name, f"{name}_high"), values[:, step], strict=True))
                rows.append({**row, "above_bmsy": future.above[step], "collapsed": future.collapsed[step]})
    return pd.DataFrame(rows)


def path_table(estimates: Sequence[Dynamics]) -> pd.DataFrame:
    """The fitted path of every stock, year by year, beside what was seen."""
    paths = []
    for each in estimates:
        fitted, series = each.fit, each.fit.series
        seen = series.index[0] / float(np.exp(fitted.log_q[0]))
        columns = {"biomass": fitted.biomass[0], "seen": seen, "catch": series.catch[0]}
        paths.append(each.path().assign(stock=each.stock.entity, **columns))
    return pd.concat(paths, ignore_index=True) if paths else pd.DataFrame()
