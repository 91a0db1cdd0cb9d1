"""report.html: one page a study, without a network: what was tried, what may be believed, what was chosen and why."""

import functools
import itertools
import logging
import math
import time
from collections.abc import Mapping, Sequence, Set
from typing import Any

from fishnet.files import write_whole
from fishnet.measure.metrics import metric_of
from fishnet.measure.pairs import BY_PHOTO
from fishnet.page.figures import picture_address
from fishnet.page.page import Chapter, Row, prose, render_page
from fishnet.text import counted
from fishnet.tracking.layout import duration

from . import pictures
from .front import add_front, cost_metric
from .journal import Journal
from .protocol import Protocol
from .scoring import OTHER_PHOTOS, Scored, StageState, Verdict, answers, judged, photos_differ, same_photos
from .selection import chosen_digests, is_within, ranked
from .table import in_order, mean_text, remaining, settings_text, write_results

log = logging.getLogger("fishnet")

RELOAD = 30  # seconds: how often a browser looks at the page of a study that runs
PAUSE = 60.0  # seconds between two pages of a study that runs
MOST_PICTURED = 4_000_000  # bytes of pictures in a page that is to be mailed
SEARCHES = {"grid": "every point of a grid", "list": "a list", "random": "random points", "tpe": "points asked of TPE"}


class LivingPage:
    """The page of a study and results.csv, written anew while the study runs: after each stage, and now and then
    between. `overrides` is what the command line asked for, as the page repeats it."""

    def __init__(self, protocol: Protocol, journal: Journal, overrides: Sequence[str]) -> None:
        self.protocol, self.journal, self.overrides = protocol, journal, overrides
        self.path = journal.folder / "report.html"
        self._shown, self._written = (0, 0), time.monotonic()

    def __call__(self, states: Sequence[StageState]) -> None:
        chosen = sum(state.choice is not None for state in states)
        trials = sum(trial.state != "open" for state in states for trial in state.scored)
        due = time.monotonic() - self._written > PAUSE
        if chosen < len(states) and (chosen != self._shown[0] or (trials != self._shown[1] and due)):
            self.write(states, live=True)
            self._shown, self._written = (chosen, trials), time.monotonic()

    def write(self, states: Sequence[StageState], *, live: bool = False) -> None:
        """results.csv and the page; a `live` page reloads itself in the browser."""
        text = render_page(
            self.protocol.title,
            about(self.protocol.name, states),
            [opening(self.protocol, states, self.overrides), *map(self._chapter, itertools.count(1), states)],
            reload_seconds=RELOAD if live else None,
        )
        try:
            write_results(self.path.with_name("results.csv"), states)
            write_whole(self.path, text)
        except OSError as error:  # a full disk; what was chosen stands in selected.json
            log.warning("The page could not be written: %s", error)

    def _chapter(self, number: int, state: StageState) -> Chapter:
        """What one training left behind must not stop the study: where it cannot be shown, the reason stands."""
        title = f"{number} · {state.stage.name}"
        try:
            return stage_chapter(title, state, self.journal)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            log.warning("The page cannot show stage %s: %s", state.stage.name, reason)
            chapter = Chapter(title)
            chapter.add_warning(_prose().broken(reason))
            return chapter


_prose = functools.partial(prose, "fishnet.studies", "prose.html")


def about(name: str, states: Sequence[StageState]) -> str:
    """How much was tried, and what is still open."""
    trials = [trial for state in states for trial in state.scored]
    left = remaining(states).whole
    return _prose().about(
        name=name,
        trials=counted(len(trials), "trial"),
        trainings=counted(sum(len(trial.results) for trial in trials), "training"),
        spent=duration(sum(trial.seconds for trial in trials)),
        failed=sum(trial.state == "failed" for trial in trials),
        open_stages=[state.stage.name for state in states if state.choice is None],
        left=duration(left) if left else "",
    )


def opening(protocol: Protocol, states: Sequence[StageState], overrides: Sequence[str]) -> Chapter:
    """The claim, and a row a stage with what it chose."""
    chapter = Chapter()
    if overrides:
        chapter.add_text(_prose().overrides(" ".join(overrides)), style="soft")
    chapter.add_text(protocol.claim)
    if photos_differ([trial for state in states for trial in state.scored]):
        chapter.add_warning(OTHER_PHOTOS)
    rows = []
    for number, state in enumerate(states, 1):
        chosen = ", ".join(chosen_names(state.choice.record)) if state.choice else "–"
        score = "range test" if state.stage.rule.is_range_test else state.stage.score
        spent = duration(sum(trial.seconds for trial in state.scored))
        rows.append((f"{number} {state.stage.name}", len(state.scored), chosen, score, spent))
    chapter.add_table(["stage", "trials", "chosen", "by", "time spent"], rows, numeric=[1, 4])
    return chapter


def stage_chapter(title: str, state: StageState, journal: Journal) -> Chapter:
    """A stage's ranking, what differs by chance, what was chosen and why, and the evidence."""
    stage, key = state.stage, state.stage.score
    chapter = Chapter(title)
    chapter.add_text(stage.title)
    if not state.scored:
        chapter.add_text("This stage has not begun.", style="soft")
        return chapter
    no_search = list(stage.search.points) == [""] and stage.search.kind == "list"
    points = "no search" if no_search else SEARCHES[stage.search.kind]
    seeds = counted(len(stage.seeds), "seed")
    chapter.add_text(_prose().search(points, stage.folds, seeds, stage.test, key), style="soft")
    if state.choice is not None:
        chapter.add_text(_choice(state.choice.record), style="boxed")
    if photos_differ(state.scored):
        chapter.add_warning(OTHER_PHOTOS)
    if stage.rule.is_range_test:
        _add_range_tests(chapter, state, journal)
        return chapter
    every, chosen = ranked(stage, state.scored), chosen_digests(state.choice)
    order = [trial for trial in every if is_within(stage, trial)]  # compared are those that the limit lets be chosen
    add_front(chapter, stage, state.scored, chosen)
    verdicts = judged(order[0], order[1:], journal, key) if order else {}
    if len(order) > 1:
        words = {digest: verdict.word for digest, verdict in verdicts.items()}
        drawn = pictures.draw_ranking(order, key, words, chosen, _photo_intervals(order, journal, key))
        chapter.add_figure(drawn, _prose().ranking(not stage.folds and len(stage.seeds) > 1))
        how = sorted({verdict.difference.how for verdict in verdicts.values() if verdict.difference is not None})
        names, groups = _best_names(order, key), _by_verdict(order[1:], verdicts)
        sentence = _prose().verdicts(
            names, len(order) - 1, **groups, methods=how, folds=bool(stage.folds), smallest=_detectable(verdicts, key)
        )
        chapter.add_text(sentence)
        if drawn := pictures.draw_parallel(order, key, chosen):
            chapter.add_figure(drawn, f"Each trial is a line from its settings to {key}. Green: chosen.")
    if drawn := pictures.draw_curves(every, journal, key):
        chapter.add_figure(drawn, "Learning curves: dotted on training photos, solid on validation photos.")
    _add_trials(chapter, state, verdicts, chosen)
    if stage.test and every:
        _add_test(chapter, every, journal)
        shown = next((trial for trial in every if trial.trial.digest in chosen), every[0])
        _add_evidence(chapter, shown, journal)
    return chapter


def _choice(reasons: Mapping[str, Any]) -> str:
    """What was chosen and by which rule, with the settings of each; `reasons` as in selected.json."""
    votes = "; ".join(
        f"{key}: " + ", ".join(f"{value} in {count}" for value, count in counts.items())
        for key, counts in (reasons.get("votes") or {}).items()
    )
    texts = ((settings_text(kept.get("settings", {})), kept["name"]) for kept in reasons["kept"])
    settings = {text: name for text, name in texts if text}
    return _prose().choice(chosen_names(reasons), reasons["rule"], reasons.get("ties"), votes, settings)


def chosen_names(reasons: Mapping[str, Any]) -> list[str]:
    """Names once each; of winners of folds, with their folds."""
    folds: dict[str, list[str]] = {}
    for kept in reasons["kept"]:
        folds.setdefault(str(kept["name"]), []).extend([str(kept["fold"])] if "fold" in kept else [])
    return [f"{name} (fold {', '.join(numbers)})" if numbers else name for name, numbers in folds.items()]


def _by_verdict(others: Sequence[Scored], verdicts: Mapping[str, Verdict]) -> dict[str, list[str]]:
    """Trial names by the verdict on each: behind, alike, unknown."""
    words = [(verdicts[trial.trial.digest].word, trial.trial.name) for trial in others]
    return {group: [name for word, name in words if word == group] for group in ("behind", "alike", "unknown")}


def _detectable(verdicts: Mapping[str, Verdict], key: str) -> tuple[str, bool]:
    """The difference that would have been shown of each trial that cannot be told from the best, empty where it is not
    known; and whether a metric can differ by so much."""
    known = [verdict.detectable for verdict in verdicts.values() if verdict.word == "alike"]
    largest, metric = max((value for value in known if math.isfinite(value)), default=math.nan), metric_of(key)
    return ("" if math.isnan(largest) else f"{largest:.2g}"), not (largest > 1 and (metric is None or metric.is_share))


def _best_names(order: Sequence[Scored], key: str | None) -> str:
    """The best, or all that are equally good."""
    best = order[0].spread(key).mean
    return ", ".join(trial.trial.name for trial in order if trial.spread(key).mean == best)


def _photo_intervals(order: Sequence[Scored], journal: Journal, key: str) -> dict[str, tuple[float, float]]:
    """By digest, of trials with a single training: the interval over its photos, by group."""
    import numpy as np

    from fishnet.measure.intervals import intervals
    from fishnet.measure.predictions import Predictions

    part, _, metric = key.partition("/")
    ends: dict[str, tuple[float, float]] = {}
    for trial in order[: pictures.MOST_ROWS] if part == "val" and metric in BY_PHOTO else ():
        cells = list(trial.values(key))
        table = answers(trial, journal, cells[0], "validation.csv") if len(cells) == 1 else None
        if table is not None and table["group"].nunique() > 1:
            names = np.unique(table[["class", "predicted"]].to_numpy(dtype=str))
            labels, predicted = (np.searchsorted(names, table[key].to_numpy(str)) for key in ("class", "predicted"))
            predictions = Predictions(np.arange(len(labels)), labels, np.eye(len(names))[predicted])
            interval = intervals(predictions, table["group"].to_numpy(), len(names))[metric]
            ends[trial.trial.digest] = interval.low, interval.high
    return ends


def _add_trials(chapter: Chapter, state: StageState, verdicts: Mapping[str, Verdict], chosen: Set[str]) -> None:
    """A row a trial, the best first; under those that failed or were pruned, the reason."""
    stage = state.stage
    of_test = ["test/accuracy", f"test/{stage.score.removeprefix('val/')}", "test/loss"] if stage.test else []
    cost = cost_metric(stage, state.scored)
    keys = list(dict.fromkeys([stage.score, "val/loss", *([cost] if cost else []), *of_test]))
    header = ["trial", *keys, *(["behind the best by", "p (Holm)", "detectable"] if verdicts else [])]
    header += ["best epoch", "parameters", "learning", "time"]
    rows = []
    for trial in in_order(state):
        cells = [trial.trial.name]
        for key in keys:
            low, high = trial.interval(key)
            single = len(trial.values(key)) == 1 and math.isfinite(low)
            beyond = " beyond the limit" if key == cost and trial.values(cost) and not is_within(stage, trial) else ""
            cells.append(mean_text(trial, key) + (f" [{low:.2f}, {high:.2f}]" if single else beyond))
        cells += _behind(verdicts.get(trial.trial.digest)) if verdicts else []
        cells.append("" if math.isnan(trial.epochs_to_best) else f"{trial.epochs_to_best:.3g}")
        cells += ["" if count is None else f"{count:,}" for count in (trial.parameters, trial.learning)]
        style = {"failed": "bad", "pruned": "doubtful"}.get(trial.state, "")
        rows.append(Row([*cells, duration(trial.seconds)], "good" if trial.trial.digest in chosen else style))
        causes = [f"{result['status']} ({cell.name}): {result['cause']}" for cell, result in trial.deaths]
        rows += [Row([f"↳ {cause}"[:402]], "bad") for cause in causes]
        pruned = [result["cause"] for result in trial.results.values() if result["status"] == "pruned"]
        rows += [Row([f"↳ {cause}"], "doubtful") for cause in pruned[:1]]
    chapter.add_table(header, rows, numeric=range(1, len(header)))


def _behind(verdict: Verdict | None) -> list[str]:
    """The difference from the best with its interval, its p-value, and the smallest difference that would show."""
    if verdict is None or (difference := verdict.difference) is None:
        return ["" if verdict is None else "unknown", "", ""]
    if difference.error == 0:
        return ["0 in every fold", "", ""]
    p = "< 0.001" if verdict.p < 0.001 else f"{verdict.p:.2g}"
    ends = f"[{difference.low:.3f}, {difference.high:.3f}]"
    return [f"{difference.value:.3f} {ends}", p, f"{verdict.detectable:.2g}"]


def _add_test(chapter: Chapter, order: Sequence[Scored], journal: Journal) -> None:
    """The test set is used once, at the end, with arms that were all tested on the same photos."""
    key = "test/accuracy"
    tested = sorted((trial for trial in order if trial.spread(key).n), key=lambda trial: -trial.spread(key).mean)
    if len(tested) < 2:
        return
    verdicts = judged(tested[0], tested[1:], journal, key)
    groups, smallest = _by_verdict(tested[1:], verdicts), _detectable(verdicts, key)
    several = tested[1].spread(key).mean == tested[0].spread(key).mean
    same = same_photos(tested, journal, "predictions.csv")
    chapter.add_text(_prose().on_test(_best_names(tested, key), several, **groups, same=same, smallest=smallest))


def _add_evidence(chapter: Chapter, trial: Scored, journal: Journal) -> None:
    """Of what was chosen: the report class by class, and photos with the true and the predicted name."""
    cell = trial.trial.cells[0]
    run, details = journal.run_of(cell), Chapter()
    report = run / "report" / "classification_report.txt"
    if report.is_file():
        details.add_code(report.read_text(encoding="utf-8"))
    room = MOST_PICTURED
    for sheet in sorted((run / "gradcam").glob("*.jpg")):
        room -= sheet.stat().st_size
        if room < 0:
            details.add_text(f"More in {sheet.parent}", style="soft")
            break
        details.add_figure(picture_address(sheet), f"photos of {sheet.stem}")
    if details.blocks:
        photos = f"Test photos of {trial.trial.name}, {cell.name}"
        chapter.add_details(f"{photos}: class by class, with the true and the predicted name", details)


def _add_range_tests(chapter: Chapter, state: StageState, journal: Journal) -> None:
    """The loss against the learning rate of each training, beside each other."""
    for trial in state.scored:
        for cell in trial.trial.cells:
            picture = journal.run_of(cell) / "report" / "lr.png"
            result = trial.results.get(cell.digest, {})
            outcome = f"lr {result['lr']:.3g}" if result.get("lr") else result.get("cause", "")
            caption = f"{trial.trial.name}: {outcome}"
            if picture.is_file():
                chapter.add_figure(picture_address(picture), caption, beside=True)
            else:
                chapter.add_text(caption)
