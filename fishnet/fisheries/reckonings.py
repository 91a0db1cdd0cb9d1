"""The page's chapters on what was reckoned: fits with their futures, and what a machine can tell from catches."""

import numpy as np
import pandas as pd

from fishnet.page.page import Chapter, format_number

from . import pictures
from .dynamics import CLEAR, NAMES, Dynamics
from .findings import Findings
from .fitting import PRIOR_K, PRIOR_R, PRIOR_START
from .intervals import Interval


def dynamics_chapter(found: Findings) -> Chapter | None:
    if not found.dynamics:
        return None
    chapter = Chapter("How stocks grow: fits and futures")
    chapter.add_text(
        "A surplus-production model is the simplest that answers a manager: next year's biomass is this year's, "
        "plus the "
        "surplus, minus the catch. Schaefer's curve puts the largest surplus at K/2, Fox's at 37 % of K. Two kinds "
        "of chance are kept apart: nature's (good and bad years) and ours (a survey sees more or less than there is).",
        "Every interval holds the truth nine times in ten if the model is right: the fitted stock is lived again "
        "many times, "
        "fitted again each time, and how far those fits miss sets the width. Believed beforehand, with the range "
        "that holds "
        f"nine in ten: r {_belief(PRIOR_R)} a year, K {_belief(PRIOR_K)} times the largest catch, the first year at "
        f"{_belief(PRIOR_START)} of K. Where a table says little, these decide, and it is said. Catches are taken as "
        "exact. The last two rows of each table are rougher than the rest: of 200 made stocks their ranges held "
        "the truth in 72 % (nature) and 87 % (looking), for a bad year and a bad survey look much alike.",
    )
    for one in found.dynamics:
        _one(chapter, one, found.truth)
    return chapter


def _one(chapter: Chapter, one: Dynamics, truth: pd.DataFrame | None) -> None:
    chosen = one.chosen
    chapter.add_heading(f"{chosen.title}, {chosen.years[0]} to {chosen.years[-1]}")
    if one.warnings:
        chapter.add_warning("; ".join(one.warnings) + ". Read the figures below as questions.")
    chapter.add_text(_which(one), *chosen.notes)
    if chosen.measure == "b_bmsy":
        chapter.add_text(
            "The table's B/Bmsy is itself the answer of an assessment; only its shape is used here, not its level, "
            "so the B/Bmsy below is a second opinion and not a copy."
        )
    known = _known(truth, chosen.entity)
    names = list(one.fits)
    header = ["", *[f"{name}, 90 % interval" for name in names], *(["true"] if known else [])]
    rows = []
    for key, words in NAMES.items():
        cells = [interval(one.fits[name][1].intervals[key]) for name in names]
        rows.append((words, *cells, *([format_number(known[key]) if key in known else "–"] if known else [])))
    for words, attribute in (("chance in nature", "process"), ("chance in looking", "looking")):
        cells = [interval(getattr(one.fits[name][1], attribute)) for name in names]
        rows.append((words + ", standard deviation", *cells, *(["–"] if known else [])))
    chapter.add_table(header, rows)
    chapter.add_figure(
        pictures.draw_fit(one.fit, one.doubt, chosen.years),
        f"{one.best.capitalize()}. Above: biomass and what was seen of it; what the model leaves over. "
        "Below: the surplus of each "
        "year on the curve (dark is early, light is late); catches beside MSY.",
    )
    chapter.add_figure(
        pictures.draw_futures(one.fit, chosen.years, one.futures),
        "Futures: the middle one, and the nine in ten around it. Left as much caught as asked or as in the last "
        "three years, "
        "right as hard fished as asked.",
    )


def _belief(prior: tuple[float, float]) -> str:
    centre, sd = prior
    middle, low, high = (format_number(float(np.exp(centre + z * sd))) for z in (0, -1.645, 1.645))
    return f"{middle} ({low} to {high})"


def interval(value: Interval) -> str:
    if value.low == value.high:
        return format_number(value.value)
    return f"{format_number(value.value)} ({format_number(value.low)} – {format_number(value.high)})"


def _which(one: Dynamics) -> str:
    measured = f"Biomass is known as {one.chosen.measured}, and changed {one.contrast:.1f}-fold."
    if one.apart is None:
        return measured
    if one.apart < CLEAR:
        doubtful = f"The table does not tell the two curves apart (log evidence differs by {one.apart:.1f})"
        return f"{measured} {doubtful}; {one.best} is drawn."
    return f"{measured} {one.best.capitalize()} is likelier (log evidence {one.apart:.1f} higher)."


def _known(truth: pd.DataFrame | None, entity: str) -> dict[str, float]:
    if truth is None:
        return {}
    row = truth[truth["stockid"] == entity].iloc[0]
    return {
        key: float(row[name])
        for key, name in (("r", "r"), ("k", "K"), ("msy", "MSY"), ("bmsy", "Bmsy"), ("fmsy", "Fmsy"))
    }


def learning_chapter(found: Findings) -> Chapter | None:
    if found.learnt is None:
        if not found.not_learnt:
            return None
        chapter = Chapter("Can catches alone tell?")
        chapter.add_text(f"Not asked of these tables: {found.not_learnt}.")
        return chapter
    learnt = found.learnt
    chapter = Chapter("Can catches alone tell?")
    asked, stocks = len(learnt.answers), learnt.answers["entity"].nunique()
    chapter.add_text(
        "Most stocks of the world have catches and no assessment. So: from the history of its catches and the kind "
        "of species, "
        f"which stock lies below Bmsy? {asked} questions about {stocks} stocks were asked of models that knew neither "
        f"the stock nor the years ({learnt.folds} folds: groups of stocks, each after a moment in time). "
        f"{100 * learnt.answers['below'].mean():.0f} % of the answers are 'below'."
    )
    chapter.add_figure(
        pictures.draw_learning(learnt),
        "Left: how well each model ranks stocks; 0.5 is guessing. Middle: on the diagonal a probability means what "
        "it says. "
        "Right: what boosting goes by, as the area lost when one column is shuffled, with its spread over folds.",
    )
    rows = []
    for name in learnt.figures["model"].drop_duplicates():
        part = learnt.figures[learnt.figures["model"] == name].set_index("figure")
        cells = [
            f"{part.value[key]:.3f} ({part.low[key]:.3f} – {part.high[key]:.3f})" if key in part.index else "–"
            for key in ("auc", "balanced_accuracy", "brier", "calibration_error")
        ]
        rows.append((name, *cells))
    chapter.add_table(
        ["model, 95 % over stocks", "area under the curve", "balanced accuracy", "Brier score", "calibration error"],
        rows,
    )
    gain = learnt.figure("boosting − rule of thumb", "auc")
    verdict = "better than" if gain.low > 0 else "worse than" if gain.high < 0 else "not told apart from"
    chapter.add_text(
        f"The rule of thumb looks at one figure only: the catch now against the largest so far. Boosting is {verdict} "
        "it "
        f"({gain.value:+.3f}, {gain.low:+.3f} to {gain.high:+.3f}). Such answers sort stocks for a closer look; they "
        "are no assessment: catches also fall because a quota, a price or a war says so."
    )
    return chapter
