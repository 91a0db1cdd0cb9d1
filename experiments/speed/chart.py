"""The newest ratio of every case as one picture: `python -m experiments.speed.chart`."""

import argparse
from pathlib import Path

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

MET, MISSED, INK, BAR = "#2b6cb0", "#c53030", "#22303c", "#8a97a3"
HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--csv", type=Path, default=HERE / "results.csv")
    parser.add_argument("--out", type=Path, default=HERE / "chart.png")
    chosen = parser.parse_args()
    rows = pd.read_csv(chosen.csv, keep_default_na=False, na_values=["nan"])
    rows = rows[rows["agreed"]].drop_duplicates(["stage", "case"], keep="last").sort_values("stage", kind="stable")
    draw(rows.iloc[::-1], chosen.out)
    print(table(rows))


def table(rows: pd.DataFrame) -> str:
    """The same for the README."""
    lines = ["| stage | case | measured [95 %] | rounds | goal | | agreement |", "|---|---|---|---|---|---|---|"]
    for row in rows.itertuples():
        sign = "≤" if row.bound == "at most" else "≥"
        figure = f"{row.ratio:.3g}×" + (f" [{row.low:.3g}, {row.high:.3g}]" if row.rounds > 1 else "")
        met = "met" if row.met else "**missed**"
        lines.append(
            f"| {row.stage} | {row.case} | {figure} | {row.rounds} | {sign} {row.goal:g}× | {met} | {row.agreement} |"
        )
    return "\n".join(lines)


def draw(rows: pd.DataFrame, out: Path) -> None:
    """Bars from 1 (as fast as the usual way) outwards; a tick where the goal is."""
    figure = Figure(figsize=(9.5, 0.3 * len(rows) + 1.2), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    upper = rows["bound"] == "at most"
    faster = rows["ratio"].where(~upper, 1 / rows["ratio"])
    goals = rows["goal"].where(~upper, 1 / rows["goal"])
    places = range(len(rows))
    axes.barh(places, faster - 1, left=1, color=[MET if met else MISSED for met in rows["met"]], height=0.6)
    axes.scatter(goals, places, marker="|", s=160, color=INK, zorder=3, label="goal")
    for place, value, goal in zip(places, faster, goals, strict=True):
        end = max(value, goal, 1)
        axes.annotate(f"{value:.3g}×", (end, place), (7, 0), textcoords="offset points", va="center", color=INK)
    axes.set_yticks(list(places), [f"{stage}: {case}" for stage, case in zip(rows["stage"], rows["case"], strict=True)])
    axes.set_xscale("log")
    axes.margins(y=0.01)
    axes.xaxis.set_major_formatter("{x:g}×")
    axes.axvline(1, color=BAR, linewidth=1)
    axes.set_xlabel("times as fast as the usual way (blue: goal reached; mark: the goal)")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.set_xlim(0.7, float(faster.max()) * 2.2)
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    main()
