"""A protocol as it is written in `conf/study/`: stages in order, each checked before anything runs."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import UnionType
from typing import Any

from fishnet.errors import BadInput
from fishnet.measure.metrics import direction
from fishnet.text import counted, nearest
from fishnet.tracking.names import BEST_RELIANCE

from .selection import RULES, Rule
from .settings import Settings, Space, Times, flat, grid, mapping, parse_space, size

REPEATED = ("seed", "data.seed", "data.fold", "data.folds")
# what the study decides for each training, and where a protocol says so
DECIDED = {
    **dict.fromkeys(REPEATED, "is a repeat and no choice: say seeds=[0,1,2] or folds=5"),
    "test": "is decided by the study: say test: true in the last stage",
    "monitor": "is decided by the study: trainings go by its score",
    "tune": "is decided by the study: say keep: lr",
    "experiment": "is decided by the study: say base",
    **dict.fromkeys(("out", "name"), "is decided by the study, which gives each training its own"),
    **dict.fromkeys(("resume", "prefetch"), "is decided by the study, which starts trainings and goes on with them"),
    "tracking": "is decided by the study, which sends what its trainings write down",
}
NAME = re.compile(r"\w[\w -]{0,59}")  # it is part of file names and of keys
STUDY_KEYS = {"title", "claim", "score", "folds", "seeds", "stages"}
STAGE_KEYS = {
    *("title", "base", "from", "set", "search", "folds", "seeds"),
    *("score", "limit", "keep", "top", "distinct", "test"),
}
DRAWN = ("random", "tpe")
SEARCHES = ("grid", "random", "tpe", "list")
SEARCH_KEYS = {  # → the searches that have it
    **dict.fromkeys(("kind", "prune"), SEARCHES),
    **dict.fromkeys(("space", "trials"), ("grid", *DRAWN)),
    **{"points": ("list", "grid"), "seed": DRAWN},
}


@dataclass(frozen=True)
class Search:
    """What a stage tries with each candidate; without a search, each candidate as it is."""

    kind: str = "list"
    space: Space = field(default_factory=dict)
    points: dict[str, Settings] = field(default_factory=dict)
    trials: int = 0
    seed: int = 0
    prune: bool = False


@dataclass(frozen=True)
class Limit:
    """The most that a trial may have of a metric that is better when lower; trials beyond it rank behind all others,
    whatever their score."""

    metric: str
    most: float

    def __str__(self) -> str:
        return f"{self.metric} of at most {self.most:g}"


@dataclass(frozen=True)
class Stage:
    """One step: what is tried, how it is scored, and what the next stage receives."""

    name: str
    title: str
    base: str | None
    source: str | None  # the earlier stage whose choice is taken up
    settings: Settings
    search: Search
    folds: int | None
    seeds: tuple[int, ...]
    score: str
    limit: Limit | None
    keep: str
    top: int
    distinct: str | None
    test: bool
    written: str  # the stage as it stands in the protocol: whether it was edited since

    @property
    def rule(self) -> Rule:
        return RULES[self.keep]

    @property
    def maximise(self) -> bool:
        return direction(self.score) == "max"

    @property
    def ranked_by(self) -> list[str]:
        """The metrics without which a training cannot be ranked."""
        return [self.score, *([self.limit.metric] if self.limit else [])]


@dataclass(frozen=True)
class Protocol:
    """A study as it is written: its claim, and the stages that try it."""

    name: str
    title: str
    claim: str
    stages: tuple[Stage, ...]


def parse(
    name: str, tree: Mapping[str, Any], *, scores: list[str], folds: int | None = None, trials: int | None = None
) -> Protocol:
    """The protocol that is written in its file; BadInput, in one sentence, where it is not right. Trials are ranked by
    `scores`; `folds` replaces those written, and no stage has more than `trials`."""
    _check_keys(tree, STUDY_KEYS, f"study={name}")
    written = mapping(tree.get("stages"), f"study={name}: stages")
    texts = {str(stage): text for stage, text in written.items() if text is not None}  # study.stages.NAME=null
    if not texts:
        raise BadInput(f"study={name} has no stages: the protocol is a mapping of names to stages.")
    stages: list[Stage] = []
    for stage_name, text in texts.items():
        stage = _parse_stage(stage_name, text, tree, stages, folds, trials)
        if stage.test and stage_name != list(texts)[-1]:
            raise BadInput(f"stage {stage_name}: test=true: the test split is touched in the last stage alone.")
        _check_stage(stage, stages, scores)
        stages.append(stage)
    return Protocol(name, str(tree.get("title", name)), str(tree.get("claim", "")).strip(), tuple(stages))


def _parse_stage(
    name: str,
    text: Mapping[str, Any],
    common: Mapping[str, Any],
    before: list[Stage],
    wanted_folds: int | None,
    trials: int | None,
) -> Stage:
    where = f"stage {name}"
    if not NAME.fullmatch(name):
        raise BadInput(f"{where}: the name of a stage is a few letters, digits, spaces, - and _.")
    _check_keys(text, STAGE_KEYS, where)
    source = text.get("from", before[-1].name if before else None)
    earlier = [stage.name for stage in before]
    if source is not None and source not in earlier:
        hint = nearest(str(source), earlier) if earlier else "it is the first."
        raise BadInput(f"{where}: from={source} names no earlier stage; {hint}")
    if (folds := text.get("folds", common.get("folds"))) is not None:
        folds = folds if wanted_folds is None else wanted_folds
        _check_whole(folds, f"{where}: folds", 2, "two or more, or null for a plain split")
    keep = str(text.get("keep", "top"))
    if keep not in RULES:
        raise BadInput(f"{where}: keep={keep}: {nearest(keep, list(RULES))}")
    if RULES[keep].needs_folds and folds is None:
        raise BadInput(f"{where}: keep={keep} chooses among the winners of folds, and there are no folds.")
    for key in ("top", "distinct"):
        if key in text and not RULES[keep].takes_top:
            raise BadInput(f"{where}: keep={keep} decides how many go on, and {key} has no part in it.")
    settings = flat(mapping(text.get("set"), f"{where}: set"))
    _check_decided(settings.items(), f"{where}: set")
    shared = {"score": common.get("score"), "seeds": common.get("seeds")}
    written = flat({**shared, **text, "folds": folds, "trials": trials})
    stage = Stage(
        name=name,
        title=str(text.get("title", name)),
        base=_check_type(text.get("base"), str | None, f"{where}: base"),
        source=source,
        settings=settings,
        search=_parse_search(text.get("search"), where, trials, earlier),
        folds=folds,
        seeds=_parse_seeds(text.get("seeds", common.get("seeds", [0])), where),
        score=str(text.get("score", common.get("score", "val/f1_macro"))),
        limit=_parse_limit(text.get("limit"), keep, where),
        keep=keep,
        top=_check_whole(text.get("top", 1), f"{where}: top", 1),
        distinct=_check_type(text.get("distinct"), str | None, f"{where}: distinct"),
        test=_check_type(text.get("test", False), bool, f"{where}: test"),
        written="\n".join(f"{key}: {value}" for key, value in sorted(written.items()) if key != "title"),
    )
    if trials is not None:  # a quick look at fewer trials keeps as many as there are
        stage = replace(stage, top=min(stage.top, int(most_trials(stage, before))))
    return stage


def _parse_seeds(given: Any, where: str) -> tuple[int, ...]:
    seeds = list(range(given)) if type(given) is int else given
    whole = isinstance(seeds, list) and all(type(seed) is int and seed >= 0 for seed in seeds)
    if not whole or not seeds or len(set(seeds)) < len(seeds):
        raise BadInput(f"{where}: seeds={given}: how many repeats, or a list of different seeds.")
    return tuple(seeds)


def _parse_limit(given: Any, keep: str, where: str) -> Limit | None:
    if given is None:
        return None
    if not RULES[keep].takes_top:
        raise BadInput(f"{where}: limit is for keep: top; keep={keep} chooses in another way.")
    pairs = list(mapping(given, f"{where}: limit").items())
    if len(pairs) != 1:
        raise BadInput(
            f"{where}: limit={dict(pairs)}: this is one metric and the most of it, as {{{BEST_RELIANCE}: 0.05}}."
        )
    ((metric, most),) = pairs
    if isinstance(most, bool) or not isinstance(most, int | float) or not 0 <= most < math.inf:
        raise BadInput(f"{where}: limit: {metric}={most}: this is a number, 0 or more.")
    return Limit(str(metric), most)


def _check_stage(stage: Stage, before: list[Stage], scores: list[str]) -> None:
    """Refuse a score or a limit that no trial has, a choice of more than there can be, and winners of
    folds that are no more."""
    where = f"stage {stage.name}"
    if stage.score.startswith("test/"):
        raise BadInput(f"{where}: score={stage.score}: the test split chooses nothing; take the same of val/.")
    if stage.score not in scores:
        raise BadInput(f"{where}: no trial logs score={stage.score}; {nearest(stage.score, scores)}")
    bounded = [BEST_RELIANCE, *(score for score in scores if direction(score) == "min")]
    if stage.limit and stage.limit.metric not in bounded:
        hint = nearest(stage.limit.metric, bounded)
        raise BadInput(f"{where}: limit={stage.limit.metric} is no metric of trials that is better when lower; {hint}")
    most = most_trials(stage, before)
    if stage.rule.takes_top and stage.top > most:
        raise BadInput(f"{where}: top={stage.top}, but it chooses among {counted(int(most), 'trial')} at most.")
    for name, folds, inside in ((earlier.name, earlier.folds, earlier.rule.inside_folds) for earlier in before):
        if name in sources(stage) and inside and stage.folds != folds:
            here = f"here folds={stage.folds}" if stage.folds else "here there are none"
            winners = f"{name} hands on the winner of each of its {folds} folds, and {here}"
            raise BadInput(f"{where}: {winners}: say folds={folds}, or keep: vote there.")


def _parse_search(text: Any, where: str, most: int | None, earlier: list[str]) -> Search:
    if text is None:
        return Search(points={"": {}})
    _check_keys(text, SEARCH_KEYS, f"{where}: search")
    kind = str(text.get("kind", "list" if "points" in text else "grid"))
    if kind not in SEARCHES:
        raise BadInput(f"{where}: search.kind={kind}: {nearest(kind, list(SEARCHES))}")
    for key in text:
        if kind not in (kinds := SEARCH_KEYS[key]):
            raise BadInput(f"{where}: search.{key} is for {' and '.join(kinds)}, and this is a {kind} search.")

    space = parse_space(text.get("space"), where)
    values = ((key, value) for key, domain in space.items() for value in getattr(domain, "values", (None,)))
    _check_decided(values, f"{where}: search.space")
    lists: Space = {key: domain for key, domain in space.items() if not isinstance(domain, Times)}
    points = _parse_points(text.get("points"), kind, where, earlier)
    if kind == "list" and not points:
        raise BadInput(f"{where}: a list needs points: name → settings.")
    if kind != "list" and not space:
        raise BadInput(f"{where}: a {kind} search needs a space.")
    if kind == "grid":
        next(grid(lists, where))
    if kind in DRAWN and lists != space:
        raise BadInput(f"{where}: `times` lists a grid around a winner: say kind: grid.")
    if kind in DRAWN and "trials" not in text:
        raise BadInput(f"{where}: a {kind} search needs trials: how many points to try.")

    trials = _check_whole(text["trials"], f"{where}: search.trials", 1) if "trials" in text else 0
    if most is not None:
        points = dict(list(points.items())[:most])
        share = max(1, most // max(1, len(points))) if kind == "grid" else most
        trials = min(trials, share) if trials else share
    seed = _check_whole(text.get("seed", 0), f"{where}: search.seed", 0)
    prune = _check_type(text.get("prune", False), bool, f"{where}: search.prune")
    return Search(kind, space, points, trials, seed, prune)


def _parse_points(given: Any, kind: str, where: str, earlier: list[str]) -> dict[str, Settings]:
    points: dict[str, Settings] = {}
    for name, text in mapping(given, f"{where}: search.points").items():
        point = flat(mapping(text, f"{where}: {name}"))
        if "from" in point and kind == "grid":
            raise BadInput(f"{where}: {name}: from is for the points of a list; a grid has one from, its stage's.")
        if point.get("from") not in (None, *earlier):
            raise BadInput(f"{where}: {name}: from={point['from']} names no earlier stage.")
        _check_type(point.get("base"), str | None, f"{where}: {name}: base")
        _check_decided(point.items(), f"{where}: {name}")
        points[str(name)] = point
    return points


def sources(stage: Stage) -> list[str]:
    """The earlier stages whose choices it takes up: its points may each have their own."""
    named = [point.get("from", stage.source) for point in stage.search.points.values()] or [stage.source]
    return list(dict.fromkeys(filter(None, named)))


def most_trials(stage: Stage, before: list[Stage]) -> float:

    def received(source: str | None) -> float:
        if source is None:
            return 1  # the settings as they are
        earlier = next(other for other in before if other.name == source)
        return earlier.rule.most(earlier, most_trials(earlier, before))

    search = stage.search
    if search.kind == "list":
        return sum(received(point.get("from", stage.source)) for point in search.points.values())
    if search.kind in DRAWN:
        return received(stage.source) * min(search.trials, size(search.space))
    count = min(size(search.space), search.trials or math.inf)
    return received(stage.source) * count * max(1, len(search.points))


def _check_decided(settings: Iterable[tuple[str, Any]], where: str) -> None:
    """A trial with a seed, a fold or a test of its own would be compared with others that were measured otherwise."""
    for written, value in settings:
        for key in flat({written.lstrip("+~"): value}):
            for decided, why in DECIDED.items():
                if f"{key}.".startswith(f"{decided}."):
                    raise BadInput(f"{where}: {key} {why}.")


def _check_keys(tree: Any, keys: Iterable[str], where: str) -> None:
    for key in mapping(tree, where):
        if key not in keys:
            raise BadInput(f"{where}: there is no key {key}; {nearest(str(key), sorted(keys))}")


def _check_whole(value: Any, where: str, least: int, allowed: str = "") -> int:
    if type(value) is not int or value < least:
        raise BadInput(f"{where}={value}: {allowed or f'this is a whole number, {least} or more'}.")
    return value


def _check_type(value: Any, kind: type | UnionType, where: str) -> Any:
    if not isinstance(value, kind):
        raise BadInput(f"{where}={value}: this is {'true or false' if kind is bool else 'a name, or null'}.")
    return value
