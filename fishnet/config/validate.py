"""One early look at a configuration: wrong types and settings that contradict each other, before torch is imported."""

import os
from pathlib import Path
from typing import cast

from omegaconf import DictConfig, OmegaConf

from fishnet.errors import BadInput
from fishnet.measure.metrics import MONITORS
from fishnet.models.optimisation import check_optimizer
from fishnet.models.published import check_cached, own_backbones
from fishnet.text import nearest

from .quoting import KEYS_ELSEWHERE
from .schema import check, constructor

SEAMS = ("data", "model", "trainer", "tracking", "range_test")


def validate(config: DictConfig, verb: str, *, multirun: bool = False) -> None:
    """Raise BadInput with one sentence for the first thing that cannot be right.

    Types and ranges are those of the annotations: of the verb's class Keys for the keys at the top, of constructors for
    what Hydra instantiates.
    """
    OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    schema = constructor(KEYS_ELSEWHERE.get(verb, f"fishnet.commands.{verb}.Keys"))
    for key, (annotation, _) in schema.items():
        if key in config:
            value = config[key]
            check(key, OmegaConf.to_container(value) if OmegaConf.is_config(value) else value, annotation)
    for seam in SEAMS:
        if seam in config:
            _check_types(config, seam)
    for name in config.get("callbacks") or {}:
        if config.callbacks[name] is not None:
            _check_types(config, f"callbacks.{name}")
    _check_network(config)
    _check_monitors(config)
    _check_homes(config)
    if config.get("tune") is not None:
        _check_tuning(config)
    if "data" in config:
        _check_data(config)
    if "trainer" in config:
        if not 1 <= config.trainer.max_epochs < float("inf"):
            raise BadInput(f"trainer.max_epochs={config.trainer.max_epochs}: this is 1 or more.")
        if multirun and _several(config.trainer):
            raise BadInput(
                "-m runs its jobs in one process, where several devices would start the whole sweep again on each: "
                "run the jobs singly, or sweep with trainer.devices=1."
            )


def _check_types(config: DictConfig, seam: str) -> None:
    node = OmegaConf.select(config, seam)
    if not isinstance(node, DictConfig):
        raise BadInput(f"{seam}={node}: this names a group of settings that does not exist.")
    if "_target_" in node:
        schema = constructor(node["_target_"])
        for key, value in cast(dict[str, object], OmegaConf.to_container(node, resolve=True)).items():
            check(f"{seam}.{key}", value, schema.get(key, (None, None))[0])


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
        check(f"model.backbone_args.{key}", value, schema[key][0])


def _check_homes(config: DictConfig, above: str = "") -> None:
    """`~name` in any key that is a path: whether there is such a user."""
    for key, value in cast("dict[str, object]", config).items():
        if isinstance(value, DictConfig):
            _check_homes(value, f"{above}{key}.")
        elif isinstance(value, str) and value.startswith("~"):
            try:
                Path(value).expanduser()
            except RuntimeError:
                raise BadInput(f"{above}{key}={value}: there is no user {value[1:].split('/')[0]} here.") from None


def _check_monitors(config: DictConfig) -> None:
    for key in ("monitor", "callbacks.best.monitor", "callbacks.early_stopping.monitor"):
        monitor = OmegaConf.select(config, key)
        if monitor is not None and monitor not in MONITORS:
            raise BadInput(f"{key}={monitor}: validation reports no such figure; {nearest(monitor, MONITORS)}")


def _check_tuning(config: DictConfig) -> None:
    if config.range_test.low >= config.range_test.high:
        raise BadInput(
            f"range_test.low={config.range_test.low} is not below range_test.high={config.range_test.high}: "
            "the rates of a range test rise."
        )
    if config.resume is not None:
        raise BadInput("tune=lr takes minutes and starts anew each time: leave resume= out.")
    if _several(config.trainer):
        raise BadInput("tune=lr runs on one device: say trainer.devices=1.")


def _check_data(config: DictConfig) -> None:
    data = config.data
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
        from fishnet.reef import Settings

        plant = cast("dict | None", OmegaConf.to_container(data.plant) if data.plant is not None else None)
        Settings(species=data.species, photos=data.photos, size=data.draw_size, seed=data.draw_seed, plant=plant)
    elif data._target_.endswith("ImageFolderData"):
        root = Path(data.root).expanduser()
        if not root.is_dir():
            what = "is a file, not a folder" if root.exists() else "does not exist"
            raise BadInput(f"data.root={data.root} {what}: give a folder that holds one folder a class.")
        if not config.get("resume"):
            check_outside(config.out or "outputs", "data.root", data.root)
    if config.out is not None:
        check_writable("out", config.out)


def check_outside(out: str, key: str, photos: str) -> None:
    """What is made must not lie among the photos, where its pictures would be a class the next time."""
    if Path(out).expanduser().resolve().is_relative_to(Path(photos).expanduser().resolve()):
        raise BadInput(
            f"out={out} lies inside {key}={photos}, where its pictures would become a class: give a folder elsewhere."
        )


def check_writable(key: str, text: str) -> None:
    """Whether the nearest folder above that exists takes new files, as far as can be known without making one."""
    path = Path(text).expanduser().absolute()
    above = path if path.is_dir() else next(parent for parent in path.parents if parent.exists())
    if not above.is_dir():
        raise BadInput(f"{key}={text}: {above} is a file, not a folder.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise BadInput(f"{key}={text}: nothing can be written in {above}.")


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


def _several(trainer: DictConfig) -> bool:
    return trainer.devices not in (1, "1") or trainer.num_nodes > 1 or "ddp" in str(trainer.strategy)
