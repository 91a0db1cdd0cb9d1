"""One early look at a configuration: wrong types and settings that contradict each other, before torch is imported."""

import ast
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

from omegaconf import DictConfig, OmegaConf

from fishnet.errors import BadInput
from fishnet.measure.metrics import MONITORS
from fishnet.models.optimisation import check_optimizer
from fishnet.models.published import check_cached, own_backbones
from fishnet.text import nearest

from .schema import constructor, describe, fits, range_broken

# Keys that no constructor knows: those at the top of a verb.
TYPES_OF_TOP = {
    "seed": "int",
    "test": "bool",
    "prefetch": "bool",
    "tune": "str | None",
    "monitor": "str",
    "part": "str",
    "sure": "float",
    "batch_size": "int",
    "overwrite": "bool",
    "last": "int",
    "sort": "str",
    "deliver": "bool",
    "port": "int",
    "time": "bool",
    "all_classes": "bool",
    "pictures": "int",
    "fits": "int",
    "resamples": "int",
    "horizon": "int",
    "fishing": "float",
    "catch": "float | None",
    "learn": "bool",
    "curve": "str",
}


def at_least(low: float) -> tuple[Callable[[float], bool], str]:
    return (lambda value: low <= value < math.inf), f"this is {low:g} or more"


above_0 = (lambda value: 0 < value < math.inf), "this is above 0"

RANGES: dict[str, tuple[Callable[[float], bool], str]] = {
    "seed": at_least(0),
    "sure": ((lambda value: 0 <= value <= 1), "a probability lies between 0 and 1"),
    "batch_size": at_least(1),
    "last": at_least(1),
    "pictures": at_least(0),
    "fits": ((lambda value: 0 <= value <= 200), "this is 0 to 200"),
    "resamples": ((lambda value: 50 <= value <= 5000), "this is 50 to 5000"),
    "horizon": ((lambda value: 1 <= value <= 100), "this is 1 to 100 years"),
    "catch": at_least(0),
    "fishing": ((lambda value: 0 <= value <= 20), "this is 0 to 20 times Fmsy"),
    "port": ((lambda value: 1 <= value <= 65535), "choose one from 1 to 65535"),
    "data.batch_size": at_least(1),
    "data.workers": at_least(0),
    "data.image_size": at_least(8),
    "data.views": at_least(0),
    "data.cache_limit": above_0,
    "data.seed": at_least(0),
    "trainer.max_epochs": at_least(1),
}

TUNES = ["lr"]
PARTS = ["all", "train", "val", "test"]


def validate(config: DictConfig, *, multirun: bool = False) -> None:
    """Raise BadInput with one sentence for the first thing that cannot be right."""
    OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    for key, kind in TYPES_OF_TOP.items():
        annotation = ast.parse(kind, mode="eval").body
        if key in config and not fits(config[key], annotation):
            raise BadInput(f"{key}={config[key]}: this takes {describe(annotation)}.")
    for seam in ("data", "model", "trainer", "tracking", "range_test"):
        if seam in config:
            _check_types(config, seam)
    for name in config.get("callbacks") or {}:
        if config.callbacks[name] is not None:
            _check_types(config, f"callbacks.{name}")
    _check_network(config)
    _check_ranges(config)
    _check_choices(config)
    _check_homes(config)
    if "data" in config:
        _check_data(config.data)
        _check_place(config)
    if "trainer" in config:
        _check_trainer(config.trainer, multirun)


def _check_types(config: DictConfig, seam: str) -> None:
    node = OmegaConf.select(config, seam)
    if not isinstance(node, DictConfig):
        raise BadInput(f"{seam}={node}: this names a group of settings that does not exist.")
    if "_target_" not in node:
        return
    schema = constructor(node["_target_"])
    for key, value in cast(dict[str, object], OmegaConf.to_container(node, resolve=True)).items():
        annotation, _ = schema.get(key, (None, None))
        if annotation is not None and not fits(value, annotation):
            raise BadInput(f"{seam}.{key}={value}: this takes {describe(annotation)}.")
        if (broken := range_broken(value, annotation)) is not None:
            raise BadInput(f"{seam}.{key}={value}: {broken}.")


def _check_network(config: DictConfig) -> None:
    """`model.optimizer`, and `model.backbone_args` of our own networks; timm checks its own when it builds them."""
    model = config.get("model")
    if not isinstance(model, DictConfig):
        return
    check_optimizer(model.get("optimizer", "sgd"))
    name, chosen = model.get("backbone"), model.get("backbone_args")
    if name not in own_backbones() or not chosen:
        return
    schema = {k: v for k, v in constructor(own_backbones()[name]).items() if k != "num_classes"}
    for key, value in cast(dict[str, object], OmegaConf.to_container(chosen, resolve=True)).items():
        if key not in schema:
            raise BadInput(f"model.backbone_args.{key}: {name} has no such setting; {nearest(key, [*schema])}")
        annotation, _ = schema[key]
        if not fits(value, annotation):
            raise BadInput(f"model.backbone_args.{key}={value}: this takes {describe(annotation)}.")


def _check_homes(config: DictConfig, above: str = "") -> None:
    """`~name` in any place that is a path: whether there is such a user."""
    for key, value in cast("dict[str, object]", config).items():
        if isinstance(value, DictConfig):
            _check_homes(value, f"{above}{key}.")
        elif isinstance(value, str) and value.startswith("~"):
            try:
                Path(value).expanduser()
            except RuntimeError:
                raise BadInput(f"{above}{key}={value}: there is no user {value[1:].split('/')[0]} here.") from None


def _check_ranges(config: DictConfig) -> None:
    for key, (allowed, sentence) in RANGES.items():
        value = OmegaConf.select(config, key)
        if isinstance(value, (int, float)) and not allowed(value):
            raise BadInput(f"{key}={value}: {sentence}.")


def _check_choices(config: DictConfig) -> None:
    if "part" in config and config.part not in PARTS:
        raise BadInput(f"part={config.part}: choose from {', '.join(PARTS)}.")
    if config.get("tune") is not None:
        _check_tuning(config)
    for key in ("monitor", "callbacks.best.monitor", "callbacks.early_stopping.monitor"):
        monitor = OmegaConf.select(config, key)
        if monitor is not None and monitor not in MONITORS:
            raise BadInput(f"{key}={monitor}: validation reports no such figure; {nearest(monitor, MONITORS)}")


def _check_tuning(config: DictConfig) -> None:
    if config.tune not in TUNES:
        raise BadInput(f"tune={config.tune}: choose from {', '.join(TUNES)}.")
    if config.range_test.low >= config.range_test.high:
        raise BadInput(
            f"range_test.low={config.range_test.low} is not below range_test.high={config.range_test.high}: "
            "the rates of a range test rise."
        )
    if config.resume is not None:
        raise BadInput("tune=lr takes minutes and starts anew each time: leave resume= out.")
    if _several(config.trainer):
        raise BadInput("tune=lr runs on one device: say trainer.devices=1.")


def _check_data(data: DictConfig) -> None:
    for key in ("val", "test"):
        if not 0 < data[key] < 1:
            raise BadInput(f"data.{key}={data[key]}: a share of the photos is above 0 and below 1.")
    if data.val + data.test >= 1:
        raise BadInput(f"data.val={data.val} and data.test={data.test} leave nothing to train on.")
    if (data.folds is None) != (data.fold is None):
        raise BadInput("data.folds (how many) and data.fold (which one is the test set) go together.")
    if data.views and data.augment == "none":
        raise BadInput(
            f"data.views={data.views} are fixed random views, and data.augment=none makes none: leave one out."
        )
    if data.folds is not None and not 0 <= data.fold < data.folds:
        raise BadInput(f"data.fold={data.fold}: with data.folds={data.folds} the folds are 0 to {data.folds - 1}.")
    if data._target_.endswith("ReefData"):
        _check_reef(data)
    root = Path(data.root).expanduser()
    if data._target_.endswith("ImageFolderData") and not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise BadInput(f"data.root={data.root} {what}: give a folder that holds one folder a class.")


def _check_reef(data: DictConfig) -> None:
    from fishnet.reef import Settings

    plant = cast("dict | None", OmegaConf.to_container(data.plant) if data.plant is not None else None)
    Settings(species=data.species, photos=data.photos, size=data.draw_size, seed=data.draw_seed, plant=plant)


def _check_place(config: DictConfig) -> None:
    if config.data._target_.endswith("ImageFolderData") and not config.get("resume"):
        check_outside(config.out or "outputs", "data.root", config.data.root)
    if config.out is not None:
        check_writable("out", config.out)


def check_outside(out: str, key: str, photos: str) -> None:
    """What is made must not lie among the photos, where its pictures would be a class the next time."""
    if Path(out).expanduser().resolve().is_relative_to(Path(photos).expanduser().resolve()):
        raise BadInput(
            f"out={out} lies inside {key}={photos}, where its pictures would become a class: give a folder elsewhere."
        )


def check_writable(key: str, place: str) -> None:
    """Whether the nearest folder above that exists takes new files, as far as can be told without making one."""
    path = Path(place).expanduser().absolute()
    nearest_there = path if path.is_dir() else next(parent for parent in path.parents if parent.exists())
    if not nearest_there.is_dir():
        raise BadInput(f"{key}={place}: {nearest_there} is a file, not a folder.")
    if not os.access(nearest_there, os.W_OK | os.X_OK):
        raise BadInput(f"{key}={place}: nothing can be written in {nearest_there}.")


def check_weights(model: DictConfig) -> None:
    """Whether published weights can be on this machine; not part of `validate`, for it depends on the machine."""
    if model.pretrained is True:
        check_cached(model.backbone)


def check_fixed_views(config: DictConfig) -> None:
    """For a training alone: a stage of a study is composed before it is known what will be frozen."""
    if config.data.get("views") and config.model.freeze != "backbone":
        raise BadInput(
            f"data.views={config.data.views} are for a frozen backbone, whose features are computed once: "
            "say model.freeze=backbone, or leave them out."
        )


def _check_trainer(trainer: DictConfig, multirun: bool) -> None:
    if multirun and _several(trainer):
        raise BadInput(
            "-m runs its jobs in one process, where several devices would start the whole sweep again on each: "
            "run the jobs singly, or sweep with trainer.devices=1."
        )


def _several(trainer: DictConfig) -> bool:
    return trainer.devices not in (1, "1") or trainer.num_nodes > 1 or "ddp" in str(trainer.strategy)
