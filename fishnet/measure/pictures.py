"""The measurements as pictures: confusions, the tree of alike classes, confidence against accuracy, learning curves."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.ticker import MaxNLocator
from scipy.cluster.hierarchy import dendrogram

from fishnet.fonts import shown
from fishnet.page.figures import BLUE, GREEN, GRID, INK, RED, SOFT, hide_spines, open_figure

from .calibration import Reliability
from .confusions import notes_on_classes, row_shares
from .metrics import METRICS

Curves = Mapping[str, Mapping[int, float]]  # of a training: metric, such as `val/loss`, → value by epoch

CURVE_COLOURS = [BLUE, "#c05621", GREEN, "#6b46c1", "#b83280", "#4a5568", "#00838f", "#975a16"]
MOST_CURVES = len(CURVE_COLOURS)
LOSSES = ("train/loss", "val/loss")
MANY = 30  # with more classes, numbers in the cells could not be read


def draw_confusions(matrix: np.ndarray, groups: np.ndarray, names: list[str], path: Path) -> None:
    """Rows are true classes; shade and percentage are shares of the row, the number above counts photos.

    A row whose class has too few `groups` says so beside its name.
    """
    count, shares = len(names), row_shares(matrix)
    side = max(4.2, 0.62 * count) if count <= MANY else min(6 + 0.13 * count, 24)
    shade = PowerNorm(1.0 if count <= MANY else 0.6, vmin=0, vmax=1)  # without numbers, faint cells must still show
    with open_figure(side + 2.2, side + 1.6, path) as figure:
        axes = figure.add_subplot()
        image = axes.imshow(shares, cmap="Blues", norm=shade, interpolation="nearest")
        _name_both_sides(
            axes, names, notes_on_classes(groups), size=9.0 if count <= MANY else max(3.0, min(9.0, 40 * side / count))
        )
        if count <= MANY:
            _write_cells(axes, matrix, shares)
        bar = figure.colorbar(image, ax=axes, shrink=0.6, pad=0.02)
        bar.set_label("share of the true class", fontsize=10)
        axes.set_title(f"Which class is taken for which: {int(matrix.sum()):,} photos", fontsize=12, pad=12)
        bar.outline.set_visible(False)  # type: ignore[operator]


def _name_both_sides(axes: Axes, names: list[str], notes: Iterable[str], size: float) -> None:
    labels, few = [shown(name) for name in names], len(names) <= 6
    slant: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if few else {"rotation": 90}
    axes.set_xticks(range(len(names)), labels, fontsize=size, **slant)
    axes.set_yticks(range(len(names)), _with_notes(labels, notes), fontsize=size)
    axes.set_xlabel("answer", fontsize=11)
    axes.set_ylabel("true class", fontsize=11)
    axes.tick_params(length=0)
    hide_spines(axes)


def _write_cells(axes: Axes, matrix: np.ndarray, shares: np.ndarray) -> None:
    size = 9 if len(matrix) <= 12 else 6.5
    for row, column in zip(*np.nonzero(matrix), strict=True):
        share = shares[row, column]
        text = f"{matrix[row, column]}\n{share:.0%}"
        colour = "white" if share > 0.55 else INK
        axes.text(column, row, text, ha="center", va="center", fontsize=size, color=colour, linespacing=1.15)


def _with_notes(labels: Iterable[str], notes: Iterable[str]) -> list[str]:
    return [f"{label} · {note}" if note else label for label, note in zip(labels, notes, strict=True)]


def draw_dendrogram(tree: np.ndarray, groups: np.ndarray, names: list[str], path: Path) -> None:
    """From similar on the left to unlike on the right: the further left two classes join, the more often the model
    takes them for each other.

    A class with too few `groups` says so beside its name.
    """
    count = len(names)
    height = max(2.6, min(0.28 * count + 1.6, 30))
    with open_figure(8.5, height, path) as figure:
        axes = figure.add_subplot()
        dendrogram(
            tree,
            labels=_with_notes([shown(name, 32) for name in names], notes_on_classes(groups)),
            orientation="right",
            ax=axes,
            color_threshold=0,
            above_threshold_color=BLUE,
            leaf_font_size=min(9.0, 45 * height / count),
        )
        nearest = float(tree[:, 2].min())
        axes.set_xlim(max(0.0, nearest - max(0.02, (1 - nearest) * 0.15)), 1.005)
        axes.set_xlabel("distance = 1 − mean share of photos taken for the other", fontsize=10)
        axes.set_title("Which classes look alike to the model", fontsize=12, pad=12)
        axes.set_title("← similar", loc="left", fontsize=10, color=SOFT)
        axes.set_title("unlike →", loc="right", fontsize=10, color=SOFT)
        axes.grid(axis="x", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        hide_spines(axes, "top", "right", "left")


def draw_reliability(before: Reliability, after: Reliability, temperature: float, path: Path) -> None:
    """On the diagonal a probability means what it says; below it the model is surer than it is right."""
    with open_figure(6.2, 6.6, path) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
        upper.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle=(0, (4, 3)))
        _curve(upper, lower, before, RED, f"as trained, error {before.error:.3f}")
        _curve(upper, lower, after, BLUE, f"at temperature {temperature:.2f}, error {after.error:.3f}")
        upper.set(xlim=(0, 1.01), ylim=(0, 1.03), ylabel="share right")
        named = upper.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False, fontsize=9, scatterpoints=1)
        for handle in named.legend_handles:
            handle.set_sizes([40])  # in the plot a point's size counts its photos
        lower.set(xlabel="confidence", ylabel="share of photos", ylim=(0, None))
        for axes in (upper, lower):
            hide_spines(axes, "top", "right")


def _curve(upper: Axes, lower: Axes, part: Reliability, colour: str, title: str) -> None:
    """Accuracy by confidence, dots as large as their share of the photos, and that share below."""
    filled, share = part.photos > 0, part.photos / part.photos.sum()
    points = part.confidence[filled], part.accuracy[filled]
    upper.plot(*points, color=colour, linewidth=1.2, alpha=0.45)
    upper.scatter(*points, s=10 + 360 * share[filled], color=colour, alpha=0.9, linewidths=0, label=title)
    bins = len(share) - 1
    heights = [*share[: bins - 1], share[bins - 1 :].sum()]  # full confidence belongs to the last bin to the eye
    lower.stairs(heights, np.linspace(0, 1, bins + 1), color=colour, linewidth=1.4)


def curves_picture(curves: Mapping[str, Sequence[Curves]], metrics: Sequence[str], best: int | None = None) -> str:
    """Training (dotted) and validation by epoch: where the two part, the network overfits.

    Args:
        curves: by name, the trainings whose mean is drawn; as many names as there are colours.
        metrics: a panel each, without the part (`loss`).
        best: the epoch that was kept, for a vertical line.

    Returns:
        A data address; empty where no training has gone on for two epochs.
    """
    keys = [f"{part}/{metric}" for metric in metrics for part in ("train", "val")]
    if not any(len(run.get(key, ())) > 1 for runs in curves.values() for run in runs for key in keys):
        return ""
    drawn = dict(zip(list(curves)[:MOST_CURVES], CURVE_COLOURS, strict=False))
    with open_figure(9.4, 3.1) as figure:
        panels = figure.subplots(1, len(metrics), squeeze=False)[0]
        for axes, metric in zip(panels, metrics, strict=True):
            for name, colour in drawn.items():
                for part, style in (("train", ":"), ("val", "-")):
                    filled = [curve for run in curves[name] if (curve := run.get(f"{part}/{metric}"))]
                    # as far as all of them go: where one stops early, the mean of the others would jump
                    if epochs := sorted(set.intersection(*map(set, filled))) if filled else []:
                        means = [sum(curve[epoch] for curve in filled) / len(filled) for epoch in epochs]
                        axes.plot([epoch + 1 for epoch in epochs], means, style, color=colour, linewidth=1.4)
            if best is not None:
                axes.axvline(best + 1, color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)))
            axes.set(xlabel="epoch", ylabel=next((each.label for each in METRICS if each.name == metric), metric))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        losses = [run.get(name, {}).values() for name in LOSSES for each in drawn for run in curves[each]]
        positive = sorted(value for values in losses for value in values if value > 0)
        if positive and positive[-1] > 20 * positive[len(positive) // 2]:
            panels[0].set_yscale("log")  # one that ran away would hide all others
            panels[0].yaxis.set_major_formatter("{x:g}")
        if len(drawn) > 1:
            handles = [panels[0].plot([], [], color=colour)[0] for colour in drawn.values()]
            names = short_names(list(drawn), 30)
        else:
            styles = {"training": ":", "validation": "-"}
            handles = [panels[0].plot([], [], style, color=CURVE_COLOURS[0])[0] for style in styles.values()]
            names = list(styles)
        figure.legend(handles, names, loc="outside right upper", frameon=False, fontsize=8)
    return figure.address


def short_names(names: Sequence[str], most: int = 44) -> list[str]:
    """Names cut to the room there is, in the middle, for what tells them apart mostly stands at their end; those that
    would become equal stay as they are."""
    half = most // 2
    short = [name if len(name) <= most else f"{name[: most - half - 1]}…{name[-half:]}" for name in names]
    return [text if short.count(text) == 1 else name for text, name in zip(short, names, strict=True)]
