"""The page's chapters: what each table says, in words that a student can follow, beside the figures."""

import pandas as pd

from fishnet.page.page import Chapter

from . import pictures
from .dynamics import CLEAR
from .findings import Findings
from .reckonings import dynamics_chapter, interval, learning_chapter
from .status import QUADRANTS, most_assessed

MOST_ROWS = 40


def answers(found: Findings) -> list[str]:
    """The page in a few sentences, for those who read no further."""
    said = []
    ends = found.status.changes
    if len(ends):
        whole = ends[ends["entity"].str.casefold().isin(["world", "all stocks"])]
        row = whole.iloc[0] if len(whole) else ends.iloc[0]
        said.append(
            f"{row.entity}: {row['last']:.0f} % of stocks within sustainable levels in {row.last_year:.0f}, "
            f"{row['first']:.0f} % in {row.first_year:.0f}."
        )
    if len(found.status.now):
        counts = found.status.now["quadrant"].value_counts()
        said.append(
            f"Of {len(found.status.now)} stocks and groups with biomass and fishing pressure, "
            + ", ".join(f"{counts.get(name, 0)} {name}" for name in QUADRANTS.values())
            + "."
        )
    if len(found.status.below):
        row = found.status.below.iloc[-1]
        peak = most_assessed(found.status.below)
        said.append(
            f"{100 * peak.share:.0f} % of the {peak.stocks:.0f} stocks assessed in {peak.year:.0f} lay below Bmsy "
            f"(95 % interval {100 * peak.low:.0f} % to {100 * peak.high:.0f} %)"
            + (f"; in {row.year:.0f}, {100 * row.share:.0f} % of {row.stocks:.0f}." if row.year != peak.year else ".")
        )
    carried = [one for one in found.dynamics if not one.warnings]
    for one in carried[:3]:
        open_question = one.apart is not None and one.apart < CLEAR
        told = {name: interval(sure.intervals["msy"]) for name, (_, sure) in one.fits.items()}
        said.append(
            f"{one.chosen.title}: MSY "
            + " or ".join(f"{msy} by {name.capitalize()}" for name, msy in told.items())
            + "; the table does not tell which curve is right."
            if open_question
            else f"{one.chosen.title}: MSY {told[one.best]}, 90 % interval."
        )
    if found.learnt is not None:
        auc, gain = found.learnt.figure("boosting", "auc"), found.learnt.figure("boosting − rule of thumb", "auc")
        said.append(
            f"From catches and species alone, boosting tells stocks below Bmsy from others with an area under the "
            f"curve of {auc.value:.2f} ({auc.low:.2f} to {auc.high:.2f}), "
            f"{gain.value:+.2f} ({gain.low:+.2f} to {gain.high:+.2f}) "
            "against the rule of thumb."
        )
    return said


def chapters(found: Findings) -> list[Chapter]:
    told = [_words(), _sustainable(found), _ratios(found), _stocks(found), _catches(found), dynamics_chapter(found)]
    return [chapter for chapter in [*told, learning_chapter(found), _read(found)] if chapter is not None]


def _words() -> Chapter:
    chapter = Chapter("Five words first")
    chapter.add_text(
        "A stock is a part of a species that keeps to itself well enough to be managed as one: the cod of one sea, "
        "say. "
        "Left alone it grows until the sea carries no more; that biomass is K. In between, it adds a surplus every "
        "year, "
        "and whoever takes just the surplus may go on for ever.",
        "The largest surplus is the maximum sustainable yield, MSY; the biomass at which it comes is Bmsy; the "
        "share of "
        "the fish that is then taken each year is Fmsy. Two ratios tell how a stock is: B/Bmsy (below 1 there is less "
        "fish than would yield most; below 0.8 FAO calls it overfished) and F/Fmsy (above 1 more is taken than "
        "Bmsy can bear: that is overfishing). Some tables write U/Umsy, with the share taken instead of the rate.",
    )
    return chapter


def _sustainable(found: Findings) -> Chapter | None:
    shares, ends = found.status.shares, found.status.changes
    if not len(shares):
        return None
    chapter = Chapter("Within sustainable levels")
    series = ends[ends["years"] >= 3]
    drawn = series if len(series) else ends
    worst, best = drawn.iloc[0], drawn.iloc[-1]
    chapter.add_text(
        "The share of stocks that are fished within biologically sustainable levels, by region over time. "
        + (
            "No table tells it, so it was counted from the stocks: those of at least 0.8 Bmsy. "
            if found.status.from_stocks
            else ""
        )
        + f"Lowest in the last year: {worst.entity}, {worst['last']:.1f} %; "
        f"highest: {best.entity}, {best['last']:.1f} %."
    )
    chapter.add_figure(
        pictures.draw_sustainable(shares, list(drawn["entity"])),
        "Green: within sustainable levels. Red: overfished. Regions with the lowest share first"
        + (
            f"; {len(drawn)} in the table, the first {pictures.MOST_PANELS} drawn."
            if len(drawn) > pictures.MOST_PANELS
            else "."
        ),
    )
    few = len(ends) - len(series)
    if few and len(series):
        chapter.add_text(f"{few} more entries of the table have one or two years only; they are in sustainable.csv.")
    rows = [(r.entity, str(r.first_year), r.first, str(r.last_year), r.last, r.change) for r in drawn.itertuples()]
    header = ["region", "first year", "%", "last year", "%", "change in points"]
    chapter.add_table(header, rows[:MOST_ROWS], folded="The figures")
    return chapter


def _ratios(found: Findings) -> Chapter | None:
    classes, now = found.status.classes, found.status.now
    if not len(now):
        return None
    chapter = Chapter("How much fish, how hard fished")
    chapter.add_text(
        "The Kobe plot lays both ratios over each other. A stock that is fished too hard moves up, then, as it "
        "shrinks, to "
        "the left; when fishing eases it comes down, and later, with luck, back to the right. The red corner is where "
        "management has failed, the yellow one where it has begun to work."
    )
    path_name, path = _path(found)
    chapter.add_figure(
        pictures.draw_kobe(now, path, path_name),
        "Left: every stock or group in its last year with both ratios. Right: one of them through time. Points "
        "beyond the frame are drawn at its edge.",
    )
    counts = now["quadrant"].value_counts()
    chapter.add_table(["quadrant", "how many"], [(name, int(counts.get(name, 0))) for name in QUADRANTS.values()])
    groups = now[now["kind"] != "stock"]
    if len(groups):
        order = list(groups.sort_values("b_bmsy")["entity"].drop_duplicates())
        chapter.add_figure(
            pictures.draw_ratios(classes[classes["kind"] != "stock"].drop_duplicates(["entity", "year"]), order),
            "B/Bmsy (blue) and F/Fmsy (red), with the middle half of the stocks in each. Least fish first"
            + (
                f"; {len(order)} in the table, the first {pictures.MOST_PANELS} drawn."
                if len(order) > pictures.MOST_PANELS
                else "."
            ),
        )
    rows = [
        (r.entity, r.kind, str(r.year), r.b_bmsy, r.u_umsy, r.biomass_class, r.quadrant)
        for r in now.sort_values("b_bmsy").head(MOST_ROWS).itertuples()
    ]
    chapter.add_table(
        ["stock or group", "kind", "year", "B/Bmsy", "F/Fmsy", "biomass", "quadrant"], rows, folded="The figures"
    )
    return chapter


def _path(found: Findings) -> tuple[str, pd.DataFrame]:
    """The one that was asked for, if the tables tell both of its ratios; else the world; else the longest."""
    both = found.status.classes.dropna(subset=["b_bmsy", "u_umsy"])
    asked = [one.chosen.entity for one in found.dynamics] + ["World"]
    name = next(
        (entity for entity in asked if (both["entity"] == entity).any()), both["entity"].value_counts().index[0]
    )
    return name, both[both["entity"] == name].drop_duplicates("year").sort_values("year")


def _stocks(found: Findings) -> Chapter | None:
    below = found.status.below
    if not len(below):
        return None
    chapter = Chapter("Stock by stock")
    peak = most_assessed(below)
    chapter.add_text(
        f"Most stocks were assessed in {peak.year:.0f}: {peak.stocks:.0f}, of which {peak.below:.0f} lay below Bmsy "
        f"({100 * peak.share:.0f} %; 95 % interval {100 * peak.low:.0f} % to {100 * peak.high:.0f} %). The number of "
        "assessed stocks changes from year to year: where it falls, the last stocks to be reported decide the share, "
        "so the ends of the right-hand line say less than its middle."
    )
    chapter.add_figure(
        pictures.draw_stocks(found.status.counts, below),
        "Left: stocks assessed each year, by how much fish there is. Right: the share below Bmsy, with its "
        "interval over stocks.",
    )
    return chapter


def _catches(found: Findings) -> Chapter | None:
    frames = [
        frame
        for frame in found.frames
        if "catch" in frame and ("aquaculture" in frame or (frame["kind"] == "country").any())
    ]
    if not frames:
        return None
    frame = frames[0]
    caught = frame[frame["catch"].notna()]
    whole = next((name for name in ("World", "all") if (caught["entity"] == name).any()), None)
    name = whole or str(caught.groupby("entity")["catch"].max().idxmax())
    rows = caught[caught["entity"] == name]
    chapter = Chapter("Caught and farmed")
    top, last = rows.nlargest(1, "catch").iloc[0], rows.iloc[-1]
    chapter.add_text(
        f"{name}: the catch was largest in {top.year}, {top.catch / 1e6:.1f} million tonnes, and was "
        f"{last.catch / 1e6:.1f} million in {last.year}. A catch that no longer grows while boats do is how "
        "overfishing looks when nobody measures biomass."
    )
    chapter.add_figure(
        pictures.draw_catches(frame, name, 12), "Left: wild catch and aquaculture. Right: the largest catches."
    )
    return chapter


def _read(found: Findings) -> Chapter:
    chapter = Chapter("What was read")
    chapter.add_text(
        "One variable has many names; this is what each column was taken for. columns='HEADER=meaning' corrects it."
    )
    for sheet in found.sheets:
        chapter.add_heading(sheet.name)
        if "kind" in sheet.frame:
            span = f"{sheet.frame['year'].min()} to {sheet.frame['year'].max()}"
            chapter.add_text(
                f"{len(sheet.frame):,} rows, {sheet.frame['entity'].nunique()} entities, {span}. "
                + _sentence(sheet.notes)
            )
        else:
            chapter.add_text(f"{len(sheet.frame):,} species with their categories.")
        chapter.add_table(["column", "taken for"], sheet.taken, folded=f"{len(sheet.taken)} columns")
    for sentence in found.refused:
        chapter.add_warning(f"Left out: {sentence}")
    return chapter


def _sentence(notes: list[str]) -> str:
    text = "; ".join(notes)
    return f"{text[0].upper()}{text[1:]}." if text else ""
