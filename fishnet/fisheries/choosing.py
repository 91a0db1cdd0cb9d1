"""From a tidy table to the series that a fit takes: which stocks, which years, which measure of biomass."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fishnet.errors import BadInput
from fishnet.text import nearest

from .columns import VALUES
from .fitting import Series

MEASURES = ("index", "biomass", "b_bmsy")  # the first that a table has
FEWEST_YEARS, MOST_YEARS = 8, 120
MOST_BLANK = 0.2  # of the catches in between


@dataclass(frozen=True)
class Chosen:
    """One stock or region, ready to be fitted."""

    entity: str
    title: str
    years: np.ndarray
    series: Series
    measure: str
    notes: list[str]
    unit: str = " tonnes"

    @property
    def measured(self) -> str:
        return VALUES[self.measure]


def candidates(frames: list[pd.DataFrame]) -> list[Chosen]:
    """Everything that has catches and some measure of biomass, most telling first."""
    found: dict[str, Chosen] = {}
    for frame in frames:
        if "catch" not in frame or not set(MEASURES) & set(frame):
            continue
        for entity, rows in frame.groupby("entity", sort=False):
            one = _chosen(str(entity), rows[rows["kind"] == rows["kind"].iloc[0]])
            if one is not None and str(entity) not in found:
                found[str(entity)] = one
    return sorted(found.values(), key=telling, reverse=True)


def telling(one: Chosen) -> float:
    """Years times how far the biomass went down *and* came back: a one-way trip hides r behind K."""
    index = one.series.index[0]
    level = np.log(index[np.isfinite(index)])
    smooth = np.convolve(level, np.ones(3) / 3, mode="valid") if len(level) > 4 else level
    low = int(np.argmin(smooth))
    down, back = smooth[: low + 1].max() - smooth[low], smooth[low:].max() - smooth[low]
    return min(len(level), 60) * (0.2 * min(down, 2.0) + min(down, back, 1.5))


def picked(found: list[Chosen], wanted: str | None, most: int) -> list[Chosen]:
    """What `stock=` names (several with commas), else the most telling ones."""
    if wanted is None:
        return found[:most]
    by_name = {one.entity.casefold(): one for one in found} | {one.title.casefold(): one for one in found}
    asked = [wanted] if wanted.casefold() in by_name else [name.strip() for name in wanted.split(",") if name.strip()]
    for name in asked:
        if name.casefold() not in by_name:
            known = [one.entity for one in found] + [one.title for one in found]
            hint = nearest(name, known) if known else "no stock in these tables has both."
            raise BadInput(f"stock={name}: no such stock with catches and a measure of biomass; {hint}")
    return [by_name[name.casefold()] for name in asked]


def _chosen(entity: str, rows: pd.DataFrame) -> Chosen | None:
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
    notes = [f"{blank} years without a catch were filled from their neighbours"] if blank else []
    name = str(rows["name"].iloc[0]) if "name" in rows and rows["name"].iloc[0] else entity
    series = Series(
        catch=catch.interpolate().to_numpy()[None, :], index=index.to_numpy()[None, :], absolute=measure == "biomass"
    )
    relative = measure == "b_bmsy" and rows["kind"].iloc[0] in ("region", "taxon")  # means over stocks, catches too
    return Chosen(entity, name, years, series, measure, notes, unit="" if relative else " tonnes")
