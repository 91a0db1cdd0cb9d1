"""What a stage hands on to the next one, by one of four rules: the `keep` of the protocol.

Choosing is a pure function of the stage's trials, so that the same results always choose the same.
"""

from __future__ import annotations

import math
import statistics
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from fishnet.errors import WorkFailed
from fishnet.text import counted

from .settings import Settings

if TYPE_CHECKING:
    from .protocol import Limit, Stage
    from .scoring import Scored
    from .trials import Trial


@dataclass(frozen=True)
class Candidate:
    """Settings that a stage hands on, with the experiment that they begin with."""

    name: str = ""
    base: str | None = None
    settings: Settings = field(default_factory=dict)
    fold: int | None = None  # only for this fold: the winner inside it


class Selection(NamedTuple):
    """Candidates for the next stage, and the reasons as they go into selected.json."""

    candidates: list[Candidate]
    record: dict[str, Any]
    digests: frozenset[str]  # the trials of this stage that were chosen


class Rule(ABC):
    """How a stage chooses, and what that asks of the stage and of its trainings."""

    needs_folds = False
    takes_top = False  # whether `top` and `distinct` say how many go on
    inside_folds = False  # whether each candidate goes on in a single fold
    is_range_test = False
    fixed: ClassVar[Settings] = {}  # what each training of the stage is given
    added: ClassVar[Settings] = {}  # settings that choosing adds, with values that stand in until then

    def most(self, stage: Stage, trials: float) -> float:
        """How many candidates it hands on at most, out of so many trials."""
        if self.takes_top:
            return stage.top
        if self.inside_folds:
            return stage.folds or 1
        return trials if self.is_range_test else 1

    def stand_in(self, trial: Trial) -> Candidate:
        """What it may hand on of this trial, before anything has run."""
        return Candidate("", trial.base, {**trial.settings, **self.added}, 0 if self.inside_folds else None)

    def failure(self, result: dict[str, Any], metrics: Sequence[str]) -> str:
        """Why a training that ended well cannot be ranked by these metrics; empty where it can."""
        return next((f"its {metric} is no number" for metric in metrics if metric not in result["figures"]), "")

    @abstractmethod
    def choose(self, stage: Stage, finished: list[Scored]) -> Selection:
        """The candidates; WorkFailed where there are too few trials to choose among."""


class Top(Rule):
    """The best by their mean score within the stage's limit, on request one for each value of the key `distinct`."""

    takes_top = True

    def choose(self, stage: Stage, finished: list[Scored]) -> Selection:
        order = ranked(stage, finished)
        kinds = [str(entry.trial.value(stage.distinct)) if stage.distinct else entry.trial.digest for entry in order]
        firsts: dict[str, Scored] = {}  # the best of each kind
        for kind, entry in zip(kinds, order, strict=True):
            firsts.setdefault(kind, entry)
        if len(firsts) < stage.top:
            few = counted(len(firsts), "trial") + (f" that differ in {stage.distinct}" if stage.distinct else "")
            raise WorkFailed(
                f"stage {stage.name}: top={stage.top}, and only {few} finished: "
                "see their causes, run the failed ones again with retry=true, or lower top."
            )
        kept = list(firsts.values())[: stage.top]
        ties = []
        for kind, entry in zip(kinds, order, strict=True):  # equal to the kept one of its kind, or to the last kept
            rival = firsts[kind] if stage.distinct and firsts[kind] in kept else kept[-1]
            if entry not in kept and standing(stage, entry) == standing(stage, rival):
                ties.append(entry.trial.name)
        standings = [(standing(stage, entry), entry.trial.name) for entry in kept]
        ties += [name for (first, _), (second, name) in pairwise(standings) if first == second]
        families = [entry.trial.family for entry in kept]
        short = bool(stage.distinct) and all(families) and len(set(families)) == len(families)
        names = families if short else [entry.trial.name for entry in kept]
        rule = f"top {stage.top} by mean {stage.score}" + (f", one for each {stage.distinct}" if stage.distinct else "")
        rule += f", with {stage.limit}" if stage.limit else ""
        limited = {"limit": _limit_record(stage, stage.limit, order, kept)} if stage.limit else {}
        return Selection(
            [Candidate(name, entry.trial.base, entry.trial.settings) for name, entry in zip(names, kept, strict=True)],
            {"rule": rule, "kept": [_mean_record(stage, entry) for entry in kept], "ties": ties, **limited},
            frozenset(entry.trial.digest for entry in kept),
        )


class FoldWinners(Rule):
    """Each fold's own winner goes on inside that fold."""

    needs_folds = True
    inside_folds = True

    def choose(self, stage: Stage, finished: list[Scored]) -> Selection:
        winners = _winners(stage, finished)
        trials = [winner.entry.trial for winner in winners]
        rule = f"the winner of each fold by {stage.score}"
        ties = [tie for winner in winners for tie in winner.ties]
        return Selection(
            [Candidate(f"f{fold}", trial.base, trial.settings, fold) for fold, trial in enumerate(trials)],
            {"rule": rule, "kept": [winner.record(stage) for winner in winners], "ties": ties},
            frozenset(trial.digest for trial in trials),
        )


class Vote(Rule):
    """Key by key what most folds have chosen; of equally many, the value whose folds scored better."""

    needs_folds = True

    def choose(self, stage: Stage, finished: list[Scored]) -> Selection:
        winners = _winners(stage, finished)
        sign = 1 if stage.maximise else -1
        settings, votes = dict[str, Any](), dict[str, dict[str, int]]()
        ties = [tie for winner in winners for tie in winner.ties]
        for key in sorted({key for winner in winners for key in winner.entry.trial.settings}):
            values, scores = dict[str, Any](), dict[str, list[float]]()
            for winner in winners:
                value = winner.entry.trial.settings.get(key)
                values.setdefault(repr(value), value)
                scores.setdefault(repr(value), []).append(winner.score)
            most = max(map(len, scores.values()))
            leading = [text for text in scores if len(scores[text]) == most]
            chosen = min(leading, key=lambda text: (-sign * statistics.fmean(scores[text]), text))
            settings[key] = values[chosen]
            if len(scores) > 1:
                votes[key] = {text: len(scores[text]) for text in sorted(scores)}
            if len(leading) > 1:
                ties.append(f"{key}: {', '.join(sorted(leading))} by {most} folds each")
        base = Counter(winner.entry.trial.base for winner in winners).most_common(1)[0][0]
        same = [entry.trial for entry in finished if (entry.trial.settings, entry.trial.base) == (settings, base)]
        return Selection(
            [Candidate("voted", base, settings)],
            {
                "rule": f"the majority of the winners of {len(winners)} folds by {stage.score}, key by key",
                "kept": [{"name": "voted", "settings": settings}],
                "winners": [winner.record(stage) for winner in winners],
                "votes": votes,
                "ties": ties,
            },
            frozenset(trial.digest for trial in same),
        )


class RangeTest(Rule):
    """Every trial goes on, with the learning rate that its range test has found."""

    is_range_test = True
    fixed: ClassVar[Settings] = {"tune": "lr"}
    added: ClassVar[Settings] = {"model.lr": 1.0e-3}

    def failure(self, result: dict[str, Any], metrics: Sequence[str]) -> str:
        return "" if result.get("lr") else "its range test found no learning rate"

    def choose(self, stage: Stage, finished: list[Scored]) -> Selection:
        candidates, records = [], []
        for entry in sorted(finished, key=lambda entry: entry.trial.number):
            trial, rates = entry.trial, [result["lr"] for result in entry.results.values()]
            rate = float(f"{math.exp(sum(map(math.log, rates)) / len(rates)):.4g}")
            settings = {**trial.settings, "model.lr": rate}
            candidates.append(Candidate(trial.name, trial.base, settings))
            records.append({"name": trial.name, "digest": trial.digest, "model.lr": rate, "settings": settings})
        record = {"rule": "the learning rate that a range test chooses", "kept": records, "ties": []}
        return Selection(candidates, record, frozenset(entry.trial.digest for entry in finished))


RULES: dict[str, Rule] = {"top": Top(), "folds": FoldWinners(), "vote": Vote(), "lr": RangeTest()}


def choose(stage: Stage, trials: Sequence[Scored]) -> Selection:
    """What the stage hands on of its trials, by its rule; WorkFailed where that cannot be chosen."""
    finished = [entry for entry in trials if entry.state == "finished"]
    if not finished:
        tried = counted(len(trials), "trial")
        raise WorkFailed(f"stage {stage.name}: none of its {tried} finished; nothing can be chosen.")
    return stage.rule.choose(stage, finished)


def chosen_digests(selection: Selection | None) -> frozenset[str]:
    """Digests of the trials that go on; names are for people."""
    return selection.digests if selection else frozenset()


def ranked(stage: Stage, trials: Sequence[Scored]) -> list[Scored]:
    """The best first; of equals the one that stands first in the protocol."""
    known = [entry for entry in trials if entry.state == "finished" and not math.isnan(entry.mean)]
    return sorted(known, key=lambda entry: (*standing(stage, entry), entry.trial.number))


def standing(stage: Stage, entry: Scored) -> tuple[float, float]:
    """What trials are ranked by, the lowest first: within the stage's limit all alike and beyond it by how far, then by
    score."""
    within = stage.limit is None or is_within(stage, entry)
    beyond = 0.0 if within or stage.limit is None else entry.spread(stage.limit.metric).mean
    return beyond, -entry.mean if stage.maximise else entry.mean


def is_within(stage: Stage, entry: Scored) -> bool:
    """Whether the trial keeps the stage's limit; without one each does."""
    return stage.limit is None or entry.spread(stage.limit.metric).mean <= stage.limit.most


def best_by_score(stage: Stage, trials: Sequence[Scored]) -> Scored:
    """The trial that would be first without the stage's limit."""
    return ranked(replace(stage, limit=None), trials)[0]


class Winner(NamedTuple):
    """The best trial of one fold, with its score there and the names of those that were equally good."""

    fold: int
    entry: Scored
    score: float
    ties: list[str]

    def record(self, stage: Stage) -> dict[str, Any]:
        name = {"fold": self.fold, "name": self.entry.trial.name, "digest": self.entry.trial.digest}
        return {**name, stage.score: _short(self.score), "settings": self.entry.trial.settings}


def _winners(stage: Stage, finished: list[Scored]) -> list[Winner]:
    winners = []
    sign = -1 if stage.maximise else 1
    for fold in range(stage.folds or 0):
        seeds = [([value for (at, _), value in entry.values().items() if at == fold], entry) for entry in finished]
        means = [(statistics.fmean(values), entry) for values, entry in seeds if values]
        if not means:
            raise WorkFailed(f"stage {stage.name}: no trial finished in fold {fold}; nothing can be chosen there.")
        (best, winner), *others = sorted(means, key=lambda pair: (sign * pair[0], pair[1].trial.number))
        ties = [f"fold {fold}: {entry.trial.name}" for mean, entry in others if mean == best]
        winners.append(Winner(fold, winner, best, ties))
    return winners


def _limit_record(stage: Stage, limit: Limit, order: Sequence[Scored], kept: Sequence[Scored]) -> dict[str, Any]:
    """The limit, which trials are beyond it, what of them was kept for want of others, and the best by score alone."""
    beyond = [entry.trial.name for entry in order if not is_within(stage, entry)]
    first = best_by_score(stage, order)
    return {
        "metric": limit.metric,
        "most": limit.most,
        "beyond": beyond,
        "kept_beyond": [entry.trial.name for entry in kept if entry.trial.name in beyond],
        "by_score_alone": _mean_record(stage, first),
    }


def _mean_record(stage: Stage, entry: Scored) -> dict[str, Any]:
    spread = entry.spread()
    record: dict[str, Any] = {"name": entry.trial.name, "digest": entry.trial.digest}
    record |= {metric: _short(entry.spread(metric).mean) for metric in stage.ranked_by}
    if spread.n > 1:
        record["sd"] = _short(spread.sd)
        if math.isfinite(spread.low):
            record["interval"] = [_short(spread.low), _short(spread.high)]
    return {**record, "trainings": spread.n, "settings": entry.trial.settings}


def _short(value: float) -> float:
    return float(f"{value:.6g}")
