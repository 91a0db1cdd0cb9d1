"""The page's chapters: what each table says, in words that a student can follow, beside the figures."""

import pandas as pd

from . import pictures
from .dynamics import CLEAR, NAMES, Dynamics
from .findings import Findings
from .page import Chapter, figure
from .status import QUADRANTS

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
            + ", ".join(f"{counts.get(name, 0)} {name}" for name in QUADRANTS.values()) + "."
        )
    if len(found.status.below):
        row = found.status.below.iloc[-1]
        peak = found.status.below.loc[found.status.below["stocks"].idxmax()]
        said.append(
            f"{peak.share:.0%} of the {peak.stocks:.0f} stocks assessed in {peak.year:.0f} lay below Bmsy "
            f"(95 % interval {peak.low:.0%} to {peak.high:.0%})"
            + (f"; in {row.year:.0f}, {row.share:.0%} of {row.stocks:.0f}." if row.year != peak.year else ".")
        )
    carried = [one for one in found.dynamics if not one.warnings]
    for one in carried[:3]:
        msy = one.doubt.intervals["msy"]
        said.append(f"{one.chosen.title}: MSY {figure(msy.value)} (90 %: {figure(msy.low)} to {figure(msy.high)}).")
    if found.learnt is not None:
        auc, gain = found.learnt.figure("boosting", "auc"), found.learnt.figure("boosting − rule of thumb", "auc")
        said.append(
            f"From catches and species alone, boosting tells stocks below Bmsy from others with an area under the curve of "
            f"{auc.value:.2f} ({auc.low:.2f} to {auc.high:.2f}), {gain.value:+.2f} ({gain.low:+.2f} to {gain.high:+.2f}) "
            "against the rule of thumb."
        )
    return said


def chapters(found: Findings) -> list[Chapter]:
    told = [_words(), _sustainable(found), _ratios(found), _stocks(found), _catches(found), _dynamics(found)]
    return [chapter for chapter in [*told, _learning(found), _read(found)] if chapter is not None]


def _words() -> Chapter:
    chapter = Chapter("Five words first")
    chapter.say(
        "A stock is a part of a species that keeps to itself well enough to be managed as one: the cod of one sea, say. "
        "Left alone it grows until the sea carries no more; that biomass is K. In between, it adds a surplus every year, "
        "and whoever takes just the surplus may go on for ever.",
        "The largest surplus is the maximum sustainable yield, MSY; the biomass at which it comes is Bmsy; the share of "
        "the fish that is then taken each year is Fmsy. Two ratios tell how a stock is: B/Bmsy (below 1 there is less "
        "fish than would yield most; below 0.8 FAO calls it overfished) and F/Fmsy (above 1 more is taken than Bmsy can "
        "bear: that is overfishing). Some tables write U/Umsy, with the share taken instead of the rate.",
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
    chapter.say(
        "The share of stocks that are fished within biologically sustainable levels, by region over time. "
        + ("No table tells it, so it was counted from the stocks: those of at least 0.8 Bmsy. " if found.status.from_stocks else "")
        + f"Lowest in the last year: {worst.entity}, {worst['last']:.1f} %; highest: {best.entity}, {best['last']:.1f} %."
    )
    chapter.show(
        pictures.draw_sustainable(shares, list(drawn["entity"])),
        "Green: within sustainable levels. Red: overfished. Regions with the lowest share first"
        + (f"; {len(drawn)} in the table, the first {pictures.MOST_PANELS} drawn." if len(drawn) > pictures.MOST_PANELS else "."),
    )
    few = len(ends) - len(series)
    if few and len(series):
        chapter.say(f"{few} more entries of the table have one or two years only; they are in sustainable.csv.")
    rows = [(r.entity, int(r.first_year), r.first, int(r.last_year), r.last, r.change) for r in drawn.itertuples()]
    header = ["region", "first year", "%", "last year", "%", "change in points"]
    chapter.tabulate(header, rows[:MOST_ROWS], folded="The figures")
    return chapter


def _ratios(found: Findings) -> Chapter | None:
    classes, now = found.status.classes, found.status.now
    if not len(now):
        return None
    chapter = Chapter("How much fish, how hard fished")
    chapter.say(
        "The Kobe plot lays both ratios over each other. A stock that is fished too hard moves up, then, as it shrinks, to "
        "the left; when fishing eases it comes down, and later, with luck, back to the right. The red corner is where "
        "management has failed, the yellow one where it has begun to work."
    )
    path_name, path = _path(found)
    chapter.show(
        pictures.draw_kobe(now, path, path_name),
        "Left: every stock or group in its last year with both ratios. Right: one of them through time. Points beyond the "
        "frame are drawn at its edge.",
    )
    counts = now["quadrant"].value_counts()
    chapter.tabulate(["quadrant", "how many"], [(name, int(counts.get(name, 0))) for name in QUADRANTS.values()])
    groups = now[now["kind"] != "stock"]
    if len(groups):
        order = list(groups.sort_values("b_bmsy")["entity"].drop_duplicates())
        chapter.show(
            pictures.draw_ratios(classes[classes["kind"] != "stock"].drop_duplicates(["entity", "year"]), order),
            "B/Bmsy (blue) and F/Fmsy (red), with the middle half of the stocks in each. Least fish first"
            + (f"; {len(order)} in the table, the first {pictures.MOST_PANELS} drawn." if len(order) > pictures.MOST_PANELS else "."),
        )
    rows = [(r.entity, r.kind, int(r.year), r.b_bmsy, r.u_umsy, r.biomass_class, r.quadrant)
            for r in now.sort_values("b_bmsy").head(MOST_ROWS).itertuples()]
    chapter.tabulate(["stock or group", "kind", "year", "B/Bmsy", "F/Fmsy", "biomass", "quadrant"], rows, folded="The figures")
    return chapter


def _path(found: Findings) -> tuple[str, pd.DataFrame]:
    """The one that was asked for, if the tables tell both of its ratios; else the world; else the longest."""
    both = found.status.classes.dropna(subset=["b_bmsy", "u_umsy"])
    asked = [one.chosen.entity for one in found.dynamics] + ["World"]
    name = next((entity for entity in asked if (both["entity"] == entity).any()), both["entity"].value_counts().index[0])
    return name, both[both["entity"] == name].drop_duplicates("year").sort_values("year")


def _stocks(found: Findings) -> Chapter | None:
    below = found.status.below
    if not len(below):
        return None
    chapter = Chapter("Stock by stock")
    peak = below.loc[below["stocks"].idxmax()]
    chapter.say(
        f"Most stocks were assessed in {peak.year:.0f}: {peak.stocks:.0f}, of which {peak.below:.0f} lay below Bmsy "
        f"({peak.share:.0%}; 95 % interval {peak.low:.0%} to {peak.high:.0%}). The number of assessed stocks changes from "
        "year to year: where it falls, the last stocks to be reported decide the share, so the ends of the right-hand line "
        "say less than its middle."
    )
    chapter.show(
        pictures.draw_stocks(found.status.counts, below),
        "Left: stocks assessed each year, by how much fish there is. Right: the share below Bmsy, with its interval over stocks.",
    )
    return chapter


def _catches(found: Findings) -> Chapter | None:
    frames = [frame for frame in found.frames if "aquaculture" in frame or ("catch" in frame and (frame["kind"] == "country").any())]
    if not frames:
        return None
    frame = frames[0]
    whole = next((name for name in ("World", "all") if (frame["entity"] == name).any()), None)
    name = whole or str(frame.groupby("entity")["catch"].max().idxmax())
    rows = frame[(frame["entity"] == name) & frame["catch"].notna()]
    chapter = Chapter("Caught and farmed")
    top, last = rows.loc[rows["catch"].idxmax()], rows.iloc[-1]
    chapter.say(
        f"{name}: the catch was largest in {top.year}, {top.catch / 1e6:.1f} million tonnes, and was "
        f"{last.catch / 1e6:.1f} million in {last.year}. A catch that no longer grows while boats do is how overfishing "
        "looks when nobody measures biomass."
    )
    chapter.show(pictures.draw_catches(frame, name, 12), "Left: wild catch and aquaculture. Right: the largest catches.")
    return chapter


def _dynamics(found: Findings) -> Chapter | None:
    if not found.dynamics:
        return None
    chapter = Chapter("How stocks grow: fits and futures")
    chapter.say(
        "A surplus-production model is the simplest that answers a manager: next year's biomass is this year's, plus the "
        "surplus, minus the catch. Schaefer's curve puts the largest surplus at K/2, Fox's at 37 % of K. Two kinds of chance "
        "are kept apart: nature's (good and bad years) and ours (a survey sees more or less than there is).",
        "Every interval holds the truth nine times in ten if the model is right: the fitted stock is lived again many times, "
        "fitted again each time, and how far those fits miss sets the width. Beliefs that went in beforehand: r about 0.4 a "
        "year (0.1 to 1.5), K about ten times the largest catch (1.4 to 70 times). Where a table says little they decide, and "
        "a warning says so. Catches are taken as exact.",
    )
    for one in found.dynamics:
        _one(chapter, one, found.truth)
    return chapter


def _one(chapter: Chapter, one: Dynamics, truth: pd.DataFrame | None) -> None:
    chosen = one.chosen
    chapter.head(f"{chosen.title}, {chosen.years[0]} to {chosen.years[-1]}")
    if one.warnings:
        chapter.warn("These data do not carry a fit: " + "; ".join(one.warnings) + ". Read the figures below as questions.")
    chapter.say(_which(one), *chosen.notes)
    if chosen.measure == "b_bmsy":
        chapter.say(
            "The table's B/Bmsy is itself the answer of an assessment; only its shape is used here, not its level, so the "
            "B/Bmsy below is a second opinion and not a copy."
        )
    known = _known(truth, chosen.entity)
    names = list(one.fits)
    header = ["", *[f"{name}, 90 % interval" for name in names], *(["true"] if known else [])]
    rows = []
    for key, words in NAMES.items():
        cells = [_interval(one.fits[name][1].intervals[key]) for name in names]
        rows.append((words, *cells, *([figure(known[key]) if key in known else "–"] if known else [])))
    for words, attribute in (("chance in nature", "process"), ("chance in looking", "looking")):
        cells = [_interval(getattr(one.fits[name][1], attribute)) for name in names]
        rows.append((words + ", standard deviation", *cells, *(["–"] if known else [])))
    chapter.tabulate(header, rows)
    chapter.show(
        pictures.draw_fit(one.fit, one.doubt, chosen.years),
        f"{one.best.capitalize()}. Above: biomass and what was seen of it; what the model leaves over. Below: the surplus of each "
        "year on the curve (dark is early, light is late); catches beside MSY.",
    )
    chapter.show(
        pictures.draw_futures(one.fit, chosen.years, one.futures),
        "Futures: the middle one, and the nine in ten around it. Left as much caught as asked or as in the last three years, "
        "right as hard fished as asked.",
    )


def _interval(value) -> str:
    return f"{figure(value.value)} ({figure(value.low)} – {figure(value.high)})"


def _which(one: Dynamics) -> str:
    measured = f"Biomass is known as {one.chosen.measured}, and changed {one.contrast:.1f}-fold."
    if one.apart is None:
        return measured
    if one.apart < CLEAR:
        return f"{measured} The table does not tell the two curves apart (log evidence differs by {one.apart:.1f}); {one.best} is drawn."
    return f"{measured} {one.best.capitalize()} is likelier (log evidence {one.apart:.1f} higher)."


def _known(truth: pd.DataFrame | None, entity: str) -> dict[str, float]:
    if truth is None:
        return {}
    row = truth[truth["stockid"] == entity].iloc[0]
    return {key: float(row[name]) for key, name in (("r", "r"), ("k", "K"), ("msy", "MSY"), ("bmsy", "Bmsy"), ("fmsy", "Fmsy"))}


def _learning(found: Findings) -> Chapter | None:
    if found.learnt is None:
        if not found.not_learnt:
            return None
        chapter = Chapter("Can catches alone tell?")
        chapter.say(f"Not asked of these tables: {found.not_learnt}.")
        return chapter
    learnt = found.learnt
    chapter = Chapter("Can catches alone tell?")
    asked, stocks = len(learnt.answers), learnt.answers["entity"].nunique()
    chapter.say(
        "Most stocks of the world have catches and no assessment. So: from the history of its catches and the kind of species, "
        f"which stock lies below Bmsy? {asked} questions about {stocks} stocks were asked of models that had seen neither the "
        f"stock nor the years ({learnt.folds} folds: groups of stocks, each after a moment in time). "
        f"{learnt.answers['below'].mean():.0%} of the answers are 'below'."
    )
    chapter.show(
        pictures.draw_learning(learnt),
        "Left: how well each model ranks stocks; 0.5 is guessing. Middle: on the diagonal a probability means what it says. "
        "Right: what boosting goes by, as the area lost when one column is shuffled, with its spread over folds.",
    )
    rows = []
    for name in learnt.figures["model"].drop_duplicates():
        part = learnt.figures[learnt.figures["model"] == name].set_index("figure")
        cells = [f"{part.value[key]:.3f} ({part.low[key]:.3f} – {part.high[key]:.3f})" if key in part.index else "–"
                 for key in ("auc", "balanced_accuracy", "brier", "calibration_error")]
        rows.append((name, *cells))
    chapter.tabulate(["model, 95 % over stocks", "area under the curve", "balanced accuracy", "Brier score", "calibration error"], rows)
    gain = learnt.figure("boosting − rule of thumb", "auc")
    verdict = "better than" if gain.low > 0 else "worse than" if gain.high < 0 else "not told apart from"
    chapter.say(
        f"The rule of thumb looks at one figure only: this year's catch against the largest so far. Boosting is {verdict} it "
        f"({gain.value:+.3f}, {gain.low:+.3f} to {gain.high:+.3f}). Such answers sort stocks for a closer look; they are no "
        "assessment: catches also fall because a quota, a price or a war says so."
    )
    return chapter


def _read(found: Findings) -> Chapter:
    chapter = Chapter("What was read")
    chapter.say("One variable has many names; this is what each column was taken for. columns='HEADER=meaning' corrects it.")
    for sheet in found.sheets:
        chapter.head(sheet.name)
        if "kind" in sheet.frame:
            span = f"{sheet.frame['year'].min()} to {sheet.frame['year'].max()}"
            chapter.say(f"{len(sheet.frame):,} rows, {sheet.frame['entity'].nunique()} entities, {span}. {_sentence(sheet.notes)}")
        else:
            chapter.say(f"{len(sheet.frame):,} species with their categories.")
        chapter.tabulate(["column", "taken for"], sheet.taken, folded=f"{len(sheet.taken)} columns")
    for sentence in found.refused:
        chapter.warn(f"Left out: {sentence}")
    return chapter


def _sentence(notes: list[str]) -> str:
    text = "; ".join(notes)
    return f"{text[0].upper()}{text[1:]}." if text else ""
