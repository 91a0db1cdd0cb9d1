"""A run's training once more, with the exchange as augmentation: by the ordinary verb, in a process of its own.

The settings are written as an experiment of their own folder, so that the training can be read, repeated and resumed
like any other: `fishnet train --config-dir FOLDER experiment=mended`.
"""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from fishnet.environment import OF_A_RUN
from fishnet.errors import BadInput, WorkFailed
from fishnet.files import write_whole

from .quoting import quote
from .run_data import FOLDER_DATA, REEF_DATA
from .validate import constructor

log = logging.getLogger("fishnet")

BEST = Path("checkpoints") / "best.ckpt"
PATIENCE = 60.0  # seconds in which a training that is asked to stop leaves a checkpoint
HEADER = """# @package _global_
# The training of {run}, with the exchange as augmentation.
"""


def run_of(checkpoint: Path) -> Path:
    """The folder of the run that has left the checkpoint, with its configuration and its split; BadInput without."""
    run = checkpoint.parent.parent
    for needed in ("config/config.yaml", "split/split.csv"):
        if not (run / needed).is_file():
            raise BadInput(
                f"mend=retrain trains as the run did that left {checkpoint.name}, and {run / needed} is missing: give "
                "the checkpoint in its run's folder, or say mend=head."
            )
    return run


def retrain(
    checkpoint: Path, *, root: Path, kinds: list[str], carriers: Path, settings_folder: Path, out: Path,
    audit: DictConfig,
) -> Path:  # fmt: skip
    """Train again and return the new checkpoint; a training that fails says itself why.

    Args:
        checkpoint: of the run that is trained once more: its settings, its seed, its split.
        root: the folder of its photos, as the audit has found it.
        kinds: what is exchanged.
        carriers: a table of photos that carry what a class rests on.
        settings_folder: where the experiment is written.
        out: the folder of the new run.
        audit: the configuration of the audit, for the tracking of the new run.
    """
    run = run_of(checkpoint)
    settings = mended_settings(run, root, audit)
    exchange = {"kinds": kinds, "carriers": str(carriers), "mended_from": str(checkpoint)}
    settings["callbacks"] = {**settings.get("callbacks", {}), "exchange": exchange}
    data = "reef" if settings["data"]["_target_"] == REEF_DATA else "folder"
    experiment = {"defaults": [{"override /data": data}, {"override /callbacks": "exchange"}, "_self_"], **settings}
    (settings_folder / "experiment").mkdir(parents=True, exist_ok=True)
    text = HEADER.format(run=run) + OmegaConf.to_yaml(OmegaConf.create(experiment))
    write_whole(settings_folder / "experiment" / "mended.yaml", text)
    log.info("mend=retrain: training once more, in %s", out)
    name = f"mended-{settings['name'] or settings['model']['backbone']}"
    own = [f"name={quote(name)}", f"out={quote(str(out))}"]
    start_training(["--config-dir", str(settings_folder), "experiment=mended", *own])
    if not (out / BEST).is_file():
        raise WorkFailed(f"mend=retrain: the training has left no {out / BEST} (callbacks.best=null?).")
    return out / BEST


def mended_settings(run: Path, root: Path, audit: DictConfig) -> dict[str, Any]:
    """The run's own settings, with the folder where it is now, its split, and the audit's tracking."""
    saved = OmegaConf.load(run / "config" / "config.yaml")
    settings = cast("dict[str, Any]", OmegaConf.to_container(saved, resolve=True))
    data = settings["data"]
    if data["_target_"] in (FOLDER_DATA, REEF_DATA):  # a reef that has been drawn is a folder like any other
        known = constructor(FOLDER_DATA)
        data = {key: value for key, value in data.items() if key in known} | {"_target_": FOLDER_DATA}
        data |= {"root": str(root), "manifest": audit.data.get("manifest")}
    data["split_file"] = str(run / "split" / "split.csv")
    if (curation := run / "config" / "curation.csv").is_file():
        data["curation"] = str(curation)
    tracking = OmegaConf.to_container(audit.tracking, resolve=True)
    kept = {key: value for key, value in settings.items() if key not in ("out", "resume", "tune", "prefetch")}
    return {**kept, "data": data, "tracking": tracking, "name": settings.get("name")}


def start_training(arguments: list[str]) -> None:
    """`fishnet train` in a process of its own, which is asked to stop where this one is."""
    environment = {name: value for name, value in os.environ.items() if name not in OF_A_RUN}
    process = subprocess.Popen([sys.executable, "-m", "fishnet.commands.train", *arguments], env=environment)
    try:
        status = process.wait()
    except BaseException:  # Ctrl-C, or a signal: the training leaves a checkpoint, and can be resumed
        process.terminate()
        process.wait(PATIENCE)
        raise
    if status:
        raise WorkFailed(f"mend=retrain: the training ended with status {status}; why stands above.")
