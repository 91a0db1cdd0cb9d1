"""The study's pictures as SVG text, so that one file is the whole page and stays sharp at any size."""

import io
import math
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from fishnet.page.look import BLUE, SOFT, page_look

from .journal import Journal
from .outcome import read_outcome
from .scoring import Scored

GREEN = "#2f855a"
PAPER: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8}
LOSSES = ("train/loss", "val/loss")
MOST_ROWS, MOST_CURVES = 40, 8


def drawn(width: float, height: float, draw: Callable[[Figure], None]) -> str:
    with page_look({"svg.fonttype": "none", "font.family": "sans-serif"}):  # the browser draws the letters
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure)
        text = io.StringIO()
        figure.savefig(
            text, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")), transparent=True
        )
    svg = text.getvalue()
    return svg[svg.index("<svg") :]


def ranking(
    rows: Sequence[Scored], key: str, words: Mapping[str, str], chosen: Set[str], bars: Mapping[str, tuple]
) -> str:
    """A dot a trial with its interval; small dots are single trainings. An arrow: the interval goes on beyond what a
    share can be. `words`, `chosen` and `bars` go by the digests of trials."""
    rows = list(rows)[:MOST_ROWS]

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for place, one in enumerate(reversed(rows)):
            worth, digest = one.spread(key), one.trial.digest
            word = "alike" if one is rows[0] else words.get(digest, "unknown")
            colour = GREEN if digest in chosen else BLUE if word == "alike" else SOFT
            low, high = (worth.low, worth.high) if worth.n > 1 else bars.get(digest, (math.nan, math.nan))
            if math.isfinite(low):
                axes.plot([low, high], [place, place], color=colour, linewidth=2, alpha=0.55, solid_capstyle="butt")
                beyond = [] if key.endswith("loss") else [(0.0, "<", low < 0), (1.0, ">", high > 1)]
                for edge, arrow, shown in beyond:
                    axes.plot([edge] * shown, [place] * shown, arrow, color=colour, markersize=5, zorder=3)
            if worth.n > 1:
                singles = list(one.values(key).values())
                axes.plot(singles, [place] * len(singles), ".", color=SOFT, markersize=4, zorder=2)
            inside = "white" if word == "unknown" else colour
            axes.plot(worth.mean, place, "o", color=colour, markerfacecolor=inside, markersize=6, zorder=3)
        axes.set_yticks(range(len(rows)), labels([one.trial.name for one in rows])[::-1])
        axes.set_ylim(-0.7, len(rows) - 0.3)
        axes.set_xlabel(key)
        if not key.endswith("loss"):  # intervals of a few folds reach beyond what a share can be
            low, high = axes.get_xlim()
            axes.set_xlim(max(low, -0.02), min(high, 1.02))
        axes.grid(axis="x", color="#e2e8f0", linewidth=0.8)
        axes.set_axisbelow(True)

    return drawn(8.4, 0.7 + 0.28 * len(rows), draw)


def parallel(rows: Sequence[Scored], key: str, chosen_ones: Set[str]) -> str:
    """Each trial a line through what it has chosen or received, to what it reached; empty where nothing differs."""
    keys = sorted({k for one in rows for k in one.trial.settings})
    keys = [k for k in keys if len({repr(one.trial.settings.get(k)) for one in rows}) > 1]
    keys = [k for k in keys if not any(_follows(k, other, rows) for other in keys)]
    if not keys or len(rows) < 3:
        return ""
    scales = [_scale([one.trial.settings.get(k) for one in rows], k) for k in keys]
    worth = [one.spread(key).mean for one in rows]
    low, high = min(worth), max(worth)
    span = (high - low) or 1.0

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        order = sorted(zip(rows, worth, strict=True), key=lambda pair: pair[1])
        for one, value in order:
            places = [scale[0](one.trial.settings.get(k)) for k, scale in zip(keys, scales, strict=True)]
            share = (value - low) / span
            chosen = one.trial.digest in chosen_ones
            colour = GREEN if chosen else BLUE
            axes.plot(
                range(len(keys) + 1),
                [*places, share],
                color=colour,
                alpha=1.0 if chosen else 0.15 + 0.6 * share,
                linewidth=2.2 if chosen else 1.2,
            )
        for place, (_, marks) in enumerate([*scales, (None, [(0.0, f"{low:.3f}"), (1.0, f"{high:.3f}")])]):
            axes.axvline(place, color=SOFT, linewidth=0.8)
            for height, text in marks:
                axes.text(place + 0.02, height, text, fontsize=8, va="center", bbox=PAPER)
        names = [k.rsplit(".", 1)[-1] for k in keys]
        axes.set_xticks(range(len(keys) + 1), [*names, key])
        axes.set_yticks([])
        axes.set_ylim(-0.06, 1.06)
        axes.set_xlim(-0.05, len(keys) + 0.35)
        for side in axes.spines.values():
            side.set_visible(False)

    return drawn(8.4, 3.0, draw)


def _follows(key: str, other: str, rows: Sequence[Scored]) -> bool:
    """Whether the other choice already says this one, as a network says its padding; numbers drawn at random do not."""
    pairs = {(repr(one.trial.settings.get(other)), repr(one.trial.settings.get(key))) for one in rows}
    others, own = ({pair[place] for pair in pairs} for place in (0, 1))
    return len(pairs) == len(others) < len(rows) and (
        len(own) < len(others) or (len(own) == len(others) and other < key)
    )


def _scale(values: Sequence[Any], key: str) -> tuple[Callable[[Any], float], list[tuple[float, str]]]:
    """Where a value lies on its axis, and what is written there: rates by their logarithm, words by their order."""
    numbers = [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
    if len(numbers) == len(values) and len(set(numbers)) > 4:
        low, high = min(numbers), max(numbers)
        wide = low > 0 and high / low > 20
        place = (lambda v: math.log(v / low) / math.log(high / low)) if wide else (lambda v: (v - low) / (high - low))
        return place, [(0.0, f"{low:.3g}"), (1.0, f"{high:.3g}")]
    texts = sorted({repr(v) for v in values}, key=lambda text: (_number(text), text))
    step = 1.0 / max(1, len(texts) - 1)
    places = {text: number * step for number, text in enumerate(texts)}
    marks = [(height, text.strip("'").rsplit("/", 1)[-1][:20]) for text, height in places.items()]
    marks = [(height, "–" if text == "None" else text) for height, text in marks]
    return (lambda v: places[repr(v)]), marks


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.inf


def curves(rows: Sequence[Scored], journal: Journal, key: str) -> str:
    """Training and validation by epoch, of the best trials: where the two part, the network learns by heart."""
    figure_of = key.partition("/")[2]
    panels = [("loss", "loss")] + ([(figure_of, figure_of)] if figure_of != "loss" else [])
    chosen = list(rows)[:MOST_CURVES]
    told = {one.trial.digest: [read_outcome(journal.run_of(cell)).curves for cell in one.trial.cells] for one in chosen}
    if not any(len(c.get("val/loss", ())) > 1 for lines in told.values() for c in lines):
        return ""
    colours = ["#2b6cb0", "#c05621", "#2f855a", "#6b46c1", "#b83280", "#4a5568", "#00838f", "#975a16"]

    def draw(figure: Figure) -> None:
        axes_of = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (name, label) in zip(axes_of, panels, strict=True):
            for colour, one in zip(colours, chosen, strict=False):
                for part, style in (("train", ":"), ("val", "-")):
                    mean = _mean([c.get(f"{part}/{name}", {}) for c in told[one.trial.digest]])
                    if mean:
                        axes.plot([e + 1 for e in mean], list(mean.values()), style, color=colour, linewidth=1.4)
            axes.set_xlabel("epoch")
            axes.set_ylabel(label)
            if name == "loss" and _wide([c.get(k, {}) for lines in told.values() for c in lines for k in LOSSES]):
                axes.set_yscale("log")  # one that ran away would hide all others
                axes.yaxis.set_major_formatter("{x:g}")
            _whole_ticks(axes)
        handles = [axes_of[0].plot([], [], color=c)[0] for c, _ in zip(colours, chosen, strict=False)]
        named = labels([one.trial.name for one in chosen], 30)
        figure.legend(handles, named, loc="outside right upper", frameon=False, fontsize=8)

    return drawn(9.4, 3.1, draw)


def _wide(curves_of: Sequence[Mapping[int, float]]) -> bool:
    values = [value for curve in curves_of for value in curve.values() if value > 0]
    return bool(values) and max(values) > 20 * sorted(values)[len(values) // 2]


def _whole_ticks(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _mean(curves_of: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """As far as all of them go: where one stops early, the mean of the others would jump."""
    told = [curve for curve in curves_of if curve]
    epochs = sorted(set.intersection(*(set(curve) for curve in told))) if told else []
    return {e: sum(curve[e] for curve in told) / len(told) for e in epochs}


def labels(names: Sequence[str], most: int = 44) -> list[str]:
    """As long as there is room for. What tells names apart mostly stands at their end: cut out of the middle, and not
    at all where that makes two of them the same."""
    half = most // 2
    short = [name if len(name) <= most else f"{name[: most - half - 1]}…{name[-half:]}" for name in names]
    return [text if short.count(text) == 1 else name for text, name in zip(short, names, strict=True)]
