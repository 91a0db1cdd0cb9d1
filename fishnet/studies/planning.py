"""What can be known of a protocol before anything runs.

Its stages are walked with stand-ins for what earlier ones will have chosen, and every value is composed once: what is
mistyped in the last stage is refused here, and not after a night of earlier ones.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from fishnet.errors import BadInput
from fishnet.text import nearest
from fishnet.tracking.names import BEST_RELIANCE

from .protocol import Protocol, Stage
from .selection import Candidate
from .settings import Range, centred, flat, touches
from .trials import FORMER_NAMES, NO_PART_OF_A_RESULT, Compose, Idea, Trial, compose_trial, own_settings

MOST_TRIED = 50  # values of one key
LOGS_RELIANCE = "fishnet.callbacks.reliance.BestReliance"


class Planned(NamedTuple):
    """A trial as it may be once earlier stages have chosen."""

    stage: Stage
    trial: Trial


def plan(protocol: Protocol, compose: Compose) -> list[Planned]:
    """One trial of each kind; BadInput where one cannot be composed."""
    planned: list[Planned] = []
    kept: dict[str | None, list[Candidate]] = {None: [Candidate()]}
    for stage in protocol.stages:
        kinds = list(_kinds(stage, kept))
        ideas = [*kinds, *_values(stage, kept)]
        try:
            trials = [compose_trial(stage, 0, idea, compose) for idea in ideas]
        except BadInput as error:
            raise BadInput(f"stage {stage.name}: {error}") from error
        _check_limit(stage, trials)
        trials = trials[: len(kinds)]
        known = {key for trial in trials for key in _keys(trial.config)}
        if stage.distinct is not None and stage.distinct not in known:  # it would be the same nothing in all trials
            raise BadInput(
                f"stage {stage.name}: distinct={stage.distinct}: no training has such a setting; "
                f"{nearest(stage.distinct, sorted(known))}"
            )
        stand_ins: dict[tuple[str | None, tuple[str, ...]], Candidate] = {}  # for all trials that begin alike
        for candidate in map(stage.rule.stand_in, trials):
            stand_ins.setdefault((candidate.base, tuple(sorted(candidate.settings))), candidate)
        kept[stage.name] = list(stand_ins.values())
        planned.extend(Planned(stage, trial) for trial in trials)
    return planned


def _check_limit(stage: Stage, trials: list[Trial]) -> None:
    """Refuse a limit on what no callback of a trial logs: all its trainings would fail when they have ended."""
    for trial in trials if stage.limit and stage.limit.metric == BEST_RELIANCE else ():
        callbacks = (trial.config.get("callbacks") or {}).values()
        if not any(callback and callback.get("_target_") == LOGS_RELIANCE for callback in callbacks):
            raise BadInput(
                f"stage {stage.name}: limit={BEST_RELIANCE}: no callback of the trial {trial.name} logs it; "
                "say callbacks: reliance, or with others callbacks: [exchange, reliance]."
            )


def decided(protocol: Protocol) -> dict[str, str]:
    """Key → the stage that sets or searches it, so that the command line may not."""
    stages: dict[str, str] = {}
    for stage in protocol.stages:
        points = [key for point in stage.search.points.values() for key in own_settings(point)]
        stages.update(dict.fromkeys([*stage.settings, *stage.search.space, *points, *stage.rule.added], stage.name))
    return stages


def with_bases(protocol: Protocol, settings_of: Callable[[str], Mapping[str, Any]]) -> Protocol:
    """Append the settings of its experiments to each stage's text, so that an edit of those counts as an edit of it."""
    stages = []
    for stage in protocol.stages:
        named = {stage.base, *(point.get("base") for point in stage.search.points.values())} - {None}
        lines = [
            f"{base} {key}: {json.dumps(FORMER_NAMES.get(str(value), value), default=str)}"
            for base in sorted(map(str, named))
            for key, value in sorted(flat(settings_of(base)).items())
            if not any(touches(key, other) for other in NO_PART_OF_A_RESULT)
        ]
        stages.append(replace(stage, written="\n".join([stage.written, *lines])))
    return replace(protocol, stages=tuple(stages))


def _kinds(stage: Stage, kept: Mapping[str | None, list[Candidate]]) -> Iterator[Idea]:
    """The first corner of the space, from each candidate and each point."""
    for name, point in (stage.search.points or {"": {}}).items():
        for candidate in kept[point.get("from", stage.source)]:
            first = {key: values[0] for key, values in _tried(stage, candidate).items()}
            yield Idea(candidate, name, point.get("base"), {**own_settings(point), **first})


def _values(stage: Stage, kept: Mapping[str | None, list[Candidate]]) -> Iterator[Idea]:
    """Every other value, those of all keys side by side: as many trials as the longest list has values."""
    first = next(_kinds(stage, kept))
    tried = _tried(stage, first.candidate)
    for number in range(1, min(MOST_TRIED, max(map(len, tried.values()), default=0))):
        others = {key: values[min(number, len(values) - 1)] for key, values in tried.items()}
        yield replace(first, point={**first.point, **others})


def _tried(stage: Stage, candidate: Candidate) -> dict[str, tuple[Any, ...]]:
    space = centred(stage.search.space, candidate.settings, f"stage {stage.name}")
    return {
        key: (domain.low, domain.high) if isinstance(domain, Range) else getattr(domain, "values", ())
        for key, domain in space.items()
    }


def _keys(config: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in config.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _keys(value, f"{prefix}{key}.")
