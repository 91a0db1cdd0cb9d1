"""What can be known of a protocol before anything runs.

Its stages are walked with stand-ins for what earlier ones will have chosen, and every value is composed once: what is
mistyped in the last stage is found here, and not after a night of earlier ones.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fishnet.errors import BadInput
from fishnet.text import nearest

from .protocol import Protocol, Stage
from .settings import Range, Settings, Space, centred, flat, touches
from .trials import PLACES, Candidate, Compose, Idea, Trial, own_settings, realised

SOME_RATE = 1.0e-3  # stands in for what a range test will find
MOST_TRIED = 50  # values of one key


@dataclass(frozen=True)
class Planned:
    """A trial as it may be once earlier stages have chosen."""

    stage: Stage
    trial: Trial


def plan(protocol: Protocol, compose: Compose) -> list[Planned]:
    """One trial of each kind; BadInput where one cannot be composed."""
    planned: list[Planned] = []
    kept: dict[str, list[Candidate]] = {}
    for stage in protocol.stages:
        trials = [_composed(stage, idea, compose) for idea in _kinds(stage, kept)]
        for idea in _values(stage, kept):
            _composed(stage, idea, compose)
        _check_distinct(stage, trials)
        kept[stage.name] = _handed_on(stage, trials)
        planned.extend(Planned(stage, trial) for trial in trials)
    return planned


def decided(protocol: Protocol) -> dict[str, str]:
    """Key → the stage that sets or searches it: nobody else may, for the page would tell another value."""
    found: dict[str, str] = {}
    for stage in protocol.stages:
        points = [key for point in stage.search.points.values() for key in own_settings(point)]
        rate = ["model.lr"] if stage.keep == "lr" else []
        found.update(dict.fromkeys([*stage.settings, *stage.search.space, *points, *rate], stage.name))
    return found


def with_bases(protocol: Protocol, settings_of: Callable[[str], Mapping[str, Any]]) -> Protocol:
    """Each stage with what its experiments say written down beside it: an edit of those is an edit of the stage."""
    stages = []
    for stage in protocol.stages:
        named = {stage.base, *(point.get("base") for point in stage.search.points.values())} - {None}
        lines = [
            f"{base} {key}: {json.dumps(value, default=str)}"
            for base in sorted(map(str, named))
            for key, value in sorted(flat(settings_of(base)).items())
            if not any(touches(key, place) for place in PLACES)
        ]
        stages.append(replace(stage, written="\n".join([stage.written, *lines])))
    return replace(protocol, stages=tuple(stages))


def _composed(stage: Stage, idea: Idea, compose: Compose) -> Trial:
    try:
        return realised(stage, 0, idea, compose)
    except BadInput as error:
        raise BadInput(f"stage {stage.name}: {error}") from error


def _kinds(stage: Stage, kept: Mapping[str, list[Candidate]]) -> Iterator[Idea]:
    """The first corner of the space, from each candidate and each point."""
    for name, point in (stage.search.points or {"": {}}).items():
        source = point.get("from", stage.source)
        for candidate in kept[source] if source else [Candidate()]:
            first = {key: values[0] for key, values in _tried(stage, candidate).items()}
            folds = None if candidate.fold is None else (candidate.fold,)
            yield Idea(candidate, name, point.get("base"), {**own_settings(point), **first}, folds)


def _values(stage: Stage, kept: Mapping[str, list[Candidate]]) -> Iterator[Idea]:
    """Every other value, those of all keys side by side: as many trials as the longest list has values."""
    first = next(_kinds(stage, kept))
    tried = _tried(stage, first.candidate)
    for place in range(1, min(MOST_TRIED, max(map(len, tried.values()), default=0))):
        others = {key: values[min(place, len(values) - 1)] for key, values in tried.items()}
        yield Idea(first.candidate, first.name, first.base, {**first.point, **others}, first.folds)


def _tried(stage: Stage, candidate: Candidate) -> dict[str, tuple[Any, ...]]:
    space: Space = centred(stage.search.space, candidate.settings, f"stage {stage.name}")
    return {
        key: (domain.low, domain.high) if isinstance(domain, Range) else getattr(domain, "values", ())
        for key, domain in space.items()
    }


def _handed_on(stage: Stage, trials: list[Trial]) -> list[Candidate]:
    """One stand-in for all trials that begin alike: the next stage is composed with each."""
    found: dict[tuple[str | None, tuple[str, ...]], Candidate] = {}
    for trial in trials:
        settings: Settings = {**trial.settings, **({"model.lr": SOME_RATE} if stage.keep == "lr" else {})}
        fold = 0 if stage.keep == "folds" else None
        found.setdefault((trial.base, tuple(sorted(settings))), Candidate("", trial.base, settings, fold))
    return list(found.values())


def _check_distinct(stage: Stage, trials: list[Trial]) -> None:
    """A mistyped key would be the same nothing in all trials, and one of them would go on."""
    if stage.distinct is None or any(stage.distinct in _keys(trial.config) for trial in trials):
        return
    known = sorted({key for trial in trials for key in _keys(trial.config)})
    raise BadInput(
        f"stage {stage.name}: distinct={stage.distinct}: no training has such a setting; "
        f"{nearest(stage.distinct, known)}"
    )


def _keys(config: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in config.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _keys(value, f"{prefix}{key}.")
