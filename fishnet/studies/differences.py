"""Which differences mean something: each trial against its stage's best, on the same folds or the same photos."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from fishnet.measure.bootstrap import difference

from .journal import Journal
from .scoring import Scored, spread

BY_PHOTO = ("accuracy", "f1_macro", "f1_weighted", "precision_macro", "recall_macro")


class Difference(NamedTuple):
    value: float
    low: float
    high: float
    how: str

    @property
    def shown(self) -> bool:
        """Whether zero lies outside the interval."""
        return self.low > 0 or self.high < 0


def against(best: Scored, other: Scored, journal: Journal, key: str) -> Difference | None:
    """Best minus other: over the trainings they share (Student's t), or, from a single one, over photos drawn again by
    group; None where neither can be said."""
    first, second = best.values(key), other.values(key)
    common = sorted(set(first) & set(second), key=str)
    if len(common) > 1:
        worth = spread([first[cell] - second[cell] for cell in common])
        if worth.sd < 1e-9 and worth.mean != 0:  # a few equal differences are no certainty
            return _by_photo(best, other, journal, key, common[0])
        return Difference(worth.mean, worth.low, worth.high, f"paired over {worth.n} trainings")
    if len(common) == 1:
        return _by_photo(best, other, journal, key, common[0])
    return None


def _by_photo(best: Scored, other: Scored, journal: Journal, key: str, cell: tuple) -> Difference | None:
    part, _, figure = key.partition("/")
    name = "predictions.csv" if part == "test" else "validation.csv"
    mine, others = (answers(one, journal, cell, name) for one in (best, other))
    if figure not in BY_PHOTO or mine is None or others is None:
        return None
    both = mine.merge(others, on=["path", "class", "group"], suffixes=("", "_other"))
    if len(both) < 2 or both["group"].nunique() < 2:
        return None
    names = sorted({*both["class"], *both["predicted"], *both["predicted_other"]})
    number = {name: place for place, name in enumerate(names)}
    label, first, second = (
        np.array([number[name] for name in both[column]]) for column in ("class", "predicted", "predicted_other")
    )
    found = difference(label, first, second, both["group"].to_numpy(), len(names), figure=figure)
    return Difference(*found, f"paired over {both['group'].nunique()} groups of photos")


def answers(one: Scored, journal: Journal, cell: tuple, name: str) -> pd.DataFrame | None:
    for training in one.trial.cells:
        path: Path = journal.run_of(training) / "report" / name
        if (training.fold, training.seed) == cell and path.is_file():
            return pd.read_csv(path, dtype={"path": str, "class": str, "predicted": str}, keep_default_na=False)
    return None


def alike(best: Scored, found: Difference | None) -> bool:
    return found is not None and not found.shown and math.isfinite(found.value)
