"""A protocol as it is written in `conf/study/`: stages in order, each checked before anything runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fishnet.errors import BadInput
from fishnet.names import counted, nearest

from .outcome import larger_is_better
from .settings import Settings, Space, Times, flat, grid, parse_space, size

SEARCHES = ("grid", "random", "tpe", "list")
RULES = ("top", "folds", "vote", "lr")
REPEATED = ("seed", "data.seed", "data.fold", "data.folds")


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


TOP = {"title", "claim", "score", "folds", "seeds", "stages", "name"}
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


def parse(
    name: str, tree: Mapping[str, Any], *, scores: list[str], folds: int | None = None, trials: int | None = None
) -> Protocol:
    """The protocol, or one sentence; `folds` and `trials` are the command line's wish for less."""
    _known(tree, TOP, f"study={name}")
    stages: list[Stage] = []
    described = tree.get("stages")
    if not isinstance(described, Mapping) or not described:
        raise BadInput(f"study={name} has no stages: the protocol is a mapping of names to stages.")
    for place, (stage, text) in enumerate(described.items()):
        if text is None:
            continue  # left out on the command line: study.stages.NAME=null
        stages.append(_stage(str(stage), text, tree, stages, folds, trials, last=place == len(described) - 1))
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
    _known(text, STAGE, where)
    source = text.get("from", before[-1].name if before else None)
    earlier = [stage.name for stage in before]
    if source is not None and source not in earlier:
        hint = nearest(str(source), earlier) if earlier else "it is the first"
        raise BadInput(f"{where}: from={source} names no earlier stage; {hint}.".replace("?.", "?"))
    wanted_folds = text.get("folds", common.get("folds"))
    if folds is not None and wanted_folds is not None:
        wanted_folds = folds
    if wanted_folds is not None and (not isinstance(wanted_folds, int) or wanted_folds < 2):
        raise BadInput(f"{where}: folds={wanted_folds}: two or more, or null for a plain split.")
    search = _search(text.get("search"), where, trials, earlier)
    keep = text.get("keep", "top")
    if keep not in RULES:
        raise BadInput(f"{where}: keep={keep}: {nearest(str(keep), list(RULES))}.".replace("?.", "?"))
    if keep in ("folds", "vote") and wanted_folds is None:
        raise BadInput(f"{where}: keep={keep} chooses among the winners of folds, and there are no folds.")
    if text.get("test", False) and not last:
        raise BadInput(f"{where}: test=true: the test split is touched in the last stage alone.")
    stage = Stage(
        name=name,
        title=str(text.get("title", name)),
        base=text.get("base"),
        source=source,
        settings=flat(text.get("set") or {}),
        search=search,
        folds=wanted_folds,
        seeds=_seeds(text.get("seeds", common.get("seeds", [0])), where),
        score=str(text.get("score", common.get("score", "val/f1_macro"))),
        keep=keep,
        top=int(text.get("top", 1)),
        distinct=text.get("distinct"),
        test=bool(text.get("test", False)),
        written=_written(text, common, wanted_folds, trials),
    )
    if trials is not None:  # a quick look at fewer trials keeps as many as there are
        stage = replace(stage, top=min(stage.top, int(most_trials(stage, before))))
    _check_counts(stage, before)
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
        raise BadInput(f"{where}: search.kind={kind}: {nearest(str(kind), list(SEARCHES))}.".replace("?.", "?"))
    space = parse_space(text.get("space") or {}, where)
    for key in space:
        if key in REPEATED:
            raise BadInput(f"{where}: {key} is a repeat and never searched over: say seeds=[0,1,2] or folds=5.")
    points = {str(name): flat(point or {}) for name, point in (text.get("points") or {}).items()}
    for name, point in points.items():
        if point.get("from") not in (None, *earlier):
            raise BadInput(f"{where}: {name}: from={point['from']} names no earlier stage.")
    if trials is not None:
        points = dict(list(points.items())[:trials])
        trials = max(1, trials // max(1, len(points))) if kind == "grid" else trials
    if kind == "list" and not points:
        raise BadInput(f"{where}: a list needs points: name → settings.")
    if kind != "list" and not space:
        raise BadInput(f"{where}: a {kind} search needs a space.")
    if kind == "grid" and not any(isinstance(domain, Times) for domain in space.values()):
        next(grid(space, where))
    if kind in ("random", "tpe") and any(isinstance(domain, Times) for domain in space.values()):
        raise BadInput(f"{where}: `times` lists a grid around a winner: say kind: grid.")
    count = int(text.get("trials", 0))
    if kind in ("random", "tpe") and count < 1:
        raise BadInput(f"{where}: a {kind} search needs trials: how many points to try.")
    if trials is not None:
        count = min(count, trials) if count else trials
    return Search(kind, space, points, count, int(text.get("seed", 0)), bool(text.get("prune", False)))


def _seeds(given: Any, where: str) -> tuple[int, ...]:
    seeds = list(range(given)) if isinstance(given, int) and not isinstance(given, bool) else given
    if not isinstance(seeds, list) or not seeds or not all(isinstance(one, int) and one >= 0 for one in seeds):
        raise BadInput(f"{where}: seeds={given}: how many repeats, or a list of seeds.")
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
    if stage.top < 1:
        raise BadInput(f"stage {stage.name}: top={stage.top}: one or more.")
    if stage.keep != "top":
        return
    most = most_trials(stage, before)
    if stage.top > most:
        raise BadInput(
            f"stage {stage.name}: top={stage.top}, but it chooses among {counted(int(most), 'trial')} at most."
        )


def most_trials(stage: Stage, before: list[Stage]) -> float:
    """The most trials that a stage can have."""
    by_name = {one.name: one for one in before}
    received = 1
    if stage.source is not None:
        source = by_name[stage.source]
        received = {"top": source.top, "lr": int(most_trials(source, before)), "vote": 1}.get(
            source.keep, source.folds or 1
        )
    search = stage.search
    if search.kind == "list":
        return received * len(search.points)
    if search.kind == "grid":
        count = 1
        for domain in search.space.values():
            count *= len(domain.factors) if isinstance(domain, Times) else len(getattr(domain, "values", ()))
        count = min(count, search.trials) if search.trials else count
        return received * count * max(1, len(search.points))
    return received * min(search.trials, size(search.space))


def _known(tree: Mapping[str, Any], keys: set[str], where: str) -> None:
    if not isinstance(tree, Mapping):
        raise BadInput(f"{where}: {tree} is no mapping of keys to values.")
    for key in tree:
        if key not in keys:
            raise BadInput(f"{where}: there is no key {key}; {nearest(str(key), sorted(keys))}")
