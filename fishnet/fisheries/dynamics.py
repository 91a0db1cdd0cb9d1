"""All that is told of one stock's dynamics: both curves, the likelier of them, its doubt, its warnings, its futures."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .carrying import contrast, warnings
from .choosing import Chosen
from .fitting import Fit, fit
from .intervals import LEVEL, Doubt, doubt
from .production import CURVES, curve_named
from .projecting import Future, project

MOST_CATCH_YEARS = 3  # whose mean is 'as much as now'
CLEAR = 3.0  # of log evidence: below it, the table does not tell the curves apart


@dataclass(frozen=True)
class Dynamics:
    chosen: Chosen
    fits: dict[str, tuple[Fit, Doubt]]
    best: str
    warnings: list[str]
    futures: list[Future]

    @property
    def fit(self) -> Fit:
        return self.fits[self.best][0]

    @property
    def doubt(self) -> Doubt:
        return self.fits[self.best][1]

    @property
    def apart(self) -> float | None:
        """How much likelier the better curve is, in log evidence."""
        values = [float(found.evidence[0]) for found, _ in self.fits.values()]
        return max(values) - min(values) if len(values) > 1 else None

    @property
    def contrast(self) -> float:
        return contrast(self.fit)

    def path(self) -> pd.DataFrame:
        """B/Bmsy and F/Fmsy through time, by the likelier curve."""
        found, r = self.fit, np.exp(self.fit.log_r[0])
        return pd.DataFrame(
            {
                "year": self.chosen.years,
                "b_bmsy": np.exp(found.states[0]) / found.curve.bmsy,
                "u_umsy": found.series.catch[0] / found.biomass[0] / found.curve.fmsy(r),
            }
        )


def dynamics(
    chosen: Chosen,
    *,
    curve: str = "both",
    resamples: int = 200,
    horizon: int = 10,
    catch: float | None = None,
    fishing: float = 1.0,
    seed: int = 0,
) -> Dynamics:
    """Fits, bootstraps and projects one stock."""
    curves = list(CURVES.values()) if curve == "both" else [curve_named(curve)]
    fits = {}
    for one in curves:
        found = fit(one, chosen.series)
        fits[one.name] = (found, doubt(found, resamples=resamples, seed=seed))
    best = max(fits, key=lambda name: float(fits[name][0].evidence[0]))
    found, sure = fits[best]
    steady = float(chosen.series.catch[0, -MOST_CATCH_YEARS:].mean()) if catch is None else catch
    futures = [
        project(found, years=horizon, stretch=sure.stretch, catch=steady, unit=chosen.unit, seed=seed),
        project(found, years=horizon, stretch=sure.stretch, fishing=fishing, seed=seed),
    ]
    return Dynamics(chosen, fits, best, warnings(found, sure), futures)


NAMES = {
    "r": "r, growth a year",
    "k": "K, what the sea carries",
    "msy": "MSY, the most that can be taken for ever",
    "bmsy": "Bmsy",
    "fmsy": "Fmsy",
    "b_bmsy": "B/Bmsy now",
    "f_fmsy": "F/Fmsy now",
}


def fit_table(all_of_them: list[Dynamics]) -> pd.DataFrame:
    rows = []
    for one in all_of_them:
        for name, (found, sure) in one.fits.items():
            common = {
                "stock": one.chosen.entity,
                "curve": name,
                "chosen": name == one.best,
                "years": len(one.chosen.years),
                "measure": one.chosen.measure,
                "contrast": contrast(found),
                "warning": "; ".join(one.warnings),
            }
            values = {**sure.intervals, "process_error": sure.process, "observation_error": sure.looking}
            rows += [
                {**common, "quantity": key, "value": v.value, "low": v.low, "high": v.high, "level": LEVEL}
                for key, v in values.items()
            ]
    return pd.DataFrame(rows)


def future_table(all_of_them: list[Dynamics]) -> pd.DataFrame:
    rows = []
    for one in all_of_them:
        for future in one.futures:
            for step in range(future.b_bmsy.shape[1]):
                row = {"stock": one.chosen.entity, "rule": future.rule, "year": int(one.chosen.years[-1]) + 1 + step}
                for name, values in (("b_bmsy", future.b_bmsy), ("catch", future.catch)):
                    row |= dict(zip((f"{name}_low", name, f"{name}_high"), values[:, step], strict=True))
                rows.append({**row, "above_bmsy": future.above[step], "collapsed": future.collapsed[step]})
    return pd.DataFrame(rows)


def path_table(all_of_them: list[Dynamics]) -> pd.DataFrame:
    """The fitted path of every stock, year by year, beside what was seen."""
    rows = []
    for one in all_of_them:
        found, q = one.fit, float(np.exp(one.fit.log_q[0]))
        seen = {"biomass": found.biomass[0], "seen": found.series.index[0] / q, "catch": found.series.catch[0]}
        rows.append(one.path().assign(stock=one.chosen.entity, **seen))
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()
