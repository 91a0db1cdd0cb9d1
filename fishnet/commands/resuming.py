"""`resume=`: a run id or a checkpoint → the run's own configuration, its newest whole checkpoint, the same run."""

import json
import logging
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict

from fishnet.callbacks.checkpoints import read_checkpoint
from fishnet.callbacks.verified import newest
from fishnet.errors import BadInput

from .building import RECORD
from .checks import validate

log = logging.getLogger("fishnet")


def resumed(config: DictConfig) -> tuple[DictConfig, str | None, str | None]:
    """The configuration to run, the checkpoint to start from and the run to go on with."""
    if config.resume is None:
        return config, None, None
    folder, checkpoint = _find(str(config.resume), config)
    saved = folder / "config" / "config.yaml"
    if not saved.is_file():
        raise BadInput(f"resume={config.resume}: {folder} holds no configuration of a run.")
    before = OmegaConf.load(saved)
    assert isinstance(before, DictConfig)
    _apply(before, HydraConfig.get().overrides.task)
    _check_epochs(before, checkpoint)
    with open_dict(before):
        before.out, before.resume = str(folder), str(config.resume)
        before.data.split_file = str(folder / "split" / "split.csv")
    validate(before)
    log.info("going on from %s", checkpoint)
    return before, str(checkpoint), json.loads((folder / RECORD).read_text())["run_id"]


def _find(what: str, config: DictConfig) -> tuple[Path, Path]:
    path = Path(what).expanduser().absolute()
    if path.suffix == ".ckpt":
        read_checkpoint(path)
        return path.parent.parent, path
    folder = path if (path / RECORD).is_file() else _folder_of_run(what, config)
    checkpoint = newest(folder / "checkpoints")
    if checkpoint is None:
        raise BadInput(f"resume={what}: no whole checkpoint lies in {folder / 'checkpoints'}.")
    return folder, checkpoint


def _folder_of_run(run_id: str, config: DictConfig) -> Path:
    from fishnet.tracking.runs import folder_of

    folder = folder_of(run_id, uri=config.tracking.uri, home=Path.cwd())
    if folder is None or not folder.is_dir():
        raise BadInput(f"resume={run_id}: neither a run, nor a run's folder, nor a checkpoint has that name.")
    return folder


# What may change in mid-run without making it another one.
FREE_DATA = ("data.root", "data.workers", "data.cache", "data.cache_limit")


def _apply(config: DictConfig, overrides: list[str]) -> None:
    """The keys given now win over the saved ones; what the checkpoint has already settled cannot be changed."""
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key = override.key_or_group
        if key in ("resume", "out"):
            continue
        before = OmegaConf.select(config, key)
        if (before is None and key not in _paths(config)) or isinstance(before, DictConfig):
            raise BadInput(f"{key}: a resumed run keeps its own {key}; give single keys such as trainer.max_epochs=50.")
        if before != override.value():
            _check_free(key, before, config)
        OmegaConf.update(config, key, override.value())


def _check_free(key: str, before: object, config: DictConfig) -> None:
    settled = key == "seed" or key.startswith("model.") or (key.startswith("data.") and key not in FREE_DATA)
    if settled:
        raise BadInput(f"{key}: a resumed run keeps {key}={before}; another value needs a run of its own.")
    if key == "trainer.max_epochs" and config.model.scheduler == "cosine":
        raise BadInput(
            f"trainer.max_epochs: model.scheduler=cosine was laid out over {before} epochs, which a resumed run keeps; "
            "another number needs a run of its own."
        )


def _check_epochs(config: DictConfig, checkpoint: Path) -> None:
    begun = read_checkpoint(checkpoint)["loops"]["fit_loop"]["epoch_progress"]["current"]["ready"]
    wanted = config.trainer.max_epochs
    if isinstance(wanted, int) and 0 < wanted < begun:
        raise BadInput(
            f"trainer.max_epochs={wanted}: epoch {begun} of this run has begun already; give {begun} or more."
        )


def check_classes(config: DictConfig, checkpoint: str, found: list[str]) -> None:
    """The folder must still hold the classes that the run began with."""
    known = read_checkpoint(Path(checkpoint))["hyper_parameters"]["classes"]
    if list(known) == found:
        return
    lost, new = [name for name in known if name not in found], [name for name in found if name not in known]
    parts = [f"{what} {', '.join(names[:5])}" for what, names in (("lacks", lost), ("also holds", new)) if names]
    told = ", ".join(known[:8]) + (" …" if len(known) > 8 else "")
    raise BadInput(
        f"resume={config.resume}: the run knows the classes {told}, and {config.data.root} "
        f"{' and '.join(parts) or 'has them in another order'}: restore the folder, or give data.root."
    )


def _paths(config: DictConfig) -> set[str]:
    found: set[str] = set()

    def walk(node, prefix: str) -> None:
        for key, value in node.items() if isinstance(node, dict) else ():
            found.add(f"{prefix}{key}")
            walk(value, f"{prefix}{key}.")

    walk(OmegaConf.to_container(config, resolve=False), "")
    return found
