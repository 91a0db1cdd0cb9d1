"""A protocol as it is written in `conf/study/`: stages in order, each checked before anything runs."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fishnet.errors import BadInput
from fishnet.text import counted, nearest

from .outcome import larger_is_better
from .settings import Settings, Space, Times, flat, grid, mapping, parse_space, size

SEARCHES = ("grid", "random", "tpe", "list")
RULES = ("top", "folds", "vote", "lr")
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
    keep: str
    top: int
    distinct: str | None
    test: bool
    written: str  # the stage as it stands in the protocol: whether it was edited since

    @property
    def largest(self) -> bool:
        return larger_is_better(self.score)


@dataclass(frozen=True)
class Protocol:
    name: str
    title: str
    claim: str
    stages: tuple[Stage, ...]


TOP = {"title", "claim", "score", "folds", "seeds", "stages"}
STAGE = {
    "title",
    "base",
    "from",
    "set",
    "search",
    "folds",
    "seeds",
    "score",
    "keep",
    "top",
    "distinct",
    "test",
}
SEARCH = {"kind", "space", "points", "trials", "seed", "prune"}
OF_KINDS = {
    "space": ("grid", "random", "tpe"),
    "points": ("list", "grid"),
    "trials": ("grid", "random", "tpe"),
    "seed": ("random", "tpe"),
}


def parse(
    name: str, tree: Mapping[str, Any], *, scores: list[str], folds: int | None = None, trials: int | None = None
) -> Protocol:
    """The protocol, or one sentence; `folds` and `trials` are the command line's wish for less."""
    _known(tree, TOP, f"study={name}")
    stages: list[Stage] = []
    described = mapping(tree.get("stages"), f"study={name}: stages")
    told = {str(stage): text for stage, text in described.items() if text is not None}  # study.stages.NAME=null
    if not told:
        raise BadInput(f"study={name} has no stages: the protocol is a mapping of names to stages.")
    for place, (stage, text) in enumerate(told.items()):
        stages.append(_stage(stage, text, tree, stages, folds, trials, last=place == len(told) - 1))
        _check_score(stages[-1], scores)
    return Protocol(name, str(tree.get("title", name)), str(tree.get("claim", "")).strip(), tuple(stages))


def _stage(
    name: str,
    text: Mapping[str, Any],
    common: Mapping[str, Any],
    before: list[Stage],
    folds: int | None,
    trials: int | None,
    *,
    last: bool,
) -> Stage:
    where = f"stage {name}"
    if not NAME.fullmatch(name):
        raise BadInput(f"{where}: the name of a stage is a few letters, digits, spaces, - and _.")
    _known(text, STAGE, where)
    source = text.get("from", before[-1].name if before else None)
    earlier = [stage.name for stage in before]
    if source is not None and source not in earlier:
        hint = nearest(str(source), earlier) if earlier else "it is the first."
        raise BadInput(f"{where}: from={source} names no earlier stage; {hint}")
    wanted_folds = text.get("folds", common.get("folds"))
    if folds is not None and wanted_folds is not None:
        wanted_folds = folds
    if wanted_folds is not None:
        wanted_folds = _whole(wanted_folds, f"{where}: folds", 2, "two or more, or null for a plain split")
    search = _search(text.get("search"), where, trials, earlier)
    keep = text.get("keep", "top")
    if keep not in RULES:
        raise BadInput(f"{where}: keep={keep}: {nearest(str(keep), list(RULES))}")
    if keep in ("folds", "vote") and wanted_folds is None:
        raise BadInput(f"{where}: keep={keep} chooses among the winners of folds, and there are no folds.")
    if keep != "top" and (useless := [key for key in ("top", "distinct") if key in text]):
        raise BadInput(f"{where}: keep={keep} decides how many go on, and {useless[0]} has no part in it.")
    if _flag(text.get("test", False), f"{where}: test") and not last:
        raise BadInput(f"{where}: test=true: the test split is touched in the last stage alone.")
    settings = flat(mapping(text.get("set"), f"{where}: set"))
    _check_decided(settings.items(), f"{where}: set")
    stage = Stage(
        name=name,
        title=str(text.get("title", name)),
        base=_text(text.get("base"), f"{where}: base"),
        source=source,
        settings=settings,
        search=search,
        folds=wanted_folds,
        seeds=_seeds(text.get("seeds", common.get("seeds", [0])), where),
        score=str(text.get("score", common.get("score", "val/f1_macro"))),
        keep=keep,
        top=_whole(text.get("top", 1), f"{where}: top", 1),
        distinct=_text(text.get("distinct"), f"{where}: distinct"),
        test=text.get("test", False),
        written=_written(text, common, wanted_folds, trials),
    )
    if trials is not None:  # a quick look at fewer trials keeps as many as there are
        stage = replace(stage, top=min(stage.top, int(most_trials(stage, before))))
    _check_counts(stage, before)
    _check_received(stage, before)
    return stage


def _written(text: Mapping[str, Any], common: Mapping[str, Any], folds: object, trials: object) -> str:
    shared = {key: common.get(key) for key in ("score", "seeds")}
    told = {k: v for k, v in {**shared, **text, "folds": folds, "trials": trials}.items() if k != "title"}
    return "\n".join(f"{key}: {value}" for key, value in sorted(flat(told).items()))


def _search(text: Any, where: str, trials: int | None, earlier: list[str]) -> Search:
    if text is None:
        return Search(points={"": {}})
    _known(text, SEARCH, f"{where}: search")
    kind = text.get("kind", "list" if "points" in text else "grid")
    if kind not in SEARCHES:
        raise BadInput(f"{where}: search.kind={kind}: {nearest(str(kind), list(SEARCHES))}")
    for key, kinds in OF_KINDS.items():
        if key in text and kind not in kinds:
            raise BadInput(f"{where}: search.{key} is for {' and '.join(kinds)}, and this is a {kind} search.")
    space = parse_space(text.get("space"), where)
    _check_decided(
        ((key, one) for key, domain in space.items() for one in getattr(domain, "values", (None,))),
        f"{where}: search.space",
    )
    points = _points(text.get("points"), kind, where, earlier)
    wanted = trials
    if trials is not None:
        points = dict(list(points.items())[:trials])
        wanted = max(1, trials // max(1, len(points))) if kind == "grid" else trials
    _check_kind(kind, space, points, where)
    drawn = kind in ("random", "tpe")
    if drawn and "trials" not in text:
        raise BadInput(f"{where}: a {kind} search needs trials: how many points to try.")
    count = _whole(text["trials"], f"{where}: search.trials", 1) if "trials" in text else 0
    if wanted is not None:
        count = min(count, wanted) if count else wanted
    seed = _whole(text.get("seed", 0), f"{where}: search.seed", 0)
    return Search(kind, space, points, count, seed, _flag(text.get("prune", False), f"{where}: search.prune"))


def _points(given: Any, kind: str, where: str, earlier: list[str]) -> dict[str, Settings]:
    points: dict[str, Settings] = {}
    for name, text in mapping(given, f"{where}: search.points").items():
        point = flat(mapping(text, f"{where}: {name}"))
        if "from" in point and kind == "grid":
            raise BadInput(f"{where}: {name}: from is for the points of a list; a grid has one from, its stage's.")
        if point.get("from") not in (None, *earlier):
            raise BadInput(f"{where}: {name}: from={point['from']} names no earlier stage.")
        _text(point.get("base"), f"{where}: {name}: base")
        _check_decided(point.items(), f"{where}: {name}")
        points[str(name)] = point
    return points


def _check_kind(kind: str, space: Space, points: Mapping[str, Settings], where: str) -> None:
    if kind == "list" and not points:
        raise BadInput(f"{where}: a list needs points: name → settings.")
    if kind != "list" and not space:
        raise BadInput(f"{where}: a {kind} search needs a space.")
    around = any(isinstance(domain, Times) for domain in space.values())
    if kind == "grid" and not around:
        next(grid(space, where))
    if kind in ("random", "tpe") and around:
        raise BadInput(f"{where}: `times` lists a grid around a winner: say kind: grid.")


def _check_decided(settings: Iterable[tuple[str, Any]], where: str) -> None:
    """A trial with a seed, a fold or a test of its own would be compared with others that were measured otherwise."""
    for written, value in settings:
        for key in flat({written.lstrip("+~"): value}):
            for decided, why in DECIDED.items():
                if key == decided or key.startswith(f"{decided}."):
                    raise BadInput(f"{where}: {key} {why}.")


def _seeds(given: Any, where: str) -> tuple[int, ...]:
    seeds = list(range(given)) if type(given) is int else given
    whole = isinstance(seeds, list) and all(type(one) is int and one >= 0 for one in seeds)
    if not whole or not seeds or len(set(seeds)) < len(seeds):
        raise BadInput(f"{where}: seeds={given}: how many repeats, or a list of different seeds.")
    return tuple(seeds)


def _check_score(stage: Stage, scores: list[str]) -> None:
    if stage.score.startswith("test/"):
        raise BadInput(
            f"stage {stage.name}: score={stage.score}: the test split chooses nothing; take the same of val/."
        )
    if stage.score not in scores:
        hint = nearest(stage.score, scores)
        raise BadInput(f"stage {stage.name}: no trial logs score={stage.score}; {hint}")


def _check_counts(stage: Stage, before: list[Stage]) -> None:
    """A choice of more than there can be is found before anything runs."""
    if stage.keep != "top":
        return
    most = most_trials(stage, before)
    if stage.top > most:
        raise BadInput(
            f"stage {stage.name}: top={stage.top}, but it chooses among {counted(int(most), 'trial')} at most."
        )


def _check_received(stage: Stage, before: list[Stage]) -> None:
    """The winner inside a fold goes on in that fold, which has to be the same photos."""
    for source in sources(stage):
        (one,) = [earlier for earlier in before if earlier.name == source]
        if one.keep == "folds" and stage.folds != one.folds:
            here = f"here folds={stage.folds}" if stage.folds else "here there are none"
            raise BadInput(
                f"stage {stage.name}: {source} hands on the winner of each of its {one.folds} folds, and {here}: "
                f"say folds={one.folds}, or keep: vote there."
            )


def sources(stage: Stage) -> list[str]:
    """The earlier stages whose choices it takes up: its points may each have their own."""
    named = [point.get("from", stage.source) for point in stage.search.points.values()] or [stage.source]
    return list(dict.fromkeys(one for one in named if one is not None))


def most_trials(stage: Stage, before: list[Stage]) -> float:
    """The most trials that a stage can have."""
    search = stage.search
    if search.kind == "list":
        return sum(_most_kept(point.get("from", stage.source), before) for point in search.points.values())
    received = _most_kept(stage.source, before)
    if search.kind == "grid":
        count = 1
        for domain in search.space.values():
            count *= len(domain.factors) if isinstance(domain, Times) else len(getattr(domain, "values", ()))
        count = min(count, search.trials) if search.trials else count
        return received * count * max(1, len(search.points))
    return received * min(search.trials, size(search.space))


def _most_kept(source: str | None, before: list[Stage]) -> float:
    """How many candidates an earlier stage hands on; none is one: the settings as they are."""
    if source is None:
        return 1
    (stage,) = [one for one in before if one.name == source]
    if stage.keep == "lr":
        return most_trials(stage, before)
    return {"top": stage.top, "vote": 1, "folds": stage.folds or 1}[stage.keep]


def _known(tree: Mapping[str, Any], keys: set[str], where: str) -> None:
    if not isinstance(tree, Mapping):
        raise BadInput(f"{where}: {tree} is no mapping of keys to values.")
    for key in tree:
        if key not in keys:
            raise BadInput(f"{where}: there is no key {key}; {nearest(str(key), sorted(keys))}")


def _whole(value: Any, where: str, least: int, allowed: str = "") -> int:
    if type(value) is not int or value < least:
        raise BadInput(f"{where}={value}: {allowed or f'this is a whole number, {least} or more'}.")
    return value


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise BadInput(f"{where}={value}: this is true or false.")
    return value


def _text(value: Any, where: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise BadInput(f"{where}={value}: this is a name, or null.")
    return value
