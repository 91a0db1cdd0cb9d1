"""Figures as text: each is one SVG that goes into the page as it is, so that the page needs nothing beside it."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from fishnet.fonts import shown
from fishnet.page.figures import open_figure
from fishnet.page.look import BLUE, GREEN, INK, ORANGE, RED, SOFT, YELLOW

from .fitting import Fit
from .intervals import Doubt
from .predicting import Learnt
from .production import grown
from .projecting import Future
from .status import BIOMASS

FIELDS = {(1, 0): "#c6e7cf", (1, 1): "#fbdcb8", (0, 0): "#fdf1bf", (0, 1): "#f5c6c6"}  # (B ≥ Bmsy, F > Fmsy)
CLASS_COLOURS = dict(zip(BIOMASS, (RED, ORANGE, YELLOW, GREEN), strict=True))
MOST_PANELS, MOST_NAMED = 20, 36


def _panels(figure: Figure, count: int, columns: int = 4) -> list[Axes]:
    rows = -(-count // columns)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in grid[count:]:
        axes.set_visible(False)
    for axes in grid[max(count - columns, 0) : count]:  # the lowest of their columns
        axes.tick_params(labelbottom=True)
    return list(grid[:count])


def _grid(count: int, columns: int = 4) -> tuple[float, float]:
    return 11.0, 0.6 + 1.75 * -(-count // columns)


# ---- status


def draw_sustainable(shares: pd.DataFrame, order: list[str]) -> str:
    """A panel a region: green is within sustainable levels, red is not."""
    order = order[:MOST_PANELS]
    with open_figure(*_grid(len(order))) as figure:
        for axes, entity in zip(_panels(figure, len(order)), order, strict=True):
            part = shares[shares["entity"] == entity]
            year, share = part["year"].to_numpy(), part["sustainable"].to_numpy()
            axes.fill_between(year, share, 100, color="#f5c6c6", linewidth=0)
            axes.fill_between(year, 0, share, color="#c6e7cf", linewidth=0)
            axes.plot(year, share, color=INK, linewidth=1.2, marker="o", markersize=2.5)
            axes.set_title(shown(entity.replace(" (FAO)", ""), 30), fontsize=8.5, loc="left")
            axes.set_title(f"{share[-1]:.0f} %", fontsize=8.5, loc="right", fontweight="bold")
            axes.set(ylim=(0, 100))
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            axes.yaxis.set_major_formatter(PercentFormatter(decimals=0))
    return figure.address


def draw_ratios(frame: pd.DataFrame, order: list[str]) -> str:
    """B/Bmsy in blue and F/Fmsy in red, with the middle half of the stocks where the table tells it."""
    order = order[:MOST_PANELS]
    with open_figure(*_grid(len(order))) as figure:
        for axes, entity in zip(_panels(figure, len(order)), order, strict=True):
            part = frame[frame["entity"] == entity]
            axes.axhline(1, color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)))
            for what, colour in (("b_bmsy", BLUE), ("u_umsy", RED)):
                if what not in part:
                    continue
                axes.plot(part["year"], part[what], color=colour, linewidth=1.4)
                if f"{what}_low" in part:
                    axes.fill_between(
                        part["year"], part[f"{what}_low"], part[f"{what}_high"], color=colour, alpha=0.13, linewidth=0
                    )
            axes.set_title(shown(entity, 30), fontsize=8.5, loc="left")
            axes.set_ylim(0, 3.2)
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        figure.legend(
            handles=[axes.plot([], [], color=BLUE, label="B/Bmsy")[0], axes.plot([], [], color=RED, label="F/Fmsy")[0]],
            loc="outside upper left",
            ncols=2,
            frameon=False,
            fontsize=9,
        )
    return figure.address


def draw_kobe(now: pd.DataFrame, path: pd.DataFrame, path_name: str) -> str:
    """Where each stands now, and one of them through time. Left is depleted, up is fished too hard."""
    with open_figure(11, 5.4) as figure:
        left, right = figure.subplots(1, 2, sharex=True, sharey=True)
        most_b = float(min(max(2.2, now["b_bmsy"].quantile(0.98), path["b_bmsy"].max()) * 1.08, 5))
        most_u = float(min(max(2.2, now["u_umsy"].quantile(0.98), path["u_umsy"].max()) * 1.08, 5))
        for axes in (left, right):
            for (good, hard), colour in FIELDS.items():
                start = (1 if good else 0, 1 if hard else 0)
                size = ((most_b - 1) if good else 1, (most_u - 1) if hard else 1)
                axes.add_patch(_box(start, size, colour))
            axes.set(xlim=(0, most_b), ylim=(0, most_u), xlabel="B/Bmsy: how much fish there is")
        left.set_ylabel("F/Fmsy: how hard it is fished")
        for x, y, ha, va, words in (
            (0.02, 0.98, "left", "top", "overfished and overfishing"),
            (0.98, 0.98, "right", "top", "overfishing begins"),
            (0.02, 0.02, "left", "bottom", "recovering"),
            (0.98, 0.02, "right", "bottom", "healthy"),
        ):
            left.text(x, y, words, transform=left.transAxes, ha=ha, va=va, fontsize=8, color=INK, alpha=0.75)
        at = now.assign(b=now["b_bmsy"].clip(upper=most_b * 0.985), u=now["u_umsy"].clip(upper=most_u * 0.985))
        left.scatter(at["b"], at["u"], s=22, color=INK, alpha=0.8, linewidths=0, zorder=3)
        if len(at) <= MOST_NAMED:
            for row in at.itertuples():
                left.annotate(
                    shown(str(row.entity), 22), (row.b, row.u), xytext=(4, 2), textcoords="offset points", fontsize=6.5
                )
        left.set_title(f"each in its last year ({len(now)})", fontsize=10, loc="left")
        _draw_path(right, path)
        right.set_title(
            f"{shown(path_name, 40)}, {path['year'].min()} to {path['year'].max()}", fontsize=10, loc="left"
        )
    return figure.address


def _box(start: tuple[int, int], size: tuple[float, float], colour: str) -> Rectangle:
    return Rectangle(start, *size, facecolor=colour, edgecolor="none", zorder=0)


def _draw_path(axes: Axes, path: pd.DataFrame) -> None:
    axes.plot(path["b_bmsy"], path["u_umsy"], color=INK, linewidth=1, alpha=0.7)
    axes.scatter(path["b_bmsy"], path["u_umsy"], c=path["year"], cmap="viridis", s=20, zorder=3, linewidths=0)
    step = max(1, len(path) // 7)
    for row in path.iloc[[*range(0, len(path) - step // 2 - 1, step), len(path) - 1]].itertuples():
        axes.annotate(str(row.year), (row.b_bmsy, row.u_umsy), xytext=(4, 3), textcoords="offset points", fontsize=7.5)


def draw_stocks(counts: pd.DataFrame, below: pd.DataFrame) -> str:
    """How many stocks in which class, and the share below Bmsy with its interval."""
    with open_figure(11, 3.4) as figure:
        left, right = figure.subplots(1, 2, sharex=True)
        left.stackplot(
            counts["year"],
            *[counts[name] for name in BIOMASS],
            labels=BIOMASS,
            colors=[CLASS_COLOURS[name] for name in BIOMASS],
            linewidth=0,
        )
        left.set_ylabel("stocks assessed")
        left.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(BIOMASS), frameon=False, fontsize=8)
        right.fill_between(below["year"], 100 * below["low"], 100 * below["high"], color=RED, alpha=0.15, linewidth=0)
        right.plot(below["year"], 100 * below["share"], color=RED, linewidth=1.6)
        right.set(ylim=(0, 100), ylabel="below Bmsy")
        right.yaxis.set_major_formatter(PercentFormatter(decimals=0))
        for axes in (left, right):
            axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    return figure.address


def draw_catches(frame: pd.DataFrame, name: str, most: int) -> str:
    with open_figure(11, 3.2) as figure:
        left, right = figure.subplots(1, 2)
        whole = frame[frame["entity"] == name]
        for what, colour, words in (("catch", BLUE, "caught wild"), ("aquaculture", ORANGE, "farmed")):
            if what in whole and whole[what].notna().any():
                left.plot(whole["year"], whole[what] / 1e6, color=colour, linewidth=1.6, label=words)
        left.set(ylim=(0, None), ylabel="million tonnes a year")
        left.set_title(name, loc="left", fontsize=10)
        left.legend(frameon=False, fontsize=8)
        left.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        top = frame[frame["kind"] == "country"].dropna(subset=["catch"])
        if len(top):
            last = int(top["year"].max())
            rows = top[top["year"] == last].nlargest(most, "catch")[::-1]
            right.barh(
                [shown(str(entity), 26) for entity in rows["entity"]], rows["catch"] / 1e6, color=BLUE, height=0.65
            )
            right.set_xlabel("million tonnes caught")
            right.set_title(f"largest catches, {last}", loc="left", fontsize=10)
        else:
            right.set_visible(False)
    return figure.address


# ---- dynamics


def draw_fit(found: Fit, doubt: Doubt, years: np.ndarray) -> str:
    """What was seen and what the model makes of it; what is left over; the surplus; the catches against MSY."""
    k, r, q = float(np.exp(found.log_k[0])), float(np.exp(found.log_r[0])), float(np.exp(found.log_q[0]))
    count = len(years)
    biomass, index = found.biomass[0], found.series.index[0]
    sd = np.sqrt(found.covariance[0, np.arange(count), np.arange(count)])
    ratio = np.exp(found.states[0]) / found.curve.bmsy
    with open_figure(11, 5.6) as figure:
        (seen, left_over), (surplus, caught) = figure.subplots(2, 2)
        seen.fill_between(
            years, ratio * np.exp(-1.645 * sd), ratio * np.exp(1.645 * sd), color=BLUE, alpha=0.15, linewidth=0
        )
        seen.plot(years, ratio, color=BLUE, linewidth=1.6, label="fitted, 90 %")
        seen.plot(years, index / (q * k * found.curve.bmsy), ".", color=INK, markersize=4.5, label="seen, divided by q")
        seen.axhline(1, color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)))
        seen.set(ylim=(0, None), ylabel="B/Bmsy")
        seen.legend(frameon=False, fontsize=8)
        _draw_residuals(left_over, found, years)
        p = np.linspace(0.001, 1.1, 200)
        surplus.plot(p * k, r * found.curve.shape(p) * k, color=BLUE, linewidth=1.6)
        added = biomass[1:] - biomass[:-1] + found.series.catch[0, :-1]
        surplus.scatter(biomass[:-1], added, c=years[:-1], cmap="viridis", s=14, linewidths=0)
        surplus.axvline(found.curve.bmsy * k, color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)))
        surplus.axhline(0, color=SOFT, linewidth=0.6)
        surplus.set(xlabel="biomass", ylabel="surplus a year", xlim=(0, 1.15 * max(k, float(biomass.max()))))
        msy = doubt.intervals["msy"]
        caught.bar(years, found.series.catch[0], color=SOFT, width=0.8)
        caught.axhspan(msy.low, msy.high, color=GREEN, alpha=0.15, linewidth=0)
        caught.axhline(msy.value, color=GREEN, linewidth=1.4, label="MSY, 90 %")
        caught.set_ylim(
            0, 1.1 * max(float(found.series.catch.max()), min(msy.high, 3 * float(found.series.catch.max())))
        )
        caught.set_ylabel("catch")
        caught.legend(frameon=False, fontsize=8)
        for axes in (seen, left_over, caught):
            axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    return figure.address


def _draw_residuals(axes: Axes, found: Fit, years: np.ndarray) -> None:
    """Both errors in standard deviations; a pattern here means that the model is missing something."""
    log_r, log_k, log_q = (float(v[0]) for v in (found.log_r, found.log_k, found.log_q))
    x = found.states[0]
    expected = grown(found.curve, np.exp(x[:-1]), np.exp(log_r), found.series.catch[0, :-1] * np.exp(-log_k))
    nature = (x[1:] - expected) / float(found.process[0])
    with np.errstate(invalid="ignore", divide="ignore"):
        looking = (np.log(found.series.index[0]) - log_q - log_k - x) / float(found.looking[0])
    axes.axhline(0, color=SOFT, linewidth=0.8)
    axes.plot(years, looking, ".", color=INK, markersize=5, label="in looking")
    axes.bar(years[1:], nature, color=BLUE, alpha=0.5, width=0.8, label="in nature")
    axes.set(ylim=(-3.2, 3.2), ylabel="residual, in standard deviations")
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="upper left")


def draw_futures(found: Fit, years: np.ndarray, futures: list[Future]) -> str:
    past = np.exp(found.states[0]) / found.curve.bmsy
    shown_years = slice(max(0, len(years) - 25), None)
    with open_figure(11, 3.0) as figure:
        for axes, future in zip(figure.subplots(1, len(futures), sharey=True, squeeze=False)[0], futures, strict=True):
            ahead = years[-1] + 1 + np.arange(future.b_bmsy.shape[1])
            axes.plot(years[shown_years], past[shown_years], color=INK, linewidth=1.3)
            axes.fill_between(ahead, future.b_bmsy[0], future.b_bmsy[2], color=BLUE, alpha=0.18, linewidth=0)
            axes.plot(ahead, future.b_bmsy[1], color=BLUE, linewidth=1.6)
            axes.axhline(1, color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)))
            axes.set_title(future.rule, fontsize=9, loc="left")
            axes.set_ylim(0, None)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            axes.text(
                0.02,
                0.03,
                f"above Bmsy in {ahead[-1]}: {100 * future.above[-1]:.0f} %",
                transform=axes.transAxes,
                fontsize=8,
            )
        figure.axes[0].set_ylabel("B/Bmsy")
    return figure.address


# ---- learning


def draw_learning(learnt: Learnt) -> str:
    """How well each model tells them apart, whether a probability means what it says, and what it goes by."""
    with open_figure(11, 3.6) as figure:
        told, trusted, used = figure.subplots(1, 3)
        rows = learnt.figures[(learnt.figures["figure"] == "auc") & ~learnt.figures["model"].str.contains("−")]
        place = np.arange(len(rows))[::-1]
        told.errorbar(
            rows["value"],
            place,
            xerr=[rows["value"] - rows["low"], rows["high"] - rows["value"]],
            fmt="o",
            color=BLUE,
            markersize=5,
            linewidth=1.4,
        )
        told.axvline(0.5, color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)))
        told.set_yticks(place, list(rows["model"]))
        told.set(xlim=(0.4, 1.0), ylim=(-0.6, len(rows) - 0.4), xlabel="area under the curve, 95 % over stocks")
        trusted.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)))
        for name, colour in (("logistic", SOFT), ("boosting", BLUE)):
            part = learnt.reliability[learnt.reliability["model"] == name]
            trusted.plot(part["said"], part["true"], color=colour, linewidth=1, alpha=0.6)
            trusted.scatter(
                part["said"], part["true"], s=8 + 250 * part["stocks"] / part["stocks"].sum(), color=colour, label=name
            )
        trusted.set(xlim=(0, 1), ylim=(0, 1), xlabel="said: probability to be below Bmsy", ylabel="share that is")
        trusted.legend(frameon=False, fontsize=8, loc="upper left")
        top = learnt.importances.head(10)[::-1]
        if len(top):
            used.barh(
                top["feature"],
                top["drop"],
                color=BLUE,
                height=0.6,
                xerr=[np.maximum(top["drop"] - top["low"], 0), np.maximum(top["high"] - top["drop"], 0)],
                error_kw={"linewidth": 0.8, "ecolor": SOFT},
            )
        used.set_xlabel("area lost when it is shuffled")
        used.tick_params(axis="y", labelsize=7.5)
    return figure.address
