"""The table for those who have none: made stocks in four made seas, each with a known r and K."""

import numpy as np
import pandas as pd

from .production import FOX, SCHAEFER
from .simulating import STORIES, Truth, made_stock

SEAS = ("Cold Bay", "Grey Bank", "Long Reach", "Warm Shelf")
# group of species → its r a year: slow ones suffer most from the same fishing
GROUPS = {"sharks": (0.10, 0.25), "cods": (0.25, 0.5), "flatfish": (0.2, 0.45), "herrings": (0.45, 0.9)}
RESILIENCE = {"sharks": "very low", "cods": "medium", "flatfish": "medium", "herrings": "high"}
FIRST_YEAR, YEARS, STOCKS, SEEN = 1975, 45, 48, 0.10


def sample(stocks: int = STOCKS, years: int = YEARS, seed: int = 7) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table as it would be published, and the truth behind it."""
    chance = np.random.default_rng(seed)
    tables, truths = [], []
    for number in range(stocks):
        sea, group = SEAS[number % len(SEAS)], list(GROUPS)[(number // len(SEAS)) % len(GROUPS)]
        story = STORIES[int(chance.choice(len(STORIES), p=[0.4, 0.15, 0.3, 0.15]))]
        curve = (SCHAEFER, FOX)[number % 2]
        one = made_stock(curve, story, chance, years=years, r=float(chance.uniform(*GROUPS[group])))
        name = f"{group[:3].upper()}{number + 1:02d}"
        tables.append(_published(one, name, group, sea, chance))
        truths.append(
            {
                "stockid": name,
                "curve": curve.name,
                "r": one.r,
                "K": one.k,
                "MSY": one.msy,
                "Bmsy": one.bmsy,
                "Fmsy": one.fmsy,
                "story": story,
            }
        )
    return pd.concat(tables, ignore_index=True), pd.DataFrame(truths)


def _published(one: Truth, name: str, group: str, sea: str, chance: np.random.Generator) -> pd.DataFrame:
    catch, index = one.series.catch[0], one.series.index[0]
    years = len(catch)
    ratio = np.exp(one.states) / one.curve.bmsy * np.exp(chance.normal(0, SEEN, years))
    pressure = catch / (np.exp(one.states) * one.k) / one.fmsy * np.exp(chance.normal(0, SEEN, years))
    return pd.DataFrame(
        {
            "stockid": name,
            "stocklong": f"{group.capitalize()} {name[3:]}, {sea}",
            "region": sea,
            "species category": group,
            "resilience": RESILIENCE[group],
            "year": FIRST_YEAR + np.arange(years),
            "catch (tonnes)": catch.round(1),
            "survey index": [f"{value:.5g}" for value in index],
            "BdivBmsy": ratio.round(3),
            "UdivUmsy": pressure.round(3),
        }
    )
