"""Both protocols side by side: `python -m experiments.leak --by-fish SWEEP --by-frame SWEEP` (folders under outputs/).

Every photo is in one test fold of each protocol, so the answers of the five folds together cover all photos. Accuracy
is over those, with 95 % intervals from drawing whole fish again, in both protocols: frames of a fish are near copies.
"""

import argparse
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import pandas as pd

FISH = r"(.+)_frame"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--by-fish", type=Path, required=True)
    parser.add_argument("--by-frame", type=Path, required=True)
    chosen = parser.parse_args()
    right = {name: answers(getattr(chosen, name)) for name in ("by_fish", "by_frame")}
    for name, folds in right.items():
        each = [float(fold["right"].mean()) for fold in folds]
        low, value, high = drawn(pd.concat(folds))
        print(
            f"{name}: accuracy {value:.3f} [{low:.3f}, {high:.3f}] over fish; "
            f"mean of {len(each)} folds {mean(each):.3f}, sd {stdev(each):.3f}"
        )
    low, value, high = drawn(*(pd.concat(right[name]) for name in ("by_frame", "by_fish")))
    print(f"the leak: {value:.3f} [{low:.3f}, {high:.3f}]")


def answers(sweep: Path) -> list[pd.DataFrame]:
    """A table a fold: which fish, and whether the answer was right."""
    tables = [pd.read_csv(file) for file in sorted(sweep.glob("*/report/predictions.csv"))]
    return [
        pd.DataFrame({"fish": table["path"].str.extract(FISH)[0], "right": table["class"] == table["predicted"]})
        for table in tables
    ]


def drawn(photos: pd.DataFrame, less: pd.DataFrame | None = None, resamples: int = 2000) -> tuple[float, float, float]:
    """The accuracy (or its difference to that of other answers on the same fish) with its interval."""
    sums = [table.groupby("fish")["right"].agg(["sum", "count"]) for table in (photos, less) if table is not None]
    chance = np.random.default_rng(0)
    draws = chance.integers(0, len(sums[0]), (resamples, len(sums[0])))

    def accuracy(table: pd.DataFrame, rows: np.ndarray) -> np.ndarray:
        totals = table.to_numpy()[rows].sum(axis=-2)
        return totals[..., 0] / totals[..., 1]

    everyone = np.arange(len(sums[0]))
    values = [np.append(accuracy(table, draws), accuracy(table, everyone)) for table in sums]
    figure = values[0] - values[1] if less is not None else values[0]
    low, high = np.percentile(figure[:-1], [2.5, 97.5])
    return float(low), float(figure[-1]), float(high)


if __name__ == "__main__":
    main()
