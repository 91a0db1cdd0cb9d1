"""One early look at a configuration: wrong types and settings that contradict each other, before torch is imported."""

from pathlib import Path
from typing import cast

from omegaconf import DictConfig, OmegaConf

from fishnet.errors import BadInput

from .schema import constructor, describe, fits

TYPES_OF_TOP = {"seed": int, "test": bool, "prefetch": bool}


def validate(config: DictConfig, *, multirun: bool = False) -> None:
    """Raise BadInput with one sentence for the first thing that cannot be right."""
    OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    for key, kind in TYPES_OF_TOP.items():
        if key in config and not (
            isinstance(config[key], kind) and (kind is bool or not isinstance(config[key], bool))
        ):
            raise BadInput(f"{key}={config[key]}: this takes {'a whole number' if kind is int else 'true or false'}.")
    for seam in ("data", "model", "trainer", "tracking"):
        if seam in config:
            _check_types(config, seam)
    for name in config.get("callbacks") or {}:
        if config.callbacks[name] is not None:
            _check_types(config, f"callbacks.{name}")
    if "data" in config:
        _check_data(config.data)
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


def _check_data(data: DictConfig) -> None:
    for key in ("val", "test"):
        if not 0 < data[key] < 1:
            raise BadInput(f"data.{key}={data[key]}: a share of the photos is above 0 and below 1.")
    if data.val + data.test >= 1:
        raise BadInput(f"data.val={data.val} and data.test={data.test} leave nothing to train on.")
    if (data.folds is None) != (data.fold is None):
        raise BadInput("data.folds (how many) and data.fold (which one is the test set) go together.")
    if data.folds is not None and not 0 <= data.fold < data.folds:
        raise BadInput(f"data.fold={data.fold}: with data.folds={data.folds} the folds are 0 to {data.folds - 1}.")
    if data.batch_size < 1:
        raise BadInput(f"data.batch_size={data.batch_size}: a batch holds at least one photo.")
    if data._target_.endswith("ReefData"):
        _check_reef(data)
    root = Path(data.root).expanduser()
    if data._target_.endswith("ImageFolderData") and not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise BadInput(f"data.root={data.root} {what}: give a folder that holds one folder a class.")


def _check_reef(data: DictConfig) -> None:
    from fishnet.data.reef import Settings

    plant = cast("dict | None", OmegaConf.to_container(data.plant) if data.plant is not None else None)
    Settings(species=data.species, photos=data.photos, size=data.draw_size, seed=data.draw_seed, plant=plant)


def _check_trainer(trainer: DictConfig, multirun: bool) -> None:
    several = trainer.devices not in (1, "1") or trainer.num_nodes > 1 or "ddp" in str(trainer.strategy)
    if multirun and several:
        raise BadInput(
            "-m runs its jobs in one process, where several devices would start the whole sweep again on each: "
            "run the jobs singly, or sweep with trainer.devices=1."
        )
