"""Stocks whose r and K are known: do the 90 % intervals hold them nine times in ten, and does the warning fire?

python -m experiments.fish_stocks --stocks 200 --csv experiments/fish_stocks/results.csv
"""

import argparse
import sys
import time

import numpy as np
import pandas as pd
from rich.progress import track

from fishnet.fisheries.dynamics import contrast, lag1_autocorrelation, warnings
from fishnet.fisheries.fitting import fit
from fishnet.fisheries.intervals import uncertainty
from fishnet.fisheries.production import FOX, SCHAEFER
from fishnet.fisheries.projecting import project
from fishnet.fisheries.simulating import STORIES, SimulatedStock, simulate_path, simulate_stock

QUANTITIES = ("r", "k", "msy", "bmsy", "fmsy", "b_bmsy", "f_fmsy")
NO_CONTRAST = "light and steady"
AHEAD = 5


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.fish_stocks", description=__doc__)
    parser.add_argument("--stocks", type=int, default=200)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--csv", help="write one row a stock here")
    arguments = parser.parse_args()
    began = time.time()
    table = simulated(arguments.stocks, seed=arguments.seed, resamples=arguments.resamples)
    if arguments.csv:
        table.to_csv(arguments.csv, index=False, float_format="%.5g")
    print(summary(table).to_string(float_format=lambda value: f"{value:.3f}"))
    print(f"{len(table)} stocks in {time.time() - began:.0f} s")
    missed = [f"{name}: {value:.3f}" for name, (value, good) in promises(table).items() if not good]
    print("all promises kept" if not missed else f"not kept: {', '.join(missed)}")
    return int(bool(missed))


def simulated(stocks: int, *, seed: int, resamples: int = 200) -> pd.DataFrame:
    """A row a stock: the curve and story in turn, one in eight with absolute biomass."""
    chance = np.random.default_rng(seed)
    rows = []
    for number in track(range(stocks), description="stocks", transient=True):
        curve = (SCHAEFER, FOX)[number % 2]
        one = simulate_stock(curve, STORIES[number // 2 % len(STORIES)], chance, absolute=number % 16 >= 14)
        rows.append(one_row(one, number, chance, resamples))
    return pd.DataFrame(rows)


def one_row(one: SimulatedStock, number: int, chance: np.random.Generator, resamples: int) -> dict:
    """Fitted with the curve that made it, as the intervals claim no more."""
    found = fit(one.curve, one.series)
    sure = uncertainty(found, resamples=resamples, seed=number)
    now = float(np.exp(one.states[-1]))
    truth = {
        "r": one.r,
        "k": one.k,
        "msy": one.msy,
        "bmsy": one.bmsy,
        "fmsy": one.fmsy,
        "b_bmsy": now / one.curve.bmsy,
        "f_fmsy": one.series.catch[0, -1] / (now * one.k) / one.fmsy,
    }
    said = warnings(found, sure)
    row: dict = {"stock": number, "curve": one.curve.name, "story": one.story, "absolute": one.series.absolute}
    for name in QUANTITIES:
        interval = sure.intervals[name]
        row |= {
            f"{name}_true": truth[name],
            name: interval.value,
            f"{name}_low": interval.low,
            f"{name}_high": interval.high,
        }
        row[f"{name}_held"] = interval.holds(truth[name])
    row |= {
        "contrast": contrast(found),
        "likeness": lag1_autocorrelation(found),
        "warned": bool(said),
        "warnings": "; ".join(said),
    }
    row |= {"process_true": one.process_error, "process": sure.process_error.value}
    row |= {"process_held": sure.process_error.holds(one.process_error)}
    row |= {"looking_true": one.observation_error, "looking": sure.observation_error.value}
    row |= {"looking_held": sure.observation_error.holds(one.observation_error)}
    return row | {"future_held": future_held(one, found, sure.stretch, chance)}


def future_held(one: SimulatedStock, found, stretch: float, chance: np.random.Generator) -> bool:
    """The stock lives on at Fmsy; does the projection of B/Bmsy hold it after five years?"""
    said = project(found, years=AHEAD, stretch=stretch, fishing=1.0)
    taken = np.array([one.series.catch[0, -1] / (np.exp(one.states[-1]) * one.k), *[one.fmsy] * AHEAD])
    states, _ = simulate_path(
        one.curve, np.array([one.r]), one.states[-1:], taken[None, :], chance, np.array([one.process_error])
    )
    truth = float(np.exp(states[0, -1])) / one.curve.bmsy
    return bool(said.b_bmsy[0, -1] <= truth <= said.b_bmsy[2, -1])


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Coverage, width and error: all stocks, and by story."""
    parts = {"all": table} | {story: table[table["story"] == story] for story in STORIES}
    rows = {}
    for name, part in parts.items():
        row = {"stocks": len(part), "warned": part["warned"].mean(), "MSY width": width(part).median()}
        row["MSY error"] = error(part).median()
        row |= {
            f"{quantity} held": part[f"{quantity}_held"].mean() for quantity in ("r", "k", "msy", "b_bmsy", "f_fmsy")
        }
        row |= {f"{other} held": part[f"{other}_held"].mean() for other in ("process", "looking", "future")}
        rows[name] = row
    return pd.DataFrame(rows).T


def width(table: pd.DataFrame) -> pd.Series:
    return (table["msy_high"] - table["msy_low"]) / table["msy"]


def error(table: pd.DataFrame) -> pd.Series:
    return (table["msy"] / table["msy_true"] - 1).abs()


def promises(table: pd.DataFrame) -> dict[str, tuple[float, bool]]:
    """What was promised before the first stock was made, as measured and whether it is kept."""
    told, silent = table[table["story"] != NO_CONTRAST], table[table["story"] == NO_CONTRAST]
    kept = {}
    for name in ("r", "k", "msy", "bmsy", "fmsy"):
        share = float(table[f"{name}_held"].mean())
        kept[f"{name} held"] = (share, 0.83 <= share <= 0.96)
    kept["MSY width with contrast"] = (float(width(told).median()), float(width(told).median()) <= 0.60)
    kept["MSY error with contrast"] = (float(error(told).median()), float(error(told).median()) <= 0.15)
    kept["warned without contrast"] = (float(silent["warned"].mean()), float(silent["warned"].mean()) >= 0.95)
    return kept


if __name__ == "__main__":
    sys.exit(main())
