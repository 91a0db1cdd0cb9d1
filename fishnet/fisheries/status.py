"""How the fish are: within sustainable levels or not, above or below Bmsy, fished harder than they bear or not."""

import numpy as np
import pandas as pd
from scipy.stats import norm

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
    named = [QUADRANTS[bool(b >= 1), bool(u <= 1)] for b, u in zip(b_bmsy, u_umsy, strict=True)]
    return pd.Series(named, index=b_bmsy.index, dtype=object).where(b_bmsy.notna() & u_umsy.notna(), None)


def classified(frame: pd.DataFrame) -> pd.DataFrame:
    """Every row that tells B/Bmsy or F/Fmsy, with its classes."""
    out = frame[["kind", "entity", "year"]].copy()
    for what in ("b_bmsy", "u_umsy"):
        for column in (what, f"{what}_low", f"{what}_high"):
            out[column] = frame.get(column, np.nan)
    out = out[out["b_bmsy"].notna() | out["u_umsy"].notna()].reset_index(drop=True)
    out["biomass_class"] = biomass_class(out["b_bmsy"])
    pressure = pd.Series(np.where(out["u_umsy"] <= 1, *FISHING), index=out.index, dtype=object)
    out["fishing_class"] = pressure.where(out["u_umsy"].notna(), None)
    out["quadrant"] = quadrant(out["b_bmsy"], out["u_umsy"])
    return out.dropna(axis=1, how="all")


def latest(frame: pd.DataFrame, *needed: str) -> pd.DataFrame:
    """Each entity's last year that tells what is needed."""
    known = frame.dropna(subset=list(needed))
    return known.loc[known.groupby(["kind", "entity"])["year"].idxmax()].reset_index(drop=True)


def sustainable(frame: pd.DataFrame) -> pd.DataFrame:
    """Shares of stocks within sustainable levels by region and year; where only the overfished are told, the rest."""
    told = frame["sustainable"] if "sustainable" in frame else pd.Series(np.nan, index=frame.index)
    if "overfished" in frame:
        told = told.fillna(100 - frame["overfished"])
    out = frame[["kind", "entity", "year"]].assign(sustainable=told)
    return out[told.notna()].sort_values(["kind", "entity", "year"], ignore_index=True)


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
    ends = by.agg(
        first_year=("year", "first"),
        first=("sustainable", "first"),
        last_year=("year", "last"),
        last=("sustainable", "last"),
        years=("year", "size"),
    ).reset_index()
    ends["change"] = ends["last"] - ends["first"]
    return ends.sort_values("last", ignore_index=True)


def below_bmsy(frame: pd.DataFrame, fewest: int = 5, level: float = 0.95) -> pd.DataFrame:
    """A row a year: of the stocks assessed in it, how many lie below Bmsy, with Wilson's interval over stocks."""
    stocks = frame[(frame["kind"] == "stock") & frame["b_bmsy"].notna()]
    by = stocks.assign(below=stocks["b_bmsy"] < 1).groupby("year")["below"]
    out = pd.DataFrame({"stocks": by.size(), "below": by.sum()}).reset_index()
    out = out[out["stocks"] >= fewest].reset_index(drop=True)
    out["share"] = out["below"] / out["stocks"]
    out["low"], out["high"] = wilson(out["share"], out["stocks"], level)
    return out


def most_assessed(below: pd.DataFrame) -> pd.Series:
    """The year in which most stocks were assessed; of several, the latest."""
    return below[below["stocks"] == below["stocks"].max()].iloc[-1]


def wilson(share, count, level: float = 0.95):
    """The interval of a share that stays within 0 and 1 (Wilson 1927)."""
    z = norm.ppf((1 + level) / 2)
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return np.maximum(0, centre - half), np.minimum(1, centre + half)


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


def told_once(frames: list[pd.DataFrame]) -> list[tuple[pd.DataFrame, list[str]]]:
    """The tables without what one before them tells of the same stock and year, and sentences on what that was.

    Two downloads of one database would else count every stock twice.
    """
    frames = list(frames)
    notes: list[list[str]] = [[] for _ in frames]
    for what in ("sustainable", "b_bmsy", "u_umsy"):
        known = pd.Series(dtype=float)
        for place, frame in enumerate(frames):
            told = _told(frame, what)
            again = told.index.isin(known.index)
            differ = int((~np.isclose(told[again], known.reindex(told.index[again]))).sum())
            if again.any():
                said = f"{counted(int(again.sum()), 'value')} of {VALUES[what]} told by a table before this one, too"
                notes[place].append(f"{said}; {differ} of them otherwise: the first table counts" if differ else said)
                frames[place] = _blanked(frame, what, _keys(frame).isin(told.index[again]))
            known = pd.concat([known, told[~again]]) if len(known) else told
    return list(zip(frames, notes, strict=True))


def _keys(frame: pd.DataFrame) -> pd.MultiIndex:
    """A country is one with or without its code in the table."""
    return pd.MultiIndex.from_frame(frame[list(ENTITY)].replace({"kind": {"country": "region"}}))


def _told(frame: pd.DataFrame, what: str) -> pd.Series:
    if what == "sustainable" and {"sustainable", "overfished"} & set(frame):
        frame = sustainable(frame)
    if what not in frame:
        return pd.Series(dtype=float)
    told = pd.Series(frame[what].to_numpy(dtype=float), index=_keys(frame)).dropna()
    return told[~told.index.duplicated()]


def _blanked(frame: pd.DataFrame, what: str, rows: np.ndarray) -> pd.DataFrame:
    names = (what, f"{what}_low", f"{what}_high", *(["overfished"] if what == "sustainable" else []))
    frame = frame.copy()
    frame.loc[rows, [name for name in names if name in frame]] = np.nan
    return frame
