"""The page's chapters on what was estimated: fits with their futures, and what models can tell from catches."""

from typing import Any

import numpy as np
import pandas as pd

from fishnet.page.page import Chapter, format_number, prose

from . import pictures
from .columns import VALUES
from .dynamics import NAMES, Dynamics, contrast
from .findings import Findings
from .fitting import PRIOR_K, PRIOR_R, PRIOR_START
from .intervals import Interval

METRICS = {"auc": "area under the curve", "balanced_accuracy": "balanced accuracy"}
METRICS |= {"brier": "Brier score", "calibration_error": "calibration error"}
ERRORS = {f"{kind}_error": f"{kind} error, standard deviation" for kind in ("process", "observation")}
TRUTH = {"r": "r", "k": "K", "msy": "MSY", "bmsy": "Bmsy", "fmsy": "Fmsy"}  # quantity → column of truth.csv


def sentences() -> Any:
    return prose("fishnet.fisheries", "prose.html")


def dynamics_chapter(findings: Findings) -> Chapter | None:
    """The model in words, then each stock that was fitted."""
    if not findings.dynamics:
        return None
    chapter = Chapter("How stocks grow: fits and futures")
    beliefs = []
    for centre, sd in (PRIOR_R, PRIOR_K, PRIOR_START):  # log-normal: the median, and the range that holds nine in ten
        middle, low, high = (format_number(float(np.exp(centre + z * sd))) for z in (0, -1.645, 1.645))
        beliefs.append(f"{middle} ({low} to {high})")
    chapter.add_text(sentences().model(), sentences().intervals(*beliefs))
    for each in findings.dynamics:
        _add_stock(chapter, each, findings.truth)
    return chapter


def _add_stock(chapter: Chapter, each: Dynamics, truth: pd.DataFrame | None) -> None:
    stock = each.stock
    chapter.add_heading(f"{stock.title}, {stock.years[0]} to {stock.years[-1]}")
    if each.warnings:
        chapter.add_warning("; ".join(each.warnings) + ". Read the figures below as questions.")
    curves = VALUES[stock.measure], contrast(each.fit), each.evidence_gap, each.undecided, each.best
    chapter.add_text(sentences().curves(*curves), *stock.notes)
    if stock.measure == "b_bmsy":
        chapter.add_text(sentences().second_opinion())
    of_fits = {name: sure for name, (_, sure) in each.fits.items()}
    rows = [[words, *(interval(sure.intervals[key]) for sure in of_fits.values())] for key, words in NAMES.items()]
    rows += [[words, *(interval(getattr(sure, key)) for sure in of_fits.values())] for key, words in ERRORS.items()]
    header = ["", *(f"{name.capitalize()}, 90 % interval" for name in of_fits)]
    if truth is not None:
        known = truth[truth["stockid"] == stock.entity].iloc[0]
        header.append("true")
        for row, key in zip(rows, [*NAMES, *ERRORS], strict=True):
            row.append(format_number(float(known[TRUTH[key]])) if key in TRUTH else "–")
    chapter.add_table(header, rows)
    chapter.add_figure(pictures.draw_fit(each), sentences().fit_figure(each.best))
    chapter.add_figure(pictures.draw_futures(each), sentences().futures_figure())


def interval(value: Interval) -> str:
    """The estimate with the ends of its interval, as it is written in a cell."""
    if value.low == value.high:
        return format_number(value.value)
    return f"{format_number(value.value)} ({format_number(value.low)} – {format_number(value.high)})"


def learning_chapter(findings: Findings) -> Chapter | None:
    """How well models of catches tell which stocks lie below Bmsy, or why nothing could be learnt."""
    learnt = findings.learnt
    if learnt is None and not findings.not_learnt:
        return None
    chapter = Chapter("Can catches alone tell?")
    if learnt is None:
        chapter.add_text(f"Not asked of these tables: {findings.not_learnt}.")
        return chapter
    answers = learnt.answers
    stocks, below = answers["entity"].nunique(), float(answers["below"].mean())
    chapter.add_text(sentences().learning(len(answers), stocks, learnt.folds, below))
    chapter.add_figure(pictures.draw_learning(learnt), sentences().learning_figure())
    rows = []
    for name, part in learnt.metrics.groupby("model", sort=False):
        cells = {row.figure: f"{row.value:.3f} ({row.low:.3f} – {row.high:.3f})" for row in part.itertuples()}
        rows.append((str(name), *(cells.get(key, "–") for key in METRICS)))
    chapter.add_table(["Model, 95 % over stocks", *METRICS.values()], rows)
    chapter.add_text(sentences().rule_of_thumb(learnt.metric("boosting − rule of thumb", "auc")))
    return chapter
