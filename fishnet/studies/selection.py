"""What a stage hands on: a pure function of its trials, so that the same results always choose the same."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from fishnet.errors import WorkFailed
from fishnet.text import counted

from .protocol import Stage
from .scoring import Scored, spread
from .settings import Settings
from .trials import Candidate


@dataclass(frozen=True)
class Choice:
    """Candidates for the next stage, and the reasons as they go into selected.json."""

    candidates: list[Candidate]
    told: dict[str, Any]
    digests: frozenset[str] = field(default_factory=frozenset)  # the trials of this stage that were chosen


def choose(stage: Stage, trials: Sequence[Scored]) -> Choice:
    finished = [one for one in trials if one.state == "finished"]
    if not finished:
        raise WorkFailed(
            f"stage {stage.name}: none of its {counted(len(trials), 'trial')} finished; nothing can be chosen."
        )
    if stage.keep == "lr":
        return _rates(stage, finished)
    return {"top": _top, "folds": _winners, "vote": _vote}[stage.keep](stage, finished)


def chosen_digests(choice: Choice | None) -> frozenset[str]:
    """Digests of the trials that go on; names are for people."""
    return choice.digests if choice else frozenset()


def ranked(stage: Stage, trials: Sequence[Scored]) -> list[Scored]:
    """The best first; of equals the one that stands first in the protocol."""
    sign = -1 if stage.largest else 1
    known = [one for one in trials if one.state == "finished" and not math.isnan(one.mean)]
    return sorted(known, key=lambda one: (sign * one.mean, one.trial.number))


def _top(stage: Stage, finished: list[Scored]) -> Choice:
    order = ranked(stage, finished)
    if stage.distinct:
        seen: set[str] = set()
        order = [one for one in order if not (_kind(one, stage) in seen or seen.add(_kind(one, stage)))]  # type: ignore[func-returns-value]
    if len(order) < stage.top:
        of = f" that differ in {stage.distinct}" if stage.distinct else ""
        raise WorkFailed(
            f"stage {stage.name}: top={stage.top}, and only {counted(len(order), 'trial')}{of} finished: "
            "see their causes, run the failed ones again with retry=true, or lower top."
        )
    kept = order[: stage.top]
    ties = [one.trial.name for one in ranked(stage, finished) if one not in kept and _might_stand_in(one, kept, stage)]
    ties += [b.trial.name for a, b in pairwise(kept) if a.mean == b.mean]
    rule = f"top {stage.top} by mean {stage.score}" + (f", one for each {stage.distinct}" if stage.distinct else "")
    families = [one.trial.family for one in kept]
    short = bool(stage.distinct) and all(families) and len(set(families)) == len(families)
    names = families if short else [one.trial.name for one in kept]
    return Choice(
        [Candidate(name, one.trial.base, one.trial.settings) for name, one in zip(names, kept, strict=True)],
        {"rule": rule, "kept": [_told(one) for one in kept], "ties": ties},
        frozenset(one.trial.digest for one in kept),
    )


def _might_stand_in(one: Scored, kept: list[Scored], stage: Stage) -> bool:
    """Equal to the last that was kept or, where each is the best of its kind, to the one of its own kind."""
    rivals = [other for other in kept if _kind(other, stage) == _kind(one, stage)] if stage.distinct else []
    return any(one.mean == other.mean for other in rivals or kept[-1:])


def _kind(one: Scored, stage: Stage) -> str:
    return str(one.trial.value(stage.distinct or ""))


def _winner_of(fold: int, stage: Stage, finished: list[Scored]) -> tuple[Scored, float, list[str]]:
    sign = -1 if stage.largest else 1
    means = [(spread([v for (f, _), v in one.values().items() if f == fold]), one) for one in finished]
    order = sorted([(sign * s.mean, one.trial.number, one) for s, one in means if s.n], key=lambda entry: entry[:2])
    if not order:
        raise WorkFailed(f"stage {stage.name}: no trial finished in fold {fold}; nothing can be chosen there.")
    best, _, winner = order[0]
    return winner, sign * best, [one.trial.name for value, _, one in order[1:] if value == best]


def _winners(stage: Stage, finished: list[Scored]) -> Choice:
    """Each fold's own winner goes on inside that fold."""
    candidates, told, ties = [], [], []
    digests = set()
    for fold in range(stage.folds or 0):
        winner, value, equal = _winner_of(fold, stage, finished)
        candidates.append(Candidate(f"f{fold}", winner.trial.base, winner.trial.settings, fold))
        told.append(_winner_told(fold, winner, value, stage))
        digests.add(winner.trial.digest)
        ties += [f"fold {fold}: {name}" for name in equal]
    rule = f"the winner of each fold by {stage.score}"
    return Choice(candidates, {"rule": rule, "kept": told, "ties": ties}, frozenset(digests))


def _winner_told(fold: int, winner: Scored, value: float, stage: Stage) -> dict[str, Any]:
    trial = winner.trial
    told = {"fold": fold, "name": trial.name, "digest": trial.digest, stage.score: _figure(value)}
    return {**told, "settings": trial.settings}


def _vote(stage: Stage, finished: list[Scored]) -> Choice:
    """Key by key what most folds have chosen; of equally many, the value whose folds scored better."""
    folds = range(stage.folds or 0)
    winners = [_winner_of(fold, stage, finished) for fold in folds]
    sign = 1 if stage.largest else -1
    keys = sorted({key for winner, _, _ in winners for key in winner.trial.settings})
    settings: Settings = {}
    votes: dict[str, dict[str, int]] = {}
    ties = [f"fold {fold}: {name}" for fold, (_, _, equal) in zip(folds, winners, strict=True) for name in equal]
    for key in keys:
        count = Counter(repr(winner.trial.settings.get(key)) for winner, _, _ in winners)
        most = max(count.values())
        leading = [text for text in count if count[text] == most]
        worth = {
            text: sign * spread([v for w, v, _ in winners if repr(w.trial.settings.get(key)) == text]).mean
            for text in leading
        }
        chosen = min(leading, key=lambda text: (-worth[text], text))
        settings[key] = next(
            w.trial.settings.get(key) for w, _, _ in winners if repr(w.trial.settings.get(key)) == chosen
        )
        if len(count) > 1:
            votes[key] = dict(sorted(count.items()))
        if len(leading) > 1:
            ties.append(f"{key}: {', '.join(sorted(leading))} by {most} folds each")
    told = [_winner_told(fold, winner, value, stage) for fold, (winner, value, _) in zip(folds, winners, strict=True)]
    base = Counter(winner.trial.base for winner, _, _ in winners).most_common(1)[0][0]
    return Choice(
        [Candidate("voted", base, settings)],
        {
            "rule": f"the majority of the winners of {len(winners)} folds by {stage.score}, key by key",
            "kept": [{"name": "voted", "settings": settings}],
            "winners": told,
            "votes": votes,
            "ties": ties,
        },
        frozenset(one.trial.digest for one in finished if one.trial.settings == settings and one.trial.base == base),
    )


def _rates(stage: Stage, finished: list[Scored]) -> Choice:
    candidates, told = [], []
    for one in sorted(finished, key=lambda one: one.trial.number):
        rates = [result["lr"] for result in one.results.values()]
        rate = float(f"{math.exp(sum(map(math.log, rates)) / len(rates)):.4g}")
        settings = {**one.trial.settings, "model.lr": rate}
        candidates.append(Candidate(one.trial.name, one.trial.base, settings))
        told.append({"name": one.trial.name, "digest": one.trial.digest, "model.lr": rate, "settings": settings})
    rule = "the learning rate that a range test chooses"
    digests = frozenset(one.trial.digest for one in finished)
    return Choice(candidates, {"rule": rule, "kept": told, "ties": []}, digests)


def _told(one: Scored) -> dict[str, Any]:
    worth = one.spread()
    told: dict[str, Any] = {"name": one.trial.name, "digest": one.trial.digest, one.score: _figure(worth.mean)}
    if worth.n > 1:
        told["sd"] = _figure(worth.sd)
        if math.isfinite(worth.low):
            told["interval"] = [_figure(worth.low), _figure(worth.high)]
    return {**told, "trainings": worth.n, "settings": one.trial.settings}


def _figure(value: float) -> float:
    return float(f"{value:.6g}")
