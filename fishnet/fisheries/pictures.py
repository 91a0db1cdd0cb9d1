"""The figures of the page, as data addresses."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from fishnet.fonts import shown
from fishnet.page.figures import BLUE, GREEN, INK, ORANGE, RED, SOFT, YELLOW, PageFigure, open_figure

from .dynamics import Dynamics, process_residuals
from .predicting import LearningResult
from .status import BIOMASS

PALE_GREEN, PALE_RED = "#c6e7cf", "#f5c6c6"
FIELDS = {(1, 0): PALE_GREEN, (1, 1): "#fbdcb8", (0, 0): "#fdf1bf", (0, 1): PALE_RED}  # (B ≥ Bmsy, F > Fmsy)
CORNERS = {
    (0.02, 0.98): "overfished and overfishing",
    (0.98, 0.98): "overfishing begins",
    (0.02, 0.02): "recovering",
    (0.98, 0.02): "healthy",
}
CLASS_COLOURS = dict(zip(BIOMASS, (RED, ORANGE, YELLOW, GREEN), strict=True))
DASHED: dict[str, Any] = {"color": SOFT, "linewidth": 0.8, "linestyle": (0, (4, 3))}
MOST_PANELS, MOST_NAMED, COLUMNS = 20, 36, 4


@contextmanager
def _panels(frame: pd.DataFrame, order: list[str]) -> Iterator[tuple[PageFigure, list[tuple[Axes, str, pd.DataFrame]]]]:
    """A figure with a panel an entity, four beside each other; each panel with its entity and the entity's rows."""
    order = order[:MOST_PANELS]
    count, rows = len(order), -(-len(order) // COLUMNS)
    with open_figure(11, 0.6 + 1.75 * rows) as figure:
        grid = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
        for axes in grid[count:]:
            axes.set_visible(False)
        for axes in grid[max(count - COLUMNS, 0) : count]:  # the lowest of their columns
            axes.tick_params(labelbottom=True)
        pairs = zip(grid, order, strict=False)
        yield figure, [(axes, entity, frame[frame["entity"] == entity]) for axes, entity in pairs]


def _whole_years(axes: Axes, most: int) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(most, integer=True))


# ---- status


def draw_sustainable(shares: pd.DataFrame, order: list[str]) -> str:
    """A panel a region: green is within sustainable levels, red is not."""
    with _panels(shares, order) as (figure, panels):
        for axes, entity, part in panels:
            year, share = part["year"].to_numpy(), part["sustainable"].to_numpy()
            axes.fill_between(year, share, 100, color=PALE_RED, linewidth=0)
            axes.fill_between(year, 0, share, color=PALE_GREEN, linewidth=0)
            axes.plot(year, share, color=INK, linewidth=1.2, marker="o", markersize=2.5)
            axes.set_title(shown(entity.replace(" (FAO)", ""), 30), fontsize=8.5, loc="left")
            axes.set_title(f"{share[-1]:.0f} %", fontsize=8.5, loc="right", fontweight="bold")
            axes.set(ylim=(0, 100))
            _whole_years(axes, 4)
            axes.yaxis.set_major_formatter(PercentFormatter(decimals=0))
    return figure.address


def draw_ratios(frame: pd.DataFrame, order: list[str]) -> str:
    """B/Bmsy in blue and F/Fmsy in red, with the middle half of the stocks where the table has it."""
    ratios = {"b_bmsy": (BLUE, "B/Bmsy"), "u_umsy": (RED, "F/Fmsy")}
    with _panels(frame, order) as (figure, panels):
        for axes, entity, part in panels:
            axes.axhline(1, **DASHED)
            for ratio, (colour, _) in ratios.items():
                if ratio in part:
                    axes.plot(part["year"], part[ratio], color=colour, linewidth=1.4)
                if f"{ratio}_low" in part:
                    ends = part[f"{ratio}_low"], part[f"{ratio}_high"]
                    axes.fill_between(part["year"], *ends, color=colour, alpha=0.13, linewidth=0)
            axes.set_title(shown(entity, 30), fontsize=8.5, loc="left")
            axes.set_ylim(0, 3.2)
            _whole_years(axes, 4)
        handles = [axes.plot([], [], color=colour, label=label)[0] for colour, label in ratios.values()]
        figure.legend(handles=handles, loc="outside upper left", ncols=2, frameon=False, fontsize=9)
    return figure.address


def draw_kobe(now: pd.DataFrame, path: pd.DataFrame, path_name: str) -> str:
    """Where each stands now, and one of them through time. Left is depleted, up is fished too hard."""
    with open_figure(11, 5.4) as figure:
        left, right = figure.subplots(1, 2, sharex=True, sharey=True)
        most_b = float(min(max(2.2, now["b_bmsy"].quantile(0.98), path["b_bmsy"].max()) * 1.08, 5))
        most_u = float(min(max(2.2, now["u_umsy"].quantile(0.98), path["u_umsy"].max()) * 1.08, 5))
        for axes in (left, right):
            for (good, hard), colour in FIELDS.items():
                width, height = (most_b - 1) if good else 1, (most_u - 1) if hard else 1
                axes.add_patch(Rectangle((good, hard), width, height, facecolor=colour, edgecolor="none", zorder=0))
            axes.set(xlim=(0, most_b), ylim=(0, most_u), xlabel="B/Bmsy: how much fish there is")
        left.set_ylabel("F/Fmsy: how hard it is fished")
        for (x, y), words in CORNERS.items():
            ha, va = "left" if x < 0.5 else "right", "bottom" if y < 0.5 else "top"
            left.text(x, y, words, transform=left.transAxes, ha=ha, va=va, fontsize=8, color=INK, alpha=0.75)
        at = now.assign(b=now["b_bmsy"].clip(upper=most_b * 0.985), u=now["u_umsy"].clip(upper=most_u * 0.985))
        left.scatter(at["b"], at["u"], s=22, color=INK, alpha=0.8, linewidths=0, zorder=3)
        if len(at) <= MOST_NAMED:
            for row in at.itertuples():
                name = shown(str(row.entity), 22)
                left.annotate(name, (row.b, row.u), xytext=(4, 2), textcoords="offset points", fontsize=6.5)
        left.set_title(f"each in its last year ({len(now)})", fontsize=10, loc="left")
        right.plot(path["b_bmsy"], path["u_umsy"], color=INK, linewidth=1, alpha=0.7)
        right.scatter(path["b_bmsy"], path["u_umsy"], c=path["year"], cmap="viridis", s=20, zorder=3, linewidths=0)
        step = max(1, len(path) // 7)
        for row in path.iloc[[*range(0, len(path) - step // 2 - 1, step), len(path) - 1]].itertuples():
            point = (row.b_bmsy, row.u_umsy)
            right.annotate(str(row.year), point, xytext=(4, 3), textcoords="offset points", fontsize=7.5)
        span = f"{path['year'].min()} to {path['year'].max()}"
        right.set_title(f"{shown(path_name, 40)}, {span}", fontsize=10, loc="left")
    return figure.address


def draw_stocks(counts: pd.DataFrame, below: pd.DataFrame) -> str:
    """How many stocks in which class, and the share below Bmsy with its interval."""
    with open_figure(11, 3.4) as figure:
        left, right = figure.subplots(1, 2, sharex=True)
        heights = [counts[name] for name in BIOMASS]
        left.stackplot(counts["year"], *heights, labels=BIOMASS, colors=list(CLASS_COLOURS.values()), linewidth=0)
        left.set_ylabel("stocks assessed")
        left.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(BIOMASS), frameon=False, fontsize=8)
        right.fill_between(below["year"], 100 * below["low"], 100 * below["high"], color=RED, alpha=0.15, linewidth=0)
        right.plot(below["year"], 100 * below["share"], color=RED, linewidth=1.6)
        right.set(ylim=(0, 100), ylabel="below Bmsy")
        right.yaxis.set_major_formatter(PercentFormatter(decimals=0))
        for axes in (left, right):
            _whole_years(axes, 7)
    return figure.address


def draw_catches(frame: pd.DataFrame, name: str, most: int) -> str:
    """Wild catch and aquaculture of one entity through time, and the countries with the largest catches."""
    with open_figure(11, 3.2) as figure:
        left, right = figure.subplots(1, 2)
        whole = frame[frame["entity"] == name]
        for variable, colour, words in (("catch", BLUE, "caught wild"), ("aquaculture", ORANGE, "farmed")):
            if variable in whole and whole[variable].notna().any():
                left.plot(whole["year"], whole[variable] / 1e6, color=colour, linewidth=1.6, label=words)
        left.set(ylim=(0, None), ylabel="million tonnes a year")
        left.set_title(name, loc="left", fontsize=10)
        left.legend(frameon=False, fontsize=8)
        _whole_years(left, 6)
        countries = frame[frame["kind"] == "country"].dropna(subset=["catch"])
        right.set_visible(len(countries) > 0)
        if len(countries):
            last = int(countries["year"].max())
            rows = countries[countries["year"] == last].nlargest(most, "catch")[::-1]
            names = [shown(str(entity), 26) for entity in rows["entity"]]
            right.barh(names, rows["catch"] / 1e6, color=BLUE, height=0.65)
            right.set_xlabel("million tonnes caught")
            right.set_title(f"largest catches, {last}", loc="left", fontsize=10)
    return figure.address


# ---- dynamics


def draw_fit(estimate: Dynamics) -> str:
    """What was seen and what the model makes of it; residuals; the surplus; the catches against MSY."""
    fitted, years = estimate.fit, estimate.stock.years
    k, r, q = (float(np.exp(value[0])) for value in (fitted.log_k, fitted.log_r, fitted.log_q))
    biomass, index, catch = fitted.biomass[0], fitted.series.index[0], fitted.series.catch[0]
    diagonal, bmsy = np.arange(len(years)), fitted.curve.bmsy
    factor = np.exp(1.645 * np.sqrt(fitted.covariance[0, diagonal, diagonal]))
    ratio = np.exp(fitted.states[0]) / bmsy
    with open_figure(11, 5.6) as figure:
        (seen, residuals), (surplus, caught) = figure.subplots(2, 2)
        seen.fill_between(years, ratio / factor, ratio * factor, color=BLUE, alpha=0.15, linewidth=0)
        seen.plot(years, ratio, color=BLUE, linewidth=1.6, label="fitted, 90 %")
        seen.plot(years, index / (q * k * bmsy), ".", color=INK, markersize=4.5, label="seen, divided by q")
        seen.axhline(1, **DASHED)
        seen.set(ylim=(0, None), ylabel="B/Bmsy")
        seen.legend(frameon=False, fontsize=8)
        _draw_residuals(residuals, estimate)
        p = np.linspace(0.001, 1.1, 200)
        surplus.plot(p * k, r * fitted.curve.shape(p) * k, color=BLUE, linewidth=1.6)
        added = biomass[1:] - biomass[:-1] + catch[:-1]
        surplus.scatter(biomass[:-1], added, c=years[:-1], cmap="viridis", s=14, linewidths=0)
        surplus.axvline(bmsy * k, **DASHED)
        surplus.axhline(0, color=SOFT, linewidth=0.6)
        surplus.set(xlabel="biomass", ylabel="surplus a year", xlim=(0, 1.15 * max(k, float(biomass.max()))))
        msy, most = estimate.uncertainty.intervals["msy"], float(catch.max())
        caught.bar(years, catch, color=SOFT, width=0.8)
        caught.axhspan(msy.low, msy.high, color=GREEN, alpha=0.15, linewidth=0)
        caught.axhline(msy.value, color=GREEN, linewidth=1.4, label="MSY, 90 %")
        caught.set(ylim=(0, 1.1 * max(most, min(msy.high, 3 * most))), ylabel="catch")
        caught.legend(frameon=False, fontsize=8)
        for axes in (seen, residuals, caught):
            _whole_years(axes, 7)
    return figure.address


def _draw_residuals(axes: Axes, estimate: Dynamics) -> None:
    """Both errors in standard deviations; a pattern here means that the model is missing something."""
    fitted, years = estimate.fit, estimate.stock.years
    log_k, log_q = float(fitted.log_k[0]), float(fitted.log_q[0])
    process = process_residuals(fitted) / float(fitted.process_error[0])
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = np.log(fitted.series.index[0])
    observation = (observed - log_q - log_k - fitted.states[0]) / float(fitted.observation_error[0])
    axes.axhline(0, color=SOFT, linewidth=0.8)
    axes.plot(years, observation, ".", color=INK, markersize=5, label="observation error")
    axes.bar(years[1:], process, color=BLUE, alpha=0.5, width=0.8, label="process error")
    axes.set(ylim=(-3.2, 3.2), ylabel="residual, in standard deviations")
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="upper left")


def draw_futures(estimate: Dynamics) -> str:
    """B/Bmsy of the last years, and where each rule leads."""
    years, futures = estimate.stock.years, estimate.futures
    past = np.exp(estimate.fit.states[0]) / estimate.fit.curve.bmsy
    with open_figure(11, 3.0) as figure:
        for axes, future in zip(figure.subplots(1, len(futures), sharey=True, squeeze=False)[0], futures, strict=True):
            ahead = years[-1] + 1 + np.arange(future.b_bmsy.shape[1])
            axes.plot(years[-25:], past[-25:], color=INK, linewidth=1.3)
            axes.fill_between(ahead, future.b_bmsy[0], future.b_bmsy[2], color=BLUE, alpha=0.18, linewidth=0)
            axes.plot(ahead, future.b_bmsy[1], color=BLUE, linewidth=1.6)
            axes.axhline(1, **DASHED)
            axes.set_title(future.rule, fontsize=9, loc="left")
            axes.set_ylim(0, None)
            _whole_years(axes, 5)
            above = f"above Bmsy in {ahead[-1]}: {100 * future.above[-1]:.0f} %"
            axes.text(0.02, 0.03, above, transform=axes.transAxes, fontsize=8)
        figure.axes[0].set_ylabel("B/Bmsy")
    return figure.address


# ---- learning


def draw_learning(learnt: LearningResult) -> str:
    """How well each model ranks the stocks, whether a probability means what it says, and which features count."""
    with open_figure(11, 3.6) as figure:
        ranking, calibration, importance = figure.subplots(1, 3)
        rows = learnt.metrics[(learnt.metrics["figure"] == "auc") & ~learnt.metrics["model"].str.contains("−")]
        height = np.arange(len(rows))[::-1]
        ends = [rows["value"] - rows["low"], rows["high"] - rows["value"]]
        ranking.errorbar(rows["value"], height, xerr=ends, fmt="o", color=BLUE, markersize=5, linewidth=1.4)
        ranking.axvline(0.5, **DASHED)
        ranking.set_yticks(height, list(rows["model"]))
        ranking.set(xlim=(0.4, 1.0), ylim=(-0.6, len(rows) - 0.4), xlabel="area under the curve, 95 % over stocks")
        calibration.plot([0, 1], [0, 1], **DASHED)
        for name, colour in (("logistic", SOFT), ("boosting", BLUE)):
            part = learnt.reliability[learnt.reliability["model"] == name]
            sizes = 8 + 250 * part["stocks"] / part["stocks"].sum()
            calibration.plot(part["predicted"], part["observed"], color=colour, linewidth=1, alpha=0.6)
            calibration.scatter(part["predicted"], part["observed"], s=sizes, color=colour, label=name)
        calibration.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability to be below Bmsy", ylabel="share that is")
        calibration.legend(frameon=False, fontsize=8, loc="upper left")
        top = learnt.importances.head(10)[::-1]
        if len(top):
            below, above = np.maximum(top["drop"] - top["low"], 0), np.maximum(top["high"] - top["drop"], 0)
            whiskers: dict[str, Any] = {"xerr": [below, above], "error_kw": {"linewidth": 0.8, "ecolor": SOFT}}
            importance.barh(top["feature"], top["drop"], color=BLUE, height=0.6, **whiskers)
        importance.set_xlabel("area lost when it is shuffled")
        importance.tick_params(axis="y", labelsize=7.5)
    return figure.address
