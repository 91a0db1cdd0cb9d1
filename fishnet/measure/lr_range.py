"""Loss against learning rate → the rate to train at, and the picture that shows why.

The rule of the product study: of the rates whose neighbours are calm, the one with the smallest loss; with the range of
calm rates around it that do as well. The rate at which the loss falls most steeply (Smith 2017) is taken where none is
calm.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from fishnet.page.figures import BLUE, GRID, INK, RED, SOFT, hide_spines, open_figure

NEIGHBOURHOOD = 0.15  # of a power of ten, to each side
CALM = 0.1  # of the whole fall of the loss: as much may it move in a calm neighbourhood
ROUGH = 2.0, 0.05  # times the usual scatter around the smoothed curve, and of the whole fall
DOWN = 0.5  # of the fall: before it has come so far, a calm curve is one that has not learnt yet
SMOOTH = 0.05  # of all points, to each side
FEWEST = 4  # points to each side
LEARNT = 6.0  # standard deviations of the smoothed curve: a smaller fall of the loss is noise


class Suggestion(NamedTuple):
    """`lr` is NaN where the loss never fell, and the steepest where no rate is calm; `low` and `high` are the ends of
    the rates around it that do as well."""

    lr: float
    low: float
    high: float
    steepest: float
    calm: bool

    @property
    def learnt(self) -> bool:
        return bool(np.isfinite(self.lr))


def find_rate(rates: np.ndarray, losses: np.ndarray) -> Suggestion:
    """The rate to train at, from the losses of batches at rising rates."""
    curve, powers = smoothed(losses), np.log10(rates)
    scatter = np.abs(losses - curve)
    noise = float(np.median(np.abs(np.diff(losses)))) / (0.6745 * 2**0.5)  # from differences, which leave the slope out
    usual = float(np.median(scatter))
    lowest = int(np.argmin(curve))
    fall = float(curve[: lowest + 1].max() - curve[lowest])
    if lowest == 0 or fall <= LEARNT * noise * float((_weights(len(losses)) ** 2).sum()) ** 0.5:
        return Suggestion(np.nan, np.nan, np.nan, np.nan, calm=False)
    slope = np.gradient(curve, powers)
    steepest = float(rates[int(np.argmin(slope[: lowest + 1]))])
    calm = [_is_calm(power, powers, curve, scatter, fall, usual) for power in powers]
    calm &= curve <= curve[lowest] + (1 - DOWN) * fall
    if not any(calm):
        return Suggestion(steepest, steepest, steepest, steepest, calm=False)
    best = int(np.argmin(np.where(calm, curve, np.inf)))
    as_good = calm & (curve <= curve[best] + CALM * fall)
    others = np.flatnonzero(~as_good)
    first, last = others[others < best].max(initial=-1) + 1, others[others > best].min(initial=len(rates)) - 1
    return Suggestion(float(rates[best]), float(rates[first]), float(rates[last]), steepest, True)


def _is_calm(
    power: float, powers: np.ndarray, curve: np.ndarray, scatter: np.ndarray, fall: float, usual: float
) -> bool:
    """Whether the loss neither falls much nor scatters around a rate; the end of the curve has no neighbours."""
    if power + NEIGHBOURHOOD > powers[-1]:
        return False
    near = np.abs(powers - power) <= NEIGHBOURHOOD
    return bool(np.ptp(curve[near]) <= CALM * fall and scatter[near].mean() <= ROUGH[0] * usual + ROUGH[1] * fall)


def smoothed(values: np.ndarray) -> np.ndarray:
    """Each point with its neighbours, the nearest counting most; the ends are mirrored."""
    weights = _weights(len(values))
    padded = np.pad(np.asarray(values, dtype=float), len(weights) // 2, mode="reflect")
    return np.convolve(padded, weights, mode="valid")


def _weights(count: int) -> np.ndarray:
    half = max(FEWEST, round(SMOOTH * count))
    bell = np.hanning(2 * half + 3)[1:-1]
    return bell / bell.sum()


def draw_range(rates: np.ndarray, losses: np.ndarray, accuracies: np.ndarray, best: Suggestion, path: Path) -> None:
    """Loss and accuracy over the rate, dots as they came and lines smoothed, with the rates to choose from."""
    with open_figure(8.0, 5.6, path) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
        for axes, values, colour in ((upper, losses, INK), (lower, accuracies, BLUE)):
            axes.plot(rates, values, ".", color=colour, alpha=0.3, markersize=4)
            axes.plot(rates, smoothed(values), color=colour, linewidth=1.8)
            hide_spines(axes, "top", "right")
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
            axes.tick_params(which="minor", length=0)
            axes.grid(axis="x", color=GRID, linewidth=0.8)
            if best.learnt:
                axes.axvspan(best.low, best.high, color=SOFT, alpha=0.25, linewidth=0)
                axes.axvline(best.lr, color=RED, linewidth=1.6)
        if best.learnt:
            why = "lowest in a calm neighbourhood" if best.calm else "steepest, for none is calm"
            upper.plot([], [], color=RED, label=f"lr {best.lr:.2g}: {why}")
            if best.calm:
                upper.fill_between(
                    [], [], color=SOFT, alpha=0.25, label=f"{best.low:.2g} to {best.high:.2g} do as well"
                )
            upper.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False, fontsize=9, ncols=2)
        low, high = float(smoothed(losses).min()), float(np.median(losses[: max(1, len(losses) // 10)]))
        room = max(high - low, 0.1 * abs(high), 1e-3)
        upper.set(
            ylabel="loss of a batch", ylim=(max(0.0, low - 0.6 * room), high + room)
        )  # what ran away is out of sight
        lower.set(ylabel="accuracy of a batch", xlabel="learning rate", ylim=(-0.03, 1.03))
