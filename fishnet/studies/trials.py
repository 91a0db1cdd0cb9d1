"""Candidates → trials → trainings: what a stage will run, and under which identity.

A trial is one configuration; its cells are the trainings that measure it, one a fold and a seed. The identity of both
is a digest of the resolved configuration, so the same work in another stage, or after an edit of the protocol, is found
and not done again.
"""

import copy
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .protocol import Stage
from .settings import Settings, centred, grid

PLACES = (
    "out",
    "name",
    "resume",
    "prefetch",
    "tracking",
    "data.cache",
    "data.cache_limit",
    "data.workers",
    "trainer.enable_progress_bar",
)
REPEATS = ("seed", "data.fold")
PATHS = ("data.root", "data.manifest", "data.split_file", "model.pretrained")
DIGITS = {False: ".3g", True: ".17g"}  # of a number in a name: short, or all there are


@dataclass(frozen=True)
class Composed:
    """What Hydra makes of settings: the command line of one training, and its configuration."""

    overrides: list[str]
    config: dict[str, Any]


Compose = Callable[[str | None, Settings, Settings], Composed]


@dataclass(frozen=True)
class Candidate:
    """What a stage hands on."""

    name: str = ""
    base: str | None = None
    settings: Settings = field(default_factory=dict)
    fold: int | None = None  # only for this fold: the winner inside it


@dataclass(frozen=True)
class Cell:
    """One training: a trial on one fold with one seed."""

    digest: str
    fold: int | None
    seed: int
    overrides: list[str]

    @property
    def name(self) -> str:
        parts = [f"fold {self.fold}"] if self.fold is not None else []
        return ", ".join([*parts, f"seed {self.seed}"])


@dataclass(frozen=True)
class Trial:
    number: int
    name: str
    digest: str
    base: str | None
    settings: Settings  # all that was chosen so far; handed on when the trial is kept
    point: Settings  # what this stage has chosen
    cells: tuple[Cell, ...]
    config: dict[str, Any]
    family: str = ""  # the point or the candidate it comes from
    longer: str = ""  # a name with all digits, for where the short one is taken

    def value(self, key: str) -> Any:
        """Of the resolved configuration."""
        node: Any = self.config
        for part in key.split("."):
            node = node.get(part) if isinstance(node, Mapping) else None
        return node


@dataclass(frozen=True)
class Idea:
    """A trial that has no configuration yet."""

    candidate: Candidate
    name: str
    base: str | None
    point: Settings
    folds: tuple[int, ...] | None
    family: str = ""
    longer: str = ""


def listed(stage: Stage, kept: Mapping[str, list[Candidate]]) -> Iterator[Idea]:
    """All that a grid (of each of its points, where it has some), a list or no search at all will try."""
    received = kept[stage.source] if stage.source else [Candidate()]
    search = stage.search
    if search.kind == "list":
        for name, point in search.points.items():
            own = own_settings(point)
            source = received
            if "from" in point:
                source = kept[point["from"]] if point["from"] else [Candidate()]
            for candidate in source:
                family = name or candidate.name
                called = "-".join(
                    part for part in (candidate.name if len(source) > 1 or not name else "", name) if part
                )
                yield Idea(candidate, called, point.get("base"), own, _folds(candidate), family)
        return
    for candidate in received:
        space = centred(search.space, candidate.settings, f"stage {stage.name}")
        corners = list(grid(space, f"stage {stage.name}"))
        differ = {key for key in space if len({repr(corner[key]) for corner in corners}) > 1}
        for name, own in (search.points or {"": {}}).items():
            for corner in corners[: search.trials or len(corners)]:
                prefix = candidate.name if len(received) > 1 else ""
                told = {key: value for key, value in corner.items() if key in differ}
                called, longer = (
                    "-".join(part for part in (prefix, name, point_name(told, whole=whole)) if part)
                    or point_name(corner, whole=whole)
                    for whole in (False, True)
                )
                point = {**own_settings(own), **corner}
                family = name or candidate.name
                yield Idea(candidate, called, own.get("base"), point, _folds(candidate), family, longer)


def own_settings(point: Settings) -> Settings:
    return {key: value for key, value in point.items() if key not in ("from", "base")}


def _folds(candidate: Candidate) -> tuple[int, ...] | None:
    return None if candidate.fold is None else (candidate.fold,)


def point_name(point: Settings, *, whole: bool = False) -> str:
    """`lr0.01-adam`: short; `whole` with every digit and letter, where short names of two points are the same."""
    parts = []
    for key, value in point.items():
        end = key.rsplit(".", 1)[-1]
        if isinstance(value, list):
            parts.append(f"{end}{'-'.join(map(str, value))}")
        elif isinstance(value, float):
            parts.append(f"{end}{value:{DIGITS[whole]}}")
        elif isinstance(value, str) and not isinstance(value, bool):
            parts.append(value if whole else value.rsplit("/", 1)[-1])
        else:
            parts.append(f"{end}{value}".lower())
    return "-".join(parts)[: None if whole else 80]


def realised(stage: Stage, number: int, idea: Idea, compose: Compose) -> Trial:
    """The idea with its configuration and the trainings that will measure it."""
    base = idea.base or stage.base or idea.candidate.base
    carried = {**idea.candidate.settings, **stage.settings}
    folds: tuple[int | None, ...] = idea.folds or (tuple(range(stage.folds)) if stage.folds else (None,))
    fixed: Settings = {"monitor": stage.score, "test": stage.test, "tracking.offline": True}
    if stage.keep == "lr":
        fixed["tune"] = "lr"
    if stage.folds:
        fixed["data.folds"] = stage.folds
    changing = ({"data.fold": folds[0]} if stage.folds else {}) | {"seed": stage.seeds[0]}
    composed = compose(base, {"data.seed": 0, **carried}, {**idea.point, **fixed, **changing})
    cells = []
    for fold in folds:
        for seed in stage.seeds:
            config = copy.deepcopy(composed.config)
            config["seed"] = seed
            config["data"]["fold"] = fold
            cells.append(Cell(digest_of(config), fold, seed, _repeated(composed.overrides, fold, seed)))
    return Trial(
        number=number,
        name=idea.name or (stage.name if number == 0 else f"{stage.name}-{number}"),
        digest=digest_of(composed.config, without=REPEATS),
        base=base,
        settings={**carried, **idea.point},
        point=idea.point,
        cells=tuple(cells),
        config=composed.config,
        family=idea.family,
        longer=idea.longer,
    )


def _repeated(overrides: list[str], fold: int | None, seed: int) -> list[str]:
    """The command line for another fold and seed."""
    kept = [one for one in overrides if one.split("=")[0] not in REPEATS]
    return [*kept, *([f"data.fold={fold}"] if fold is not None else []), f"seed={seed}"]


def merged(trials: list[Trial]) -> list[Trial]:
    """Trials of one configuration are one trial, measured where any of them was to be measured."""
    found: dict[str, Trial] = {}
    for trial in trials:
        if trial.digest in found:
            first = found[trial.digest]
            here = {cell.digest for cell in first.cells}
            new = tuple(cell for cell in trial.cells if cell.digest not in here)
            name, longer = _joined(first.name, trial.name), _joined(first.longer, trial.longer)
            trial = replace(first, name=name, longer=longer, cells=first.cells + new)
        found[trial.digest] = trial
    return list(found.values())


def _joined(first: str, second: str) -> str:
    """`f0-lr0.1` and `f1-lr0.1` are one trial, `f0+f1-lr0.1`; names that have nothing in common are both said."""
    (head, _, rest), (other, _, same) = first.partition("-"), second.partition("-")
    if rest and rest == same:
        return first if other in head.split("+") else f"{head}+{other}-{rest}"
    return first if second in first.split(" = ") else f"{first} = {second}"


def told_apart(trials: Sequence[Trial], taken: Collection[str] = ()) -> list[Trial]:
    """No two trials under one name: where short names are the same all digits are written, or else they are counted."""
    wanted = Counter([*taken, *(trial.name for trial in trials)])
    used = set(taken)
    result = []
    for trial in trials:
        name = trial.name if wanted[trial.name] == 1 else trial.longer or trial.name
        number, free = 2, name
        while free in used:
            free, number = f"{name}-{number}", number + 1
        used.add(free)
        result.append(replace(trial, name=free))
    return result


def digest_of(config: Mapping[str, Any], without: tuple[str, ...] = ()) -> str:
    """Of all that can change a result; where things lie and what is shown meanwhile is left out.

    The same thing said in another way has the same digest: a folder by its absolute path, and 1 as 1.0.
    """
    tree = _plain(config)
    for key in (*PLACES, *without):
        node, last = _node(tree, key)
        node.pop(last, None)
    for key in PATHS:
        node, last = _node(tree, key)
        if isinstance(node.get(last), str):
            node[last] = _place(node[last])
    text = json.dumps(tree, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _node(tree: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    *path, last = key.split(".")
    node: Any = tree
    for part in path:
        node = node.get(part) if isinstance(node, dict) else None
    return (node, last) if isinstance(node, dict) else ({}, last)


def _plain(value: Any) -> Any:
    """A copy in which whole numbers look alike, whether they were written 1 or 1.0."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _place(path: str) -> str:
    """Seen from where the study runs, so that a project that was moved keeps what it has."""
    home, absolute = os.getcwd(), os.path.abspath(os.path.expanduser(path))
    return os.path.relpath(absolute, home) if os.path.commonpath([home, absolute]) == home else absolute
