"""`resume=`: a run id or a checkpoint → the run's own configuration, its newest whole checkpoint, the same run."""

import logging
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from fishnet.errors import BadInput
from fishnet.models.checkpoint import is_gan as holds_gan
from fishnet.models.checkpoint import read_checkpoint
from fishnet.runs.resume import check_epochs, find_run
from fishnet.runs.saved_config import check_targets, literal, read_saved
from fishnet.studies.trials import FORMER_NAMES
from fishnet.tracking.store import is_same_store, shown_place

from .compose import dotted_keys, parsed
from .gan_checks import is_gan
from .validate import validate

log = logging.getLogger("fishnet")

# Former name → today's name of classes that have moved since a run's configuration was saved.
MOVED = {former: name for name, former in FORMER_NAMES.items()}


def resumed(config: DictConfig) -> tuple[DictConfig, str | None, str | None]:
    """The configuration to run, the checkpoint to start from and the run to go on with."""
    if config.resume is None:
        return config, None, None
    run = find_run(str(config.resume), uri=config.tracking.uri)
    before = read_saved(run.config)
    for node in (before.data, before.get("range_test")):
        if node is not None:
            node._target_ = MOVED.get(node._target_, node._target_)
    check_targets(before, run.config, config.packages)
    overrides = list(HydraConfig.get().overrides.task)
    _check_kind(run.checkpoint, before, config, overrides)
    _apply(before, overrides)
    _check_store(before, config)
    check_epochs(before.trainer.max_epochs, run.checkpoint)
    with open_dict(before):
        before.out, before.resume = literal(str(run.folder)), literal(str(config.resume))
        before.data.split_file = literal(str(run.folder / "split" / "split.csv"))
        before.packages = config.packages
    validate(before, "train")
    log.info("going on from %s", run.checkpoint)
    return before, str(run.checkpoint), run.run_id


def _check_kind(checkpoint: Path, before: DictConfig, config: DictConfig, overrides: list[str]) -> None:
    """Refuse to go on as a GAN with a classifier, or the other way round."""
    words = {True: "a GAN", False: "a classifier"}
    resume, trains_gan = config.resume, is_gan(before)
    asked = {override.key_or_group for override in parsed(overrides)} & {"experiment", "model"}
    if asked and is_gan(config) != trains_gan:
        raise BadInput(
            f"resume={resume}: that run trains {words[trains_gan]}, and {asked.pop()}= asks for "
            f"{words[not trains_gan]}: leave it out."
        )
    if holds_gan(read_checkpoint(checkpoint)) != trains_gan:
        raise BadInput(
            f"resume={resume}: the checkpoint holds {words[not trains_gan]}, and the run in its folder trains "
            f"{words[trains_gan]}: give a checkpoint of that run."
        )


def _check_store(before: DictConfig, config: DictConfig) -> None:
    """A run reports to the store that this command asks for: another, which only its folder names, is refused."""
    saved, home = before.tracking.get("uri"), Path.cwd()
    if before.tracking.get("offline"):
        return
    if saved is not None and not is_same_store(str(saved), config.tracking.uri, home=home):
        raise BadInput(
            f"resume={config.resume}: that run reported to {shown_place(str(saved), home=home)}, which only its folder "
            f"says: say where to report, as tracking.uri={shown_place(str(saved), home=home)}."
        )
    log.info("reporting to %s", shown_place(config.tracking.uri, home=home))


# What may change in mid-run without making it another run.
FREE_DATA = ("data.root", "data.most_megapixels", "data.workers", "data.cache", "data.cache_limit")


def _apply(config: DictConfig, overrides: list[str]) -> None:
    """The keys given now win over the saved ones; what the checkpoint has already settled cannot be changed."""
    known = dotted_keys(OmegaConf.to_container(config, resolve=False))
    for override in parsed(overrides):
        key = override.key_or_group
        if key in ("resume", "out", "packages"):
            continue
        before = OmegaConf.select(config, key)
        if (before is None and key not in known) or isinstance(before, DictConfig):
            raise BadInput(f"{key}: a resumed run keeps its own {key}; give single keys such as trainer.max_epochs=50.")
        if before != override.value():
            _check_free(key, before, config)
        OmegaConf.update(config, key, override.value())


def _check_free(key: str, before: object, config: DictConfig) -> None:
    if key == "seed" or key.startswith("model.") or (key.startswith("data.") and key not in FREE_DATA):
        raise BadInput(f"{key}: a resumed run keeps {key}={before}; another value needs a run of its own.")
    if key == "trainer.max_epochs" and config.model.get("scheduler") == "cosine":
        raise BadInput(
            f"trainer.max_epochs: model.scheduler=cosine was laid out over {before} epochs, which a resumed run keeps; "
            "another number needs a run of its own."
        )
