"""Whether some photos of a class are learned at once and others are not: what is easy is learned first.

A few short trainings with other seeds, and for each held-out photo the mean over them of the logarithm of the
probability of its own class. Where a class's photos lie far apart, some show what its other photos lack. That may be a
shortcut, or a side of the animal: a suspicion, and no verdict.
"""

import functools
from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.special import log_softmax

from fishnet.data.folder import PhotoFolder
from fishnet.models.interface import Classifier
from fishnet.page.figures import BLUE, GRID, open_figure
from fishnet.page.page import Chapter, prose

from .folder import answers
from .sections import Audited, Section

LOWEST = 1e-4  # probability, below which all photos are equally unknown
SHOWN = 20  # classes in the picture; all are in spread.csv
TICKS = (1e-4, 1e-3, 1e-2, 0.1, 1)

_prose = functools.partial(prose, "fishnet.audit", "prose.html")


def early_answers(models: Iterable[Classifier], folder: PhotoFolder, rows: np.ndarray, batch_size: int) -> pd.DataFrame:
    """A row for each of these rows of the folder: path, class, and `log_p`, the mean over the models of the logarithm
    of the probability of the photo's class, clipped at LOWEST.

    Args:
        models: one after the other, so that one at a time lies in memory; each after a short training.
        folder: with the models' labels.
        rows: of photos that none of them has learned from.
        batch_size: photos at once.
    """
    table = folder.table.iloc[rows]
    own = table["label"].to_numpy()
    logs = [log_softmax(answers(model, folder, rows, batch_size), axis=1)[np.arange(len(own)), own] for model in models]
    log_p = np.maximum(logs, np.log(LOWEST)).mean(axis=0)
    return table[["path", "class"]].reset_index(drop=True).assign(log_p=log_p)


def spread_table(early: pd.DataFrame) -> pd.DataFrame:
    """A row a class, those first whose photos lie furthest apart: `photos`, `mean` and `spread`, the standard deviation
    of `log_p` within the class."""
    figures = {"photos": ("log_p", "size"), "mean": ("log_p", "mean"), "spread": ("log_p", lambda x: x.std(ddof=0))}
    return early.groupby("class").agg(**figures).sort_values("spread", ascending=False, kind="stable").reset_index()


def spread_section(audited: Audited) -> Section | None:
    """spread.csv with the classes, early.csv with the photos, and a picture; None where no short training was made."""
    early = audited.early
    if early is None:
        return None
    table = spread_table(early)
    chapter = Chapter("What is learned at once")
    full, short = audited.called.full, audited.called.short
    chapter.add_text(_prose().spread(table.assign(**{"class": table["class"].map(full)}).iloc[0]))
    shown = early.assign(**{"class": early["class"].map(short)})
    chapter.add_figure(
        strips(shown, table["class"].map(short).tolist()[:SHOWN]), _prose().spread_caption(len(table), SHOWN)
    )
    rows = [[full(row["class"]), row["photos"], f"{row['spread']:.2f}"] for row in table.to_dict("records")]
    chapter.add_table(["class", "photos", "spread"], rows, numeric=[1, 2], folded="the spread of each class")
    tables = {"spread": table.round(4), "early": early.round(4)}
    return Section(chapter, tables, {"audit/spread_max": float(table["spread"].max())})


def strips(early: pd.DataFrame, classes: list[str]) -> str:
    """Address of a picture: a strip a class, a dot a photo, further right the surer it was recognised early."""
    rng = np.random.default_rng(0)
    with open_figure(7.5, 0.7 + 0.42 * len(classes)) as figure:
        axes = figure.subplots()
        for place, name in enumerate(classes):
            values = early.loc[early["class"] == name, "log_p"].to_numpy()
            heights = place + rng.uniform(-0.28, 0.28, len(values))
            axes.scatter(values, heights, s=9, color=BLUE, alpha=0.45, linewidths=0)
        axes.set_xticks(np.log(TICKS), [f"{tick:g}" for tick in TICKS])
        axes.set_xlim(np.log(LOWEST) - 0.2, 0.2)
        axes.set_yticks(range(len(classes)), classes)
        axes.set_ylim(len(classes) - 0.5, -0.5)
        axes.grid(axis="x", color=GRID)
        axes.set_axisbelow(True)
        axes.set_xlabel("probability of the photo's own class after the short trainings (logarithmic)")
    return figure.address
