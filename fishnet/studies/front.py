"""Scores against what they cost: which trials no other beats in both, and which would be chosen with and without a
limit."""

import functools
import math
from collections.abc import Sequence, Set

from fishnet.measure.metrics import direction
from fishnet.page.figures import BLUE, GREEN, GRID, SOFT, open_figure
from fishnet.page.page import Chapter, prose
from fishnet.tracking.names import BEST_RELIANCE

from .pictures import PAPER, short_names
from .protocol import Limit, Stage
from .scoring import Scored
from .selection import best_by_score, is_within, ranked

BY_SCORE = "#c05621"
MOST_NAMED = 14  # points with names beside them

_prose = functools.partial(prose, "fishnet.studies", "prose.html")


def cost_metric(stage: Stage, trials: Sequence[Scored]) -> str:
    """What scores are weighed against: the limit's metric, or the reliance where trials log it; else empty."""
    if stage.limit is not None:
        return stage.limit.metric
    return BEST_RELIANCE if any(trial.values(BEST_RELIANCE) for trial in trials) else ""


def add_front(chapter: Chapter, stage: Stage, trials: Sequence[Scored], chosen: Set[str]) -> None:
    """The picture, and in words what the limit has changed; nothing where no two trials can be compared."""
    metric = cost_metric(stage, trials)
    known = [trial for trial in ranked(stage, trials) if metric and trial.values(metric)]
    if len(known) < 2:
        return
    by_score = best_by_score(stage, known)
    beyond = [trial.trial.name for trial in known if not is_within(stage, trial)]
    chapter.add_text(
        _prose().front(
            *(_figures(trial, stage.score, metric) for trial in (by_score, known[0])),
            metric, stage.limit and f"{stage.limit.most:g}", beyond, len(known), stage.score,
        )
    )  # fmt: skip
    drawn = draw_front(known, stage.score, metric, stage.limit, chosen, by_score)
    chapter.add_figure(drawn, _prose().front_picture(metric, metric == BEST_RELIANCE))


def _figures(trial: Scored, score: str, metric: str) -> tuple[str, str, str]:
    """Name, score and cost."""
    return trial.trial.name, f"{trial.spread(score).mean:.3f}", f"{trial.spread(metric).mean:.3f}"


def front_of(points: Sequence[tuple[float, float]], *, maximise: bool) -> list[int]:
    """Which of these (cost, score) no other beats in one without being worse in the other, from the least cost on."""
    sign = -1 if maximise else 1
    front, best = list[int](), math.inf
    for number in sorted(range(len(points)), key=lambda number: (points[number][0], sign * points[number][1])):
        if sign * points[number][1] < best:
            front.append(number)
            best = sign * points[number][1]
    return front


def draw_front(
    trials: Sequence[Scored], score: str, metric: str, limit: Limit | None, chosen: Set[str], by_score: Scored
) -> str:
    """A point a trial, its cost to the right and its score upwards; the front as a line, the limit as a dashed one, and
    the trials named that were chosen and that the score alone would choose."""
    points = [(trial.spread(metric).mean, trial.spread(score).mean) for trial in trials]
    names = short_names([trial.trial.name for trial in trials], 30)
    front = front_of(points, maximise=direction(score) == "max")
    with open_figure(8.4, 4.2) as figure:
        axes = figure.add_subplot()
        axes.plot(*zip(*(points[number] for number in front), strict=True), color=BLUE, linewidth=1.2, label="front")
        if limit is not None:
            axes.axvline(limit.most, color=SOFT, linestyle="--", linewidth=1.2, label=f"limit {limit.most:g}")
        for number, (trial, point, name) in enumerate(zip(trials, points, names, strict=True)):
            kept, tempting = trial.trial.digest in chosen, trial is by_score
            colour = GREEN if kept else BY_SCORE if tempting else BLUE if number in front else SOFT
            words = " and ".join([*(["chosen"] if kept else []), *(["best by score alone"] if tempting else [])])
            label = f"{words}: {name}" if words else None
            axes.plot(*point, "o", color=colour, markersize=9 if words else 6, label=label, zorder=3)
            if words or len(trials) <= MOST_NAMED:
                axes.annotate(name, point, (0, 8), textcoords="offset points", ha="center", fontsize=8, bbox=PAPER)
        axes.set(xlabel=metric, ylabel=score)
        axes.margins(0.12, 0.15)
        axes.grid(color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=8)
    return figure.address
