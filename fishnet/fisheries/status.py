"""The status of stocks: within sustainable levels or not, above or below Bmsy, fished harder than they bear or not."""

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from fishnet.text import counted

from .columns import VALUES
from .reading import ENTITY, Sheet

COLLAPSED, LOW, HIGH = 0.2, 0.8, 1.2
# B/Bmsy: FAO's three classes, and the one below which a fishery is mostly closed
BIOMASS = ("collapsed", "overfished", "at the level of Bmsy", "above Bmsy")
FISHING = ("fished less than MSY allows", "fished harder than MSY allows")
# The Kobe plot: (B ≥ Bmsy, F ≤ Fmsy) → quadrant
QUADRANTS = {
    (True, True): "healthy",
    (True, False): "overfishing begins",
    (False, True): "recovering",
    (False, False): "overfished and overfishing",
}


def biomass_class(b_bmsy: pd.Series) -> pd.Series:
    """Ends belong to the better class: 0.8 is no longer overfished."""
    cut = pd.cut(b_bmsy, [-np.inf, COLLAPSED, LOW, HIGH, np.inf], labels=list(BIOMASS), right=False)
    return cut.astype(object).where(b_bmsy.notna(), None)


def quadrant(b_bmsy: pd.Series, u_umsy: pd.Series) -> pd.Series:
    """Of the Kobe plot; None where one of the ratios is not known."""
    named = [QUADRANTS[key] for key in zip(b_bmsy >= 1, u_umsy <= 1, strict=True)]
    return pd.Series(named, index=b_bmsy.index, dtype=object).where(b_bmsy.notna() & u_umsy.notna(), None)


def classified(frame: pd.DataFrame) -> pd.DataFrame:
    """Every row with B/Bmsy or F/Fmsy, with its classes."""
    out = frame[["kind", "entity", "year"]].copy()
    for column in (f"{ratio}{end}" for ratio in ("b_bmsy", "u_umsy") for end in ("", "_low", "_high")):
        out[column] = frame.get(column, np.nan)
    out = out[out["b_bmsy"].notna() | out["u_umsy"].notna()].reset_index(drop=True)
    out["biomass_class"] = biomass_class(out["b_bmsy"])
    pressure = pd.Series(np.where(out["u_umsy"] <= 1, *FISHING), index=out.index, dtype=object)
    out["fishing_class"] = pressure.where(out["u_umsy"].notna(), None)
    out["quadrant"] = quadrant(out["b_bmsy"], out["u_umsy"])
    return out.dropna(axis=1, how="all")


def latest(frame: pd.DataFrame, *needed: str) -> pd.DataFrame:
    """Each entity's last year in which all the columns that are needed are known."""
    known = frame.dropna(subset=list(needed))
    return known.loc[known.groupby(["kind", "entity"])["year"].idxmax()].reset_index(drop=True)


def sustainable(frame: pd.DataFrame) -> pd.DataFrame:
    """% of stocks within sustainable levels by region and year; where only the overfished are known, the others."""
    shares = frame["sustainable"] if "sustainable" in frame else pd.Series(np.nan, index=frame.index)
    if "overfished" in frame:
        shares = shares.fillna(100 - frame["overfished"])
    out = frame[["kind", "entity", "year"]].assign(sustainable=shares)
    return out[shares.notna()].sort_values(["kind", "entity", "year"], ignore_index=True)


def sustainable_of_stocks(frame: pd.DataFrame, fewest: int = 3) -> pd.DataFrame:
    """The same from a table of stocks: as FAO counts, a stock of 0.8 Bmsy or more is within sustainable levels."""
    stocks = frame[(frame["kind"] == "stock") & frame["b_bmsy"].notna()]
    kept = stocks.assign(kept=stocks["b_bmsy"] >= LOW)
    wholes = [kept.assign(entity="all stocks")]
    if "region" in kept:
        wholes.append(kept.assign(entity=kept["region"])[kept["region"] != ""])
    by = pd.concat(wholes).groupby(["entity", "year"])["kept"]
    out = pd.DataFrame({"sustainable": 100 * by.mean(), "stocks": by.size()}).reset_index()
    return out[out["stocks"] >= fewest].assign(kind="region")[["kind", "entity", "year", "sustainable", "stocks"]]


def changes(shares: pd.DataFrame) -> pd.DataFrame:
    """A row an entity: its first and last share, and how many points lie between them."""
    by = shares.sort_values("year").groupby(["kind", "entity"])
    first, last = by[["year", "sustainable"]].first(), by[["year", "sustainable"]].last()
    ends = pd.DataFrame({"first_year": first["year"], "first": first["sustainable"]})
    ends = ends.assign(last_year=last["year"], last=last["sustainable"], years=by.size()).reset_index()
    ends["change"] = ends["last"] - ends["first"]
    return ends.sort_values("last", ignore_index=True)


def below_bmsy(frame: pd.DataFrame, fewest: int = 5, level: float = 0.95) -> pd.DataFrame:
    """A row a year: of the stocks assessed in it, how many lie below Bmsy, with Wilson's interval over stocks."""
    stocks = frame[(frame["kind"] == "stock") & frame["b_bmsy"].notna()]
    by = stocks.assign(below=stocks["b_bmsy"] < 1).groupby("year")["below"]
    out = pd.DataFrame({"stocks": by.size(), "below": by.sum()}).reset_index()
    out = out[out["stocks"] >= fewest].reset_index(drop=True)
    out["share"] = out["below"] / out["stocks"]
    pairs = zip(out["below"], out["stocks"], strict=True)
    tests = [binomtest(int(below), int(stocks)).proportion_ci(level, method="wilson") for below, stocks in pairs]
    out["low"], out["high"] = [test.low for test in tests], [test.high for test in tests]
    return out


def most_assessed(below: pd.DataFrame) -> pd.Series:
    """The year in which most stocks were assessed; of several, the latest."""
    return below[below["stocks"] == below["stocks"].max()].iloc[-1]


def class_counts(table: pd.DataFrame) -> pd.DataFrame:
    """Stocks a year in each class of biomass."""
    stocks = table[(table["kind"] == "stock") & table["biomass_class"].notna()]
    counts = stocks.groupby(["year", "biomass_class"]).size().unstack(fill_value=0)
    return counts.reindex(columns=list(BIOMASS), fill_value=0).reset_index()


def joined(sheets: list[Sheet]) -> list[Sheet]:
    """Species categories from their own list, put beside every stock whose species is in it."""
    lists = [sheet.frame for sheet in sheets if "kind" not in sheet.frame]
    tables = [sheet for sheet in sheets if "kind" in sheet.frame]
    if lists:
        category = pd.concat(lists).drop_duplicates("species").set_index("species")["category"]
        for sheet in tables:
            if "species" in sheet.frame and "category" not in sheet.frame:
                sheet.frame["category"] = sheet.frame["species"].map(category)
    return tables


def drop_repeated(frames: list[pd.DataFrame]) -> list[tuple[pd.DataFrame, list[str]]]:
    """Each table without the values that one before it has for the same stock and year, and notes on what they were.

    Two downloads of one database would else count every stock twice.
    """
    frames = list(frames)
    notes: list[list[str]] = [[] for _ in frames]
    for variable in ("sustainable", "b_bmsy", "u_umsy"):
        known = pd.Series(dtype=float)
        for number, frame in enumerate(frames):
            values = _values(frame, variable)
            again = values.index.isin(known.index)
            differ = int((~np.isclose(values[again], known.reindex(values.index[again]))).sum())
            if again.any():
                many = counted(int(again.sum()), "value")
                note = f"{many} of {VALUES[variable]} told by a table before this one, too"
                notes[number].append(f"{note}; {differ} of them otherwise: the first table counts" if differ else note)
                columns = [variable, f"{variable}_low", f"{variable}_high"]
                columns += ["overfished"] if variable == "sustainable" else []
                frames[number] = frame = frame.copy()
                rows = _keys(frame).isin(values.index[again])
                frame.loc[rows, [name for name in columns if name in frame]] = np.nan
            known = pd.concat([known, values[~again]]) if len(known) else values
    return list(zip(frames, notes, strict=True))


def _keys(frame: pd.DataFrame) -> pd.MultiIndex:
    """A country is the same with and without its code in the table."""
    return pd.MultiIndex.from_frame(frame[list(ENTITY)].replace({"kind": {"country": "region"}}))


def _values(frame: pd.DataFrame, variable: str) -> pd.Series:
    if variable == "sustainable" and {"sustainable", "overfished"} & set(frame):
        frame = sustainable(frame)
    if variable not in frame:
        return pd.Series(dtype=float)
    values = pd.Series(frame[variable].to_numpy(dtype=float), index=_keys(frame)).dropna()
    return values[~values.index.duplicated()]
