"""The figures of a study's page, as data addresses."""

import math
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

from fishnet.measure.metrics import metric_of
from fishnet.measure.pictures import MOST_CURVES, curves_picture, short_names
from fishnet.page.figures import BLUE, GREEN, GRID, SOFT, hide_spines, open_figure

from .journal import Journal
from .outcome import read_outcome
from .scoring import Scored

PAPER: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8}
MOST_ROWS = 40


def draw_ranking(
    rows: Sequence[Scored], key: str, verdicts: Mapping[str, str], chosen: Set[str], bars: Mapping[str, tuple]
) -> str:
    """A dot a trial with its interval, the best above; small dots are single trainings.

    An arrow at 0 or 1 says that the interval of a share goes on beyond what a share can be. All but `rows` is by the
    digest of a trial; `bars` are the intervals of trials that are a single training.
    """
    rows, metric = list(rows)[:MOST_ROWS], metric_of(key)
    is_share = metric is None or metric.is_share
    with open_figure(8.4, 0.7 + 0.28 * len(rows)) as figure:
        axes = figure.add_subplot()
        for height, row in enumerate(reversed(rows)):
            spread, digest = row.spread(key), row.trial.digest
            verdict = "alike" if row is rows[0] else verdicts.get(digest, "unknown")
            colour = GREEN if digest in chosen else BLUE if verdict == "alike" else SOFT
            low, high = (spread.low, spread.high) if spread.n > 1 else bars.get(digest, (math.nan, math.nan))
            if math.isfinite(low):
                axes.plot([low, high], [height, height], color=colour, linewidth=2, alpha=0.55, solid_capstyle="butt")
                for edge, arrow, beyond in ((0.0, "<", low < 0), (1.0, ">", high > 1)):
                    if is_share and beyond:
                        axes.plot(edge, height, arrow, color=colour, markersize=5, zorder=3)
            if spread.n > 1:
                singles = list(row.values(key).values())
                axes.plot(singles, [height] * len(singles), ".", color=SOFT, markersize=4, zorder=2)
            inside = "white" if verdict == "unknown" else colour
            axes.plot(spread.mean, height, "o", color=colour, markerfacecolor=inside, markersize=6, zorder=3)
        axes.set_yticks(range(len(rows)), short_names([row.trial.name for row in rows])[::-1])
        axes.set(ylim=(-0.7, len(rows) - 0.3), xlabel=key)
        if is_share:  # intervals of a few folds reach beyond what a share can be
            low, high = axes.get_xlim()
            axes.set_xlim(max(low, -0.02), min(high, 1.02))
        axes.grid(axis="x", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
    return figure.address


def draw_parallel(rows: Sequence[Scored], key: str, chosen: Set[str]) -> str:
    """Each trial a line through its settings to the metric it reached; empty where the settings do not differ."""
    every = sorted({name for row in rows for name in row.trial.settings})
    names = [name for name in every if len({repr(row.trial.settings.get(name)) for row in rows}) > 1]
    names = [name for name in names if not any(_follows(name, other, rows) for other in names)]
    if not names or len(rows) < 3:
        return ""
    scales = [_scale([row.trial.settings.get(name) for row in rows]) for name in names]
    means = [row.spread(key).mean for row in rows]
    low, high = min(means), max(means)
    with open_figure(8.4, 3.0) as figure:
        axes = figure.add_subplot()
        for row, mean in sorted(zip(rows, means, strict=True), key=lambda pair: pair[1]):
            heights = [scale(row.trial.settings.get(name)) for name, (scale, _) in zip(names, scales, strict=True)]
            height = (mean - low) / ((high - low) or 1.0)
            kept = row.trial.digest in chosen
            colour, width, alpha = (GREEN, 2.2, None) if kept else (BLUE, 1.2, 0.15 + 0.6 * height)
            axes.plot(range(len(names) + 1), [*heights, height], color=colour, linewidth=width, alpha=alpha)
        marks_of_metric = [(0.0, f"{low:.3f}"), (1.0, f"{high:.3f}")]
        for column, marks in enumerate([*(marks for _, marks in scales), marks_of_metric]):
            axes.axvline(column, color=SOFT, linewidth=0.8)
            for height, text in marks:
                axes.text(column + 0.02, height, text, fontsize=8, va="center", bbox=PAPER)
        axes.set_xticks(range(len(names) + 1), [*(name.rsplit(".", 1)[-1] for name in names), key])
        axes.set_yticks([])
        axes.set(xlim=(-0.05, len(names) + 0.35), ylim=(-0.06, 1.06))
        hide_spines(axes)
    return figure.address


def _follows(name: str, other: str, rows: Sequence[Scored]) -> bool:
    """Whether the other setting decides this one, as a network decides its padding; random numbers do not."""
    pairs = {(repr(row.trial.settings.get(other)), repr(row.trial.settings.get(name))) for row in rows}
    others, own = (len(set(values)) for values in zip(*pairs, strict=True))
    return len(pairs) == others < len(rows) and (own < others or (own == others and other < name))


def _scale(values: Sequence[Any]) -> tuple[Callable[[Any], float], list[tuple[float, str]]]:
    """Where a value lies on an axis from 0 to 1, and the marks there: rates by their logarithm, words in order."""
    numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if len(numbers) == len(values) and len(set(numbers)) > 4:
        low, high = min(numbers), max(numbers)
        marks = [(0.0, f"{low:.3g}"), (1.0, f"{high:.3g}")]
        if low > 0 and high / low > 20:
            return (lambda value: math.log(value / low) / math.log(high / low)), marks
        return (lambda value: (value - low) / (high - low)), marks

    def order(text: str) -> tuple[float, str]:
        try:
            return float(text), text
        except ValueError:
            return math.inf, text

    texts = sorted({repr(value) for value in values}, key=order)
    heights = {text: number / max(1, len(texts) - 1) for number, text in enumerate(texts)}
    labels = {text: "–" if text == "None" else text.strip("'").rsplit("/", 1)[-1][:20] for text in texts}
    return (lambda value: heights[repr(value)]), [(heights[text], labels[text]) for text in texts]


def draw_curves(rows: Sequence[Scored], journal: Journal, key: str) -> str:
    """The learning curves of the best trials; empty where no training has gone on for two epochs."""
    curves = {
        row.trial.name: [read_outcome(journal.run_of(cell)).curves for cell in row.trial.cells]
        for row in list(rows)[:MOST_CURVES]
    }
    return curves_picture(curves, list(dict.fromkeys(["loss", key.partition("/")[2]])))
