"""Candidates → trials → trainings: what a stage will run, and under which identity.

A trial is one configuration; its cells are the trainings that measure it, one for each fold and seed. The identity of
both is a digest of the resolved configuration, so the same work in another stage, or after an edit of the protocol, is
recognised and not done again.
"""

import hashlib
import itertools
import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from .protocol import Stage
from .selection import Candidate
from .settings import Settings, centred, grid

NO_PART_OF_A_RESULT = (
    *("out", "name", "resume", "prefetch", "tracking", "packages"),
    *("data.cache", "data.cache_limit", "data.workers", "trainer.enable_progress_bar", "logger"),
)
REPEATS = ("seed", "data.fold")
# Classes that have moved. Digests hold their former names, so that folders of earlier studies are still known.
FORMER_NAMES = {
    "fishnet.data.reef.ReefData": "fishnet.data.reef.data.ReefData",
    "fishnet.callbacks.lr_range.RangeTest": "fishnet.callbacks.range_test.RangeTest",
}
# Settings that came later, with the value by which a training is what it was without them.
LATER = {
    "data.curation": None, "data.layout": "centred", "callbacks.heatmaps.maps": 128, "model.fit": "crop",
    "data.most_megapixels": 100, "model.head": "linear", "model.head_refit": False, "model.layer_decay": 1.0,
    "model.label_smoothing": 0.0, "model.mixup": 0.0, "model.keep_statistics": False, "model.lr_by_error": False,
    "callbacks.best.among": "all",
}  # fmt: skip
PATHS = ("data.root", "data.manifest", "data.split_file", "model.pretrained")


class Composed(NamedTuple):
    """What Hydra makes of settings: the command line of one training, and its configuration."""

    overrides: list[str]
    config: dict[str, Any]


Compose = Callable[[str | None, Settings, Settings], Composed]


class Cell(NamedTuple):
    """One training: a trial on one fold with one seed."""

    digest: str
    fold: int | None
    seed: int
    overrides: list[str]

    @property
    def name(self) -> str:
        return f"seed {self.seed}" if self.fold is None else f"fold {self.fold}, seed {self.seed}"


@dataclass(frozen=True)
class Trial:
    """One configuration, and the trainings that measure it."""

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
        """A value of the resolved configuration; None where it has no such key."""
        node, last = _node(self.config, key)
        return node.get(last)


@dataclass(frozen=True)
class Idea:
    """A trial that has no configuration yet."""

    candidate: Candidate
    name: str
    base: str | None
    point: Settings
    family: str = ""
    longer: str = ""


def listed(stage: Stage, kept: Mapping[str | None, list[Candidate]]) -> Iterator[Idea]:
    """All that a grid (of each of its points, where it has some), a list or no search at all will try, beginning with
    what earlier stages have kept; under None, the settings as they are."""
    search = stage.search
    if search.kind == "list":
        for name, point in search.points.items():
            candidates = kept[point.get("from", stage.source)]
            for candidate in candidates:
                full_name = "-".join(filter(None, [candidate.name if len(candidates) > 1 or not name else "", name]))
                yield Idea(candidate, full_name, point.get("base"), own_settings(point), name or candidate.name)
        return
    candidates = kept[stage.source]
    for candidate in candidates:
        space = centred(search.space, candidate.settings, f"stage {stage.name}")
        corners = list(grid(space, f"stage {stage.name}"))
        differ = {key for key in space if len({repr(corner[key]) for corner in corners}) > 1}
        prefix = candidate.name if len(candidates) > 1 else ""
        for name, own in (search.points or {"": {}}).items():
            for corner in corners[: search.trials or len(corners)]:
                differing = {key: value for key, value in corner.items() if key in differ}
                short, longer = (
                    "-".join(filter(None, (prefix, name, point_name(differing, exact=exact))))
                    or point_name(corner, exact=exact)
                    for exact in (False, True)
                )
                point = {**own_settings(own), **corner}
                yield Idea(candidate, short, own.get("base"), point, name or candidate.name, longer)


def own_settings(point: Settings) -> Settings:
    """A point of the protocol without the words that are no settings."""
    return {key: value for key, value in point.items() if key not in ("from", "base")}


def point_name(point: Settings, *, exact: bool = False) -> str:
    """`lr0.01-adam`: short; `exact` with every digit and letter, where short names of two points are the same."""
    parts = []
    for key, value in point.items():
        end = key.rsplit(".", 1)[-1]
        if isinstance(value, list):
            parts.append(f"{end}{'-'.join(map(str, value))}")
        elif isinstance(value, float):
            parts.append(f"{end}{value:{'.17g' if exact else '.3g'}}")
        elif isinstance(value, str):
            parts.append(value if exact else value.rsplit("/", 1)[-1])
        else:
            parts.append(f"{end}{value}".lower())
    return "-".join(parts)[: None if exact else 80]


def compose_trial(stage: Stage, number: int, idea: Idea, compose: Compose) -> Trial:
    """The idea with its configuration and the trainings that will measure it."""
    base = idea.base or stage.base or idea.candidate.base
    carried = {**idea.candidate.settings, **stage.settings}
    folds: Sequence[int | None] = range(stage.folds) if stage.folds else [None]
    if idea.candidate.fold is not None:
        folds = [idea.candidate.fold]
    fixed: Settings = {"monitor": stage.score, "test": stage.test, "tracking.offline": True, **stage.rule.fixed}
    if stage.folds:
        fixed |= {"data.folds": stage.folds, "data.fold": folds[0]}
    composed = compose(base, {"data.seed": 0, **carried}, {**idea.point, **fixed, "seed": stage.seeds[0]})
    common = [override for override in composed.overrides if override.split("=")[0] not in REPEATS]
    cells = []
    for fold, seed in itertools.product(folds, stage.seeds):
        config = {**composed.config, "seed": seed, "data": {**composed.config["data"], "fold": fold}}
        where = [] if fold is None else [f"data.fold={fold}"]
        cells.append(Cell(digest_of(config), fold, seed, [*common, *where, f"seed={seed}"]))
    name = idea.name or (stage.name if number == 0 else f"{stage.name}-{number}")
    digest, settings = digest_of(composed.config, without=REPEATS), {**carried, **idea.point}
    return Trial(
        number, name, digest, base, settings, idea.point, tuple(cells), composed.config, idea.family, idea.longer
    )


def merged(trials: Sequence[Trial]) -> list[Trial]:
    """Trials of one configuration are one trial, measured where any of them was to be measured."""
    by_digest: dict[str, Trial] = {}
    for trial in trials:
        if first := by_digest.get(trial.digest):
            known = {cell.digest for cell in first.cells}
            new = tuple(cell for cell in trial.cells if cell.digest not in known)
            name, longer = _joined(first.name, trial.name), _joined(first.longer, trial.longer)
            trial = replace(first, name=name, longer=longer, cells=first.cells + new)
        by_digest[trial.digest] = trial
    return list(by_digest.values())


def _joined(first: str, second: str) -> str:
    """`f0-lr0.1` and `f1-lr0.1` are one trial, `f0+f1-lr0.1`; of names with nothing in common both are written."""
    (head, _, tail), (other_head, _, other_tail) = first.partition("-"), second.partition("-")
    if tail and tail == other_tail:
        return first if other_head in head.split("+") else f"{head}+{other_head}-{tail}"
    return first if second in first.split(" = ") else f"{first} = {second}"


def unique_names(trials: Sequence[Trial], taken: Collection[str] = ()) -> list[Trial]:
    """No two trials under one name: where short names are the same all digits are written, or else they are counted."""
    wanted = Counter([*taken, *(trial.name for trial in trials)])
    used = set(taken)
    result = []
    for trial in trials:
        name = trial.name if wanted[trial.name] == 1 else trial.longer or trial.name
        counted_names = (f"{name}-{number}" for number in itertools.count(2))
        free = next(free for free in itertools.chain([name], counted_names) if free not in used)
        used.add(free)
        result.append(replace(trial, name=free))
    return result


def digest_of(config: Mapping[str, Any], without: tuple[str, ...] = ()) -> str:
    """A digest of all that can change a result, without where files are kept and what is shown meanwhile.

    One thing written in two ways has one digest: a folder by its absolute path, and 1 as 1.0. Paths are seen from
    where the study runs, so that a project that was moved keeps what it has.
    """
    tree, home = _plain(config), os.getcwd()
    for node, last in (_node(tree, key) for key in (*NO_PART_OF_A_RESULT, *without)):
        node.pop(last, None)
    for node, last in (_node(tree, key) for key in PATHS):
        if isinstance(node.get(last), str):
            path = os.path.abspath(os.path.expanduser(node[last]))
            node[last] = os.path.relpath(path, home) if os.path.commonpath([home, path]) == home else path
    for key, usual in LATER.items():
        node, last = _node(tree, key)
        if last in node and node[last] == usual:
            del node[last]
    node, last = _node(tree, "data.curation")
    if last in node:
        from fishnet.data.curation import curation_digest  # brings pandas, which few studies need here

        node[last] = curation_digest(node[last])  # an edited list is another training, a moved one is not
    text = json.dumps(tree, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _node(tree: Mapping[str, Any], key: str) -> tuple[Any, str]:
    """The branch that holds a dotted key, and the key's last part; an empty branch where there is none."""
    *path, last = key.split(".")
    node: Any = tree
    for part in path:
        node = node.get(part) if isinstance(node, Mapping) else None
    return (node, last) if isinstance(node, Mapping) else ({}, last)


def _plain(value: Any) -> Any:
    """A copy with former names, in which whole numbers look alike, whether they were written 1 or 1.0."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, str):
        return FORMER_NAMES.get(value, value)
    return int(value) if isinstance(value, float) and value.is_integer() else value
