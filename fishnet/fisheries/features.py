"""Catch history → what a model may know of a stock in a given year: nothing of its biomass, nothing of later years."""

import numpy as np
import pandas as pd

HISTORY = {
    "catch now / largest so far": "catch_to_peak",
    "catch now / mean so far": "catch_to_mean",
    "years since the largest catch": "years_since_peak",
    "years fished": "years_fished",
    "change over 5 years": "change_5",
    "change over 10 years": "change_10",
    "unrest of the last 10 years": "unrest",
    "share of years above half the peak": "share_high",
}
SPECIES = {"species category": "category", "resilience": "resilience"}
FEWEST_YEARS = 5


def stock_years(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for every stock and year whose B/Bmsy is known and that has enough of a past."""
    stocks = frame[(frame["kind"] == "stock") & frame["catch"].notna()].sort_values(["entity", "year"])
    parts = [_history(part) for _, part in stocks.groupby("entity", sort=False) if (part["catch"] > 0).any()]
    if not parts:
        return pd.DataFrame()
    table = pd.concat(parts, ignore_index=True)
    table = table[table["b_bmsy"].notna() & (table["years_fished"] >= FEWEST_YEARS)]
    for column in SPECIES.values():
        table[column] = table[column].fillna("unknown").replace("", "unknown") if column in table else "unknown"
    table["below"] = (table["b_bmsy"] < 1).astype(int)
    return table.reset_index(drop=True)


def _history(stock: pd.DataFrame) -> pd.DataFrame:
    """Running figures; each uses this year and those before it only."""
    kept = [name for name in ("entity", "year", "b_bmsy", "category", "resilience") if name in stock]
    out, catch = stock[kept].copy(), stock["catch"].astype(float)
    peak = catch.cummax().replace(0, np.nan).fillna(1.0)
    now = catch.rolling(3, min_periods=1).mean()
    little = 0.01 * peak
    order = pd.Series(np.arange(len(catch)), index=catch.index)
    out["catch_to_peak"] = now / peak
    out["catch_to_mean"] = now / catch.expanding().mean().replace(0, np.nan).fillna(1.0)
    out["years_since_peak"] = order - order.where(catch >= peak).ffill().fillna(0)
    out["years_fished"] = order + 1
    for back in (5, 10):
        before = now.shift(back)
        out[f"change_{back}"] = ((now + little) / (before + little)).apply(np.log).fillna(0.0)
    out["unrest"] = catch.rolling(10, min_periods=3).std().fillna(0.0) / peak
    out["share_high"] = (catch > 0.5 * peak).astype(float).expanding().mean()
    return out
