"""A stage's part of the page: its ranking, what differs by chance, what was chosen and why, and the evidence."""

import base64
import html
import math
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from fishnet.text import counted
from fishnet.tracking.layout import duration

from . import pictures
from .journal import Journal
from .scoring import OTHER_PHOTOS, Scored, StageState, Verdict, judged, photos_differ, same_photos
from .selection import chosen_digests, ranked

MOST_PICTURED = 4_000_000  # bytes of pictures in a page that is to be mailed


def section(number: int, state: StageState, journal: Journal) -> str:
    stage = state.stage
    parts = [f"<h2 id='s{number}'>{number} · {html.escape(stage.name)}</h2><p>{html.escape(stage.title)}</p>"]
    if not state.scored:
        return "".join([*parts, "<p class=soft>This stage has not begun.</p>"])
    how = {"grid": "every point of a grid", "list": "a list", "random": "random points", "tpe": "points asked of TPE"}
    plain = list(stage.search.points) == [""] and stage.search.kind == "list"
    told = ["no search" if plain else how[stage.search.kind]]
    told += [f"{stage.folds} folds"] if stage.folds else ["one split"]
    told += [counted(len(stage.seeds), "seed")]
    seeds_alone = not stage.folds and len(stage.seeds) > 1
    told += ["the test split was touched"] if stage.test else ["the test split was left alone"]
    parts.append(f"<p class=soft>{', '.join(told)}; scored by <code>{html.escape(stage.score)}</code></p>")
    if state.choice is not None:
        parts.append(_why(state.choice.record))
    if photos_differ(state.scored):
        parts.append(f"<p><b>Beware</b>: {OTHER_PHOTOS}</p>")
    if stage.is_range_test:
        return "".join([*parts, _rates(state, journal)])
    order = ranked(stage, state.scored)
    chosen = chosen_digests(state.choice)
    key = stage.score
    verdicts = judged(order[0], order[1:], journal, key) if order else {}
    if len(order) > 1:
        words = {digest: found.word for digest, found in verdicts.items()}
        parts.append(pictures.ranking(order, key, words, chosen, _bars(order, journal, key)))
        parts.append(
            "<p class=soft>Green: chosen. Blue: the best, and what cannot be told from it. Grey: behind the best. "
            "Hollow: nothing is known of the difference."
            f"{' Bars span the seeds alone, not what other photos would change.' if seeds_alone else ''}</p>"
        )
        parts.append(_in_words(order, verdicts, bool(stage.folds)))
        parts.append(pictures.parallel(order, key, chosen))
    if order:
        if curves := pictures.curves(order, journal, key):
            parts.append(curves)
            parts.append("<p class=soft>Learning curves: dotted on training photos, solid on validation photos.</p>")
    parts.append(_table(state, order, verdicts, chosen))
    if stage.test and len(order) > 1:
        parts.append(_on_test(order, journal))
    if stage.test and order:
        parts.append(_evidence(next((one for one in order if one.trial.digest in chosen), order[0]), journal))
    return "".join(parts)


def _why(told: dict[str, Any]) -> str:
    text = f"Chosen: <b>{html.escape(', '.join(chosen_names(told)))}</b>, {html.escape(told['rule'])}."
    if told.get("ties"):
        text += f" Ties, broken by the order of the protocol: {html.escape(', '.join(map(str, told['ties'])))}."
    if told.get("votes"):
        votes = "; ".join(
            f"{key}: " + ", ".join(f"{value} in {n}" for value, n in counts.items())
            for key, counts in told["votes"].items()
        )
        text += f" Votes of the folds: {html.escape(votes)}."
    lines = {}
    for kept in told["kept"]:
        chosen = " ".join(f"{key}={value}" for key, value in kept.get("settings", {}).items())
        if chosen:
            lines[chosen] = f"<br>{html.escape(str(kept['name']))}: <code>{html.escape(chosen)}</code>"
    return f"<div class=why>{text}{''.join(lines.values())}</div>"


def chosen_names(told: dict[str, Any]) -> list[str]:
    """Names once each; of winners of folds, with their folds."""
    folds: dict[str, list[str]] = {}
    for kept in told["kept"]:
        folds.setdefault(str(kept["name"]), []).extend([str(kept["fold"])] if "fold" in kept else [])
    return [f"{name} (fold {', '.join(where)})" if where else name for name, where in folds.items()]


def _in_words(order: Sequence[Scored], verdicts: Mapping[str, Verdict], folds: bool) -> str:
    """What may be believed of the ranking: each of the others is behind, cannot be told, or unknown."""
    best = html.escape(_first(order, None))
    named = _by_word(order[1:], verdicts)
    others = len(order) - 1
    text = ""
    if len(named["behind"]) == others:
        text = f"The best ({best}) differs from every other by more than chance explains."
    elif named["alike"]:
        text = (
            f"<b>{len(named['alike'])} of {others}</b> cannot be told from the best ({best}; blue: "
            f"{_listed(named['alike'])}). Choosing among these is chance."
        )
        text += f" Behind it by more than chance explains: {_listed(named['behind'])}." if named["behind"] else ""
    elif named["behind"]:
        text = f"Behind the best ({best}) by more than chance explains: {_listed(named['behind'])}."
    unknown = len(named["unknown"])
    more = ""
    if unknown:
        more += (
            f" Of {'all others' if unknown == others else unknown} the difference from the best is not known: no fold "
            "or photo in common, folds that differ all alike, or a score that is no figure of single photos."
        )
    how = sorted({found.difference.how for found in verdicts.values() if found.difference is not None})
    if how:
        more += (
            f" Differences are {'; '.join(how)}. The intervals are of one comparison each; what is called behind is "
            f"so after Holm's correction for all pairs of {len(order)} arms, for the best was picked by looking."
        )
    more += " Folds share training photos; the differences allow for it, the bars do not." if folds else ""
    return f"<p>{text}<span class=soft>{more}</span></p>"


def _by_word(others: Sequence[Scored], verdicts: Mapping[str, Verdict]) -> dict[str, list[Scored]]:
    words = ("behind", "alike", "unknown")
    return {word: [one for one in others if verdicts[one.trial.digest].word == word] for word in words}


def _first(order: Sequence[Scored], key: str | None) -> str:
    """The best, or all that are equally good."""
    best = order[0].spread(key).mean
    return ", ".join(one.trial.name for one in order if one.spread(key).mean == best)


def _listed(some: Sequence[Scored], most: int = 8) -> str:
    return html.escape(", ".join(one.trial.name for one in some[:most])) + (" …" if len(some) > most else "")


def _bars(order: Sequence[Scored], journal: Journal, key: str) -> dict[str, tuple[float, float]]:
    """By digest, of trials with a single training: the interval over its photos, drawn again by group."""
    import numpy as np

    from fishnet.measure.bootstrap import intervals
    from fishnet.measure.predictions import Predictions

    from .scoring import BY_PHOTO, answers

    part, _, figure = key.partition("/")
    found: dict[str, tuple[float, float]] = {}
    for one in order[: pictures.MOST_ROWS]:
        cells = list(one.values(key))
        table = answers(one, journal, cells[0], "validation.csv") if len(cells) == 1 and figure in BY_PHOTO else None
        if table is None or part != "val" or table["group"].nunique() < 2:
            continue
        names = sorted({*table["class"], *table["predicted"]})
        number = {name: place for place, name in enumerate(names)}
        label = np.array([number[name] for name in table["class"]])
        said = np.eye(len(names))[[number[name] for name in table["predicted"]]]
        drawn = intervals(Predictions(np.arange(len(label)), label, said), table["group"].to_numpy(), len(names))
        found[one.trial.digest] = drawn[figure].low, drawn[figure].high
    return found


def _table(state: StageState, order: Sequence[Scored], verdicts: Mapping[str, Verdict], chosen: Set[str]) -> str:
    stage, test = state.stage, state.stage.test
    figure = stage.score.removeprefix("val/")
    keys = [stage.score, "val/loss"] + (["test/accuracy", f"test/{figure}", "test/loss"] if test else [])
    keys = list(dict.fromkeys(keys))
    heads = ["trial", *keys, *(["behind the best by", "p (Holm)"] if verdicts else [])]
    heads += ["best epoch", "parameters", "learning", "time"]
    rows = []
    for one in [*order, *(other for other in state.scored if other not in order)]:
        behind = _behind(verdicts.get(one.trial.digest)) if verdicts else []
        cells = [html.escape(one.trial.name), *(_figure(one, key) for key in keys), *behind]
        cells += ["" if math.isnan(one.epochs_to_best) else f"{one.epochs_to_best:.3g}"]
        cells += ["" if n is None else f"{n:,}" for n in (one.parameters, one.learning)]
        cells += [duration(one.seconds)]
        mark = "kept" if one.trial.digest in chosen else one.state
        rows.append(f"<tr class={mark}>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
        for cell, result in one.deaths:
            why = f"{result['status']} ({cell.name}): {result['cause']}"
            rows.append(f"<tr class=failed><td class=l colspan={len(heads)}>↳ {html.escape(why[:400])}</td></tr>")
        if one.state == "pruned":
            why = next(result["cause"] for result in one.results.values() if result["status"] == "pruned")
            rows.append(f"<tr class=pruned><td class=l colspan={len(heads)}>↳ {html.escape(why)}</td></tr>")
    head = "".join(f"<th>{html.escape(word)}</th>" for word in heads)
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _behind(found: Verdict | None) -> list[str]:
    if found is None or found.difference is None:
        return ["" if found is None else "unknown", ""]
    apart = found.difference
    if apart.error == 0:
        return ["0 in every fold", ""]
    chance = "&lt; 0.001" if found.p < 0.001 else f"{found.p:.2g}"
    return [f"{apart.value:.3f} [{apart.low:.3f}, {apart.high:.3f}]", chance]


def _figure(one: Scored, key: str) -> str:
    worth = one.spread(key)
    if not worth.n:
        return ""
    if worth.n > 1:
        return f"{worth.mean:.3f} ± {worth.sd:.3f} ({worth.n})"
    low, high = one.interval(key)
    return f"{worth.mean:.3f}" + (f" [{low:.2f}, {high:.2f}]" if math.isfinite(low) else "")


def _on_test(order: Sequence[Scored], journal: Journal) -> str:
    """The test set speaks once, at the end, of arms that were all asked about the same photos."""
    key = "test/accuracy"
    known = [one for one in order if one.spread(key).n]
    if len(known) < 2:
        return ""
    known.sort(key=lambda one: -one.spread(key).mean)
    verdicts = judged(known[0], known[1:], journal, key)
    named = _by_word(known[1:], verdicts)
    several = known[1].spread(key).mean == known[0].spread(key).mean
    text = f"On the test photos {html.escape(_first(known, key))} {'have' if several else 'has'} the highest accuracy."
    text += f" Cannot be told from the best: {_listed(named['alike'])}." if named["alike"] else ""
    text += f" Behind by more than chance explains: {_listed(named['behind'])}." if named["behind"] else ""
    text += f" Nothing is known of the difference from {_listed(named['unknown'])}." if named["unknown"] else ""
    same = same_photos(known, journal, "predictions.csv")
    told = {
        True: "All arms of one fold were tested on the same photos.",
        False: "<b>Beware</b>: not all arms were tested on the same photos; differences are over those in common.",
        None: "Which photos each arm was tested on is not known of all.",
    }[same]
    return f"<p>{text} <span class=soft>{told}</span></p>"


def _evidence(one: Scored, journal: Journal) -> str:
    """Of what was chosen: the report class by class, and photos with the true and the predicted name."""
    run = journal.run_of(one.trial.cells[0])
    parts = []
    report = run / "report" / "classification_report.txt"
    if report.is_file():
        parts.append(f"<pre>{html.escape(report.read_text(encoding='utf-8'))}</pre>")
    room = MOST_PICTURED
    for sheet in sorted((run / "gradcam").glob("*.jpg")):
        room -= sheet.stat().st_size
        if room < 0:
            parts.append(f"<p class=soft>More in <code>{html.escape(str(sheet.parent))}</code></p>")
            break
        parts.append(_embedded(sheet, f"photos of {sheet.stem}"))
    if not parts:
        return ""
    where = f"{one.trial.name}, {one.trial.cells[0].name}"
    return (
        f"<details><summary>Test photos of {html.escape(where)}: class by class, with the true and the predicted name"
        f"</summary>{''.join(parts)}</details>"
    )


def _embedded(picture: Path, words: str) -> str:
    kind = "jpeg" if picture.suffix == ".jpg" else "png"
    data = base64.b64encode(picture.read_bytes()).decode()
    return f"<img alt='{html.escape(words, quote=True)}' src='data:image/{kind};base64,{data}'>"


def _rates(state: StageState, journal: Journal) -> str:
    """Two range tests beside each other."""
    parts = []
    for one in state.scored:
        for cell in one.trial.cells:
            picture = journal.run_of(cell) / "report" / "lr.png"
            result = one.results.get(cell.digest, {})
            rate = result.get("lr")
            told = f"lr {rate:.3g}" if rate else html.escape(str(result.get("cause", "")))
            shown = _embedded(picture, "loss against learning rate") if picture.is_file() else ""
            parts.append(
                f"<figure><figcaption><b>{html.escape(one.trial.name)}</b>: {told}</figcaption>{shown}</figure>"
            )
    return "".join(parts)
