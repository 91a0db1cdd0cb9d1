"""The page's chapters on what the tables say, and the answers at its top; the sentences stand in prose.html."""

import pandas as pd
from markupsafe import Markup

from fishnet.page.page import Chapter, in_one_line
from fishnet.text import counted

from . import pictures
from .chapters_fits import dynamics_chapter, interval, learning_chapter, sentences
from .findings import Findings
from .status import most_assessed

MOST_ROWS = 40  # of a folded table
MOST_CAUGHT = 12  # countries whose catches are drawn


def answers(findings: Findings) -> list[str]:
    """The page in a few sentences, for those who read no further; plain text, for they are printed too."""
    text, status, lines = sentences(), findings.status, []
    if len(status.changes):
        whole = status.changes[status.changes["entity"].str.casefold().isin(["world", "all stocks"])]
        row = (whole if len(whole) else status.changes).iloc[0]
        lines.append(text.answer_sustainable(row.entity, row))
    if len(status.now):
        lines.append(text.answer_quadrants(status.quadrants))
    if len(status.below):
        lines.append(text.answer_below(most_assessed(status.below), status.below.iloc[-1]))
    for each in [each for each in findings.dynamics if not each.warnings][:3]:
        msy = {name: interval(sure.intervals["msy"]) for name, (_, sure) in each.fits.items()}
        lines.append(text.answer_msy(each.stock.title, msy, each.best, each.undecided))
    if findings.learnt is not None:
        metric = findings.learnt.metric
        lines.append(text.answer_learning(metric("boosting", "auc"), metric("boosting − rule of thumb", "auc")))
    return [in_one_line(Markup(line).unescape()) for line in lines]


def chapters(findings: Findings) -> list[Chapter]:
    """Those that the tables have something for."""
    words = Chapter("Five words first")
    words.add_text(sentences().words_stock(), sentences().words_msy())
    makers = (_sustainable, _ratios, _stocks, _catches, dynamics_chapter, learning_chapter, _read)
    return [words, *filter(None, (make(findings) for make in makers))]


def _sustainable(findings: Findings) -> Chapter | None:
    shares, ends = findings.status.shares, findings.status.changes
    if not len(shares):
        return None
    chapter = Chapter("Within sustainable levels")
    series = ends[ends["years"] >= 3]
    drawn = series if len(series) else ends
    chapter.add_text(sentences().sustainable(drawn.iloc[0], drawn.iloc[-1], findings.status.from_stocks))
    caption = sentences().sustainable_figure(len(drawn), pictures.MOST_PANELS)
    chapter.add_figure(pictures.draw_sustainable(shares, list(drawn["entity"])), caption)
    few = len(ends) - len(series)
    if few and len(series):
        more = "1 more entry of the table has" if few == 1 else f"{few} more entries of the table have"
        chapter.add_text(f"{more} one or two years only: see sustainable.csv.")
    rows = [(r.entity, str(r.first_year), r.first, str(r.last_year), r.last, r.change) for r in drawn.itertuples()]
    header = ["region", "first year", "%", "last year", "%", "change in points"]
    chapter.add_table(header, rows[:MOST_ROWS], folded="The figures")
    return chapter


def _ratios(findings: Findings) -> Chapter | None:
    classes, now = findings.status.classes, findings.status.now
    if not len(now):
        return None
    chapter = Chapter("How much fish, how hard fished")
    chapter.add_text(sentences().kobe())
    path_name, path = _path(findings)
    chapter.add_figure(pictures.draw_kobe(now, path, path_name), sentences().kobe_figure())
    chapter.add_table(["quadrant", "how many"], list(findings.status.quadrants.items()))
    groups = now[now["kind"] != "stock"]
    if len(groups):
        order = list(groups.sort_values("b_bmsy")["entity"].drop_duplicates())
        drawn = pictures.draw_ratios(classes[classes["kind"] != "stock"].drop_duplicates(["entity", "year"]), order)
        chapter.add_figure(drawn, sentences().ratios_figure(len(order), pictures.MOST_PANELS))
    lowest = now.sort_values("b_bmsy").head(MOST_ROWS).astype({"year": str})
    rows = lowest[["entity", "kind", "year", "b_bmsy", "u_umsy", "biomass_class", "quadrant"]].itertuples(index=False)
    header = ["stock or group", "kind", "year", "B/Bmsy", "F/Fmsy", "biomass", "quadrant"]
    chapter.add_table(header, list(rows), folded="The figures")
    return chapter


def _path(findings: Findings) -> tuple[str, pd.DataFrame]:
    """A fitted stock, if the tables have both of its ratios; else the world; else the longest."""
    both = findings.status.classes.dropna(subset=["b_bmsy", "u_umsy"])
    preferred = [each.stock.entity for each in findings.dynamics] + ["World"]
    longest = both["entity"].value_counts().index[0]
    name = next((entity for entity in preferred if (both["entity"] == entity).any()), longest)
    return name, both[both["entity"] == name].drop_duplicates("year").sort_values("year")


def _stocks(findings: Findings) -> Chapter | None:
    below = findings.status.below
    if not len(below):
        return None
    chapter = Chapter("Stock by stock")
    chapter.add_text(sentences().stocks(most_assessed(below)))
    chapter.add_figure(pictures.draw_stocks(findings.status.counts, below), sentences().stocks_figure())
    return chapter


def _catches(findings: Findings) -> Chapter | None:
    """Of the first table with catches of countries, or with aquaculture beside them."""
    frames = [frame for frame in findings.frames if "catch" in frame]
    frames = [frame for frame in frames if "aquaculture" in frame or (frame["kind"] == "country").any()]
    if not frames:
        return None
    frame = frames[0]
    caught = frame[frame["catch"].notna()]
    whole = next((name for name in ("World", "all") if (caught["entity"] == name).any()), None)
    name = whole or str(caught.groupby("entity")["catch"].max().idxmax())
    rows = caught[caught["entity"] == name]
    chapter = Chapter("Caught and farmed")
    chapter.add_text(sentences().catches(name, rows.nlargest(1, "catch").iloc[0], rows.iloc[-1]))
    caption = "Left: wild catch and aquaculture. Right: the largest catches."
    chapter.add_figure(pictures.draw_catches(frame, name, MOST_CAUGHT), caption)
    return chapter


def _read(findings: Findings) -> Chapter:
    chapter = Chapter("What was read")
    names = "One variable has many names; this is what each column was taken for."
    chapter.add_text(f"{names} columns='HEADER=meaning' corrects it.")
    for sheet in findings.sheets:
        chapter.add_heading(sheet.name)
        text = f"{len(sheet.frame):,} species with their categories."
        if "kind" in sheet.frame:
            year, notes = sheet.frame["year"], "; ".join(sheet.notes)
            text = f"{len(year):,} rows, {sheet.frame['entity'].nunique()} entities, {year.min()} to {year.max()}. "
            text += f"{notes[0].upper()}{notes[1:]}." if notes else ""
        chapter.add_text(text)
        chapter.add_table(["column", "taken for"], sheet.taken, folded=counted(len(sheet.taken), "column"))
    for sentence in findings.refused:
        chapter.add_warning(f"Left out: {sentence}")
    return chapter
