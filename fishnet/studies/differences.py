"""Each trial against its stage's best, on the same folds or on the same photos, as far as the study's files tell.

The best was picked by looking: each comparison with it counts as one of all pairs of trials (Holm).
"""

import math
import statistics
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from fishnet.measure.significance import Difference, holm, over_folds, over_photos

from .journal import Journal
from .scoring import Scored

BY_PHOTO = ("accuracy", "f1_macro", "f1_weighted", "precision_macro", "recall_macro")
ALARMS = 0.05  # false ones, over all comparisons of a stage


class Verdict(NamedTuple):
    """Of one trial beside the best; `p` is Holm's."""

    word: Literal["behind", "alike", "unknown"]
    difference: Difference | None = None
    p: float = math.nan


def judged(best: Scored, others: Sequence[Scored], journal: Journal, key: str) -> dict[str, Verdict]:
    """By the digest of each of the others: behind the best, not distinguishable from it, or nothing known."""
    verdicts = {entry.trial.digest: Verdict("unknown") for entry in others}
    compared = {entry.trial.digest: against(best, entry, journal, key) for entry in others}
    known = {digest: difference for digest, difference in compared.items() if difference is not None}
    pairs = math.comb(len(others) + 1, 2)
    for digest, p in holm({digest: known[digest].p for digest in known}, comparisons=pairs).items():
        behind = known[digest].value > 0 and p < ALARMS
        verdicts[digest] = Verdict("behind" if behind else "alike", known[digest], p)
    return verdicts


def against(best: Scored, other: Scored, journal: Journal, key: str) -> Difference | None:
    """Over the folds that both have or, where it is only one, over its photos; None where neither is known."""
    first, second = best.values(key), other.values(key)
    cells = sorted(set(first) & set(second), key=str)
    folds: dict[int | None, list[float]] = {}
    for cell in cells:
        folds.setdefault(cell[0], []).append(first[cell] - second[cell])
    if len(folds) > 1:
        count, val = best.trial.value("data.folds") or len(folds), best.trial.value("data.val") or 0.0
        shared = max(1 / (count - 1), val / (1 - val) if key.startswith("val/") else 0.0)
        return over_folds([statistics.fmean(seeds) for seeds in folds.values()], shared)

    part, _, metric = key.partition("/")
    name = "predictions.csv" if part == "test" else "validation.csv"
    tables = [answers(entry, journal, cell, name) for entry in (best, other) for cell in cells]
    if not cells or metric not in BY_PHOTO or any(table is None for table in tables):
        return None
    predicted = [table.set_index(["path", "class", "group"])["predicted"] for table in tables if table is not None]
    both = pd.concat(predicted, axis=1, join="inner", keys=range(len(predicted))).reset_index()
    if both["group"].nunique() < 2:
        return None
    names = np.unique(both.drop(columns=["path", "group"]).to_numpy(dtype=str))
    label = np.searchsorted(names, both["class"].to_numpy(dtype=str))
    numbers = np.searchsorted(names, both[range(len(predicted))].to_numpy(dtype=str).T)
    of_best, of_other = np.split(numbers, 2)
    return over_photos(label, of_best, of_other, both["group"].to_numpy(), len(names), metric)


def answers(entry: Scored, journal: Journal, cell: tuple[int | None, int], name: str) -> pd.DataFrame | None:
    """The predictions that the training of this fold and seed has left; None where they cannot be read."""
    for training in entry.trial.cells:
        path = journal.run_of(training) / "report" / name
        if (training.fold, training.seed) == cell and path.is_file():
            try:
                table = pd.read_csv(path, dtype={"path": str, "class": str, "predicted": str}, keep_default_na=False)
            except (OSError, ValueError):
                return None
            return table if {"path", "class", "predicted", "group"} <= set(table) else None
    return None


def same_photos(trials: Sequence[Scored], journal: Journal, name: str) -> bool | None:
    """Whether all of them were measured on the same photos in each fold; None where somebody's are not known."""
    photos: dict[int | None, set[frozenset[str]]] = {}
    for entry in trials:
        for cell in entry.trial.cells:
            table = answers(entry, journal, (cell.fold, cell.seed), name)
            if table is None:
                return None
            photos.setdefault(cell.fold, set()).add(frozenset(table["path"]))
    return all(len(sets) == 1 for sets in photos.values())
