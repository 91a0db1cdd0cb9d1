"""What a table of the bench says: recall, false alarms, uniformity, carriers, by region.

python -m experiments.planted_cues.summary bench.csv
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from fishnet.audit.kinds import KINDS
from fishnet.audit.middle import MOST
from fishnet.audit.significance import STANDS_OUT, WORTH

LEARNED = 0.1  # reliance from which a cue counts as learned
WEAK = 0.8  # accuracy below which no verdict is given
ON_ANIMAL, INVISIBLE = ("hand", "tag"), ("tint", "blur", "vignette", "jpeg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, nargs="+")
    table = read(parser.parse_args().table)
    for (layout, region), rows in table.groupby(["layout", "region"]):
        print(f"\n{layout}, region={region}: fish covered {rows['fish_covered'].mean():.2f}, of the photo "
              f"{rows['protected'].mean():.2f} protected")  # fmt: skip
        for line in (*recalls(rows), *alarms(rows)):
            print("  " + line)
    if (auto := table["region"] == "auto").any():
        print("\nall layouts, region=auto, learned cues off the animal in half of the class or more")
        for line in beside(table[auto]):
            print("  " + line)


def read(files: Sequence[Path]) -> pd.DataFrame:
    """The tables of the bench as one, with what counts as a `shortcut` (less where `boxes` are given), and once more as
    `auto` the rows of the region that the audit would have `chosen`: with fish anywhere the middle where a class stands
    out, and of these rows those classes alone."""
    table = pd.concat([pd.read_csv(file) for file in files], ignore_index=True)
    worth = np.where(table["region"] == "boxes", WORTH["given"], WORTH["estimated"])
    table["shortcut"] = table["flagged"] & (table["share_low"] >= worth) & (table["accuracy"] >= WEAK)
    for column in ("cue", "control"):
        table[column] = table[column].fillna("")
    table["chosen"] = table["region"]
    if "usual" in table:
        ahead = table.groupby("case", group_keys=False)[[*table]].apply(stands_out)
        some = ahead.groupby(table["case"]).transform("any")
        centred = table["usual"] <= MOST
        fits = np.where(centred | some, "ellipse", "learned")
        auto = table[table["region"] == fits].assign(region="auto")
        auto["shortcut"] &= centred | ~some | ahead
        table = pd.concat([table, auto])
    return table


def stands_out(case: pd.DataFrame) -> pd.Series:
    """Whether the middle moves a class of the case by far more than the others: the rule of `standing_out` in
    `audit/significance.py`, by the shares of the kind that is worth most."""
    middle = case[case["region"] == "ellipse"].sort_values("share", ascending=False)
    shares, lows = middle["share"].to_numpy(), middle["share_low"].to_numpy()
    for count in range((len(middle) - 1) // 2, 0, -1):
        if lows[:count].min() >= max(STANDS_OUT * shares[count], WORTH["estimated"]):
            return case["class"].isin(middle["class"].iloc[:count])
    return pd.Series(False, index=case.index)


def recalls(rows: pd.DataFrame) -> list[str]:
    """Learned cues off the animal, found or not, by how many photos carry them; invisible ones; and those on it."""
    planted = rows[rows["planted"] & (rows["rho"] >= LEARNED) & (rows["accuracy"] >= WEAK)]
    off = planted[~planted["cue"].isin(ON_ANIMAL)]
    lines = [
        f"learned cues {where}: {int(chosen['shortcut'].sum())} of {len(chosen)} found "
        f"{ends(int(chosen['shortcut'].sum()), len(chosen))}, {int(chosen['flagged'].sum())} by p alone"
        for where, chosen in (
            ("off the animal, in half of the class or more", off[off["prevalence"] >= 0.5]),
            ("off the animal, in less", off[off["prevalence"] < 0.5]),
            ("that nobody sees", off[off["cue"].isin(INVISIBLE)]),
            ("on the animal", planted[planted["cue"].isin(ON_ANIMAL)]),
        )
        if len(chosen)
    ]
    if len(auroc := planted["carriers_auroc"].dropna()):
        lines.append(f"carriers: AUROC {auroc.mean():.3f}, lowest {auroc.min():.3f}")
    if len(planted):
        lines.append(f"price less truth: {(planted['effect'] - planted['rho']).mean():+.3f}")
    return lines


RIVALS = ("red_outside", "property", "map_clusters", "label_issues", "neural_pca", "blind_spots", "errors")


def beside(rows: pd.DataFrame) -> list[str]:
    """The audit and its rivals on the same models: learned cues found, clean folders with an alarm. A rival has the
    lowest threshold with which at most a tenth of these very clean folders alarm."""
    judged = rows[rows["accuracy"] >= WEAK]
    learned = judged[
        judged["planted"] & (judged["rho"] >= LEARNED) & (judged["prevalence"] >= 0.5) & ~judged["cue"].isin(ON_ANIMAL)
    ]
    clean = judged[judged["control"] == "clean"]
    folders, alarmed = clean["case"].nunique(), int(clean.groupby("case")["shortcut"].any().sum())
    found = int(learned["shortcut"].sum())
    lines = [
        f"the audit: {found} of {len(learned)} {ends(found, len(learned))}, {alarmed} of {folders} "
        f"{ends(alarmed, folders)}"
    ]
    for name in (name for name in RIVALS if name in rows):
        highest = clean.groupby("case")[name].max().dropna().sort_values(ascending=False)
        limit = highest.iloc[int(0.1 * len(highest))]
        found, alarmed = int((learned[name] > limit).sum()), int((highest > limit).sum())
        lines.append(f"{name}: {found} of {learned[name].notna().sum()}, {alarmed} of {len(highest)}")
    missed = learned[~learned["shortcut"]]
    return [*lines, *(f"missed: {row.case}, share at least {row.share_low:.3f}" for row in missed.itertuples())]


def alarms(rows: pd.DataFrame) -> list[str]:
    """Of folders without a cue, and of the other classes of folders with one."""
    lines, clean = [], rows[(rows["control"] == "clean") & (rows["accuracy"] >= WEAK)]
    if len(clean):
        by_folder = clean.groupby("case")[["shortcut", "flagged"]].any().sum()
        folders = clean["case"].nunique()
        lines.append(
            f"clean folders with an alarm: {by_folder['shortcut']} of {folders} ({by_folder['flagged']} by p alone)"
        )
        uniform = {kind: stats.kstest(clean[f"p_{kind}"], "uniform").pvalue for kind in KINDS}
        lines.append("uniform p (KS): " + ", ".join(f"{kind} {p:.2g}" for kind, p in uniform.items()))
    for control, chosen in rows[rows["control"].ne("") & rows["control"].ne("clean")].groupby("control"):
        judged = chosen[chosen["accuracy"] >= WEAK]
        alarmed = judged.groupby("case")["shortcut"].any().sum()
        lines.append(f"{control}: {alarmed} of {judged['case'].nunique()} folders with an alarm, "
                     f"{chosen['case'].nunique() - judged['case'].nunique()} too weak to judge")  # fmt: skip
    planted = rows[rows["cue"].ne("") & rows["control"].eq("") & (rows["accuracy"] >= WEAK)]
    if len(planted):
        wrong = planted[~planted["planted"] & planted["shortcut"]]
        share = (planted["shortcut"] & ~planted["planted"]).groupby(planted["case"]).sum()
        total = planted.groupby("case")["shortcut"].sum()
        lines.append(f"planted folders: {len(wrong)} other classes accused; false discovery share "
                     f"{(share / total.clip(lower=1)).mean():.3f} over {len(total)}")  # fmt: skip
    return lines


def ends(found: int, count: int) -> str:
    interval = stats.binomtest(found, count).proportion_ci()
    return f"[{interval.low:.2f}, {interval.high:.2f}]"


if __name__ == "__main__":
    main()
