"""A run's training once more, changed in one respect: by the ordinary verb, in a process of its own.

The settings are written as an experiment of their own folder, so that the training can be read, repeated and resumed
like any other: `fishnet train --config-dir FOLDER experiment=mended`.
"""

import hashlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from fishnet.environment import OF_A_RUN
from fishnet.errors import BadInput, WorkFailed
from fishnet.files import locked, write_whole
from fishnet.models.checkpoint import read_checkpoint, write_checkpoint
from fishnet.models.run_model import KEPT
from fishnet.runs.saved_config import check_targets, literal, read_saved

from .checkpoints import BEST
from .quoting import quote
from .run_data import FOLDER_DATA, REEF_DATA
from .validate import constructor

log = logging.getLogger("fishnet")

PATIENCE = 60.0  # seconds in which a training that is asked to stop leaves a checkpoint
ONLY_TO_LOOK_AT = ("heatmaps", "views", "audit", "last")  # callbacks whose work nobody sees of a training for an audit
HEADER = """# @package _global_
# The training of {run}, {change}.
"""


def run_of(checkpoint: Path, key: str, *, cure: str = "") -> Path:
    """The folder of the run that has left the checkpoint, with its configuration and its split; BadInput without.

    Args:
        checkpoint: of the run.
        key: of the audit that asks for a training, as it is typed.
        cure: what else the user could say.
    """
    run = checkpoint.parent.parent
    for needed in ("config/config.yaml", "split/split.csv"):
        if not (run / needed).is_file():
            raise BadInput(
                f"{key} trains as the run did that left {checkpoint.name}, and {run / needed} is missing: give "
                f"the checkpoint in its run's folder{cure}."
            )
    return run


def retrain(
    checkpoint: Path, *, root: Path, kinds: list[str], carriers: Path, settings_folder: Path, out: Path,
    audit: DictConfig,
) -> Path:  # fmt: skip
    """Train again with the exchange as augmentation, and return the new checkpoint.

    Args:
        checkpoint: of the run that is trained once more: its settings, its seed, its split.
        root: the folder of its photos, as the audit has found it.
        kinds: what is exchanged.
        carriers: a table of photos that carry what a class rests on.
        settings_folder: where the experiment is written.
        out: the folder of the new run.
        audit: the configuration of the audit, for the tracking of the new run.
    """
    run = run_of(checkpoint, "mend=retrain", cure=", or say mend=head")
    settings = settings_of(run, root, audit)
    exchange = {"kinds": kinds, "carriers": str(carriers), "mended_from": str(checkpoint)}
    settings["callbacks"] = {**settings.get("callbacks", {}), "exchange": exchange}
    return repeat(
        settings, run, name="mended", key="mend=retrain", change="with the exchange as augmentation",
        settings_folder=settings_folder, out=out, callbacks="exchange",
    )  # fmt: skip


def kept_training(
    settings: dict[str, Any], run: Path, *, key: str, name: str, change: str, settings_folder: Path, home: Path
) -> Path:
    """The best checkpoint of a training with these settings, in `home`, where it lies already if it was made before.

    Nothing else is kept of the training: it is no run to be compared with others, and is sent to no tracking store.

    Args:
        settings: of `settings_of`, changed.
        run: that is trained once more.
        key: of the audit that asks for it, as it is typed.
        name: of the experiment.
        change: in which respect it differs from the run, in words.
        settings_folder: where the experiment is written.
        home: the folder of such checkpoints.
    """
    callbacks = {**settings["callbacks"], **dict.fromkeys(ONLY_TO_LOOK_AT)}
    tracking = {**settings["tracking"], "offline": True}
    settings = {**settings, "callbacks": callbacks, "test": False, "tracking": tracking}
    digest = training_digest(settings)
    kept, unfinished = home / f"{name}-{digest}.ckpt", home / f"{name}-{digest}.unfinished"
    home.mkdir(parents=True, exist_ok=True)
    with locked(home / f".{name}-{digest}.lock", waiting=f"{key}: another audit trains the same; this one waits."):
        if not kept.is_file():
            shutil.rmtree(unfinished, ignore_errors=True)
            best = repeat(
                settings, run, name=name, key=key, change=change, settings_folder=settings_folder, out=unfinished
            )
            checkpoint = read_checkpoint(best)
            write_checkpoint({part: checkpoint[part] for part in KEPT if part in checkpoint}, kept)
            shutil.rmtree(unfinished)
    return kept


def training_digest(settings: dict[str, Any]) -> str:
    """Twelve digits that differ where two trainings do: by their settings, or by the list that curates their photos."""
    own = {key: value for key, value in settings.items() if key not in ("tracking", "name")}
    lists = [Path(file).read_text(encoding="utf-8") for file in (settings["data"].get("curation"),) if file]
    own = {**own, "data": {**own["data"], "curation": lists}}
    return hashlib.sha256(json.dumps(own, sort_keys=True, default=str).encode()).hexdigest()[:12]


def repeat(
    settings: dict[str, Any], run: Path, *, name: str, key: str, change: str, settings_folder: Path, out: Path,
    callbacks: str | None = None,
) -> Path:  # fmt: skip
    """Train with these settings and return the best checkpoint; a training that fails says itself why.

    Args:
        settings: of `settings_of`, changed.
        run: that is trained once more.
        name: of the experiment.
        key: of the audit that asks for it, as it is typed.
        change: in which respect it differs from the run, in words.
        settings_folder: where the experiment is written.
        out: the folder of the new run.
        callbacks: the group of callbacks that the settings change, where it is not the usual one.
    """
    data = "reef" if settings["data"]["_target_"] == REEF_DATA else "folder"
    groups = [{"override /data": data}, *([{"override /callbacks": callbacks}] if callbacks else [])]
    experiment = {"defaults": [*groups, "_self_"], **settings}
    (settings_folder / "experiment").mkdir(parents=True, exist_ok=True)
    text = HEADER.format(run=run, change=change) + OmegaConf.to_yaml(OmegaConf.create(literal(experiment)))
    write_whole(settings_folder / "experiment" / f"{name}.yaml", text)
    log.info("%s: training once more, in %s", key, out)
    run_name = f"{name}-{settings['name'] or settings['model']['backbone']}"
    own = [f"name={quote(run_name)}", f"out={quote(str(out))}"]
    start_training(["--config-dir", str(settings_folder), f"experiment={name}", *own], key)
    if not (out / BEST).is_file():
        raise WorkFailed(f"{key}: the training has left no {out / BEST} (callbacks.best=null?).")
    return out / BEST


def settings_of(run: Path, root: Path, audit: DictConfig) -> dict[str, Any]:
    """The run's own settings, with the folder where it is now, its split, and the audit's tracking; BadInput where they
    name anything that may not be built."""
    file = run / "config" / "config.yaml"
    saved = read_saved(file)
    check_targets(saved, file, audit.packages)
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
    kept = {
        key: value for key, value in settings.items() if key not in ("out", "resume", "tune", "prefetch", "packages")
    }
    return {**kept, "data": data, "tracking": tracking, "name": settings.get("name")}


def start_training(arguments: list[str], key: str) -> None:
    """`fishnet train` in a process of its own, which never outlives this one's wait for it; `key` asks for it.

    The training has a session of its own: Ctrl-C in a terminal reaches this process alone, which asks the training to
    stop. Where this process is stopped, so is the training, and the signal goes on as the exception that it was.
    """
    environment = {name: value for name, value in os.environ.items() if name not in OF_A_RUN}
    command = [sys.executable, "-m", "fishnet.commands.train", *arguments]
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        status = process.wait()
    except BaseException:
        stop_training(process)
        raise
    if status:
        raise WorkFailed(f"{key}: the training ended with status {status}; why stands above.")


def stop_training(process: subprocess.Popen) -> None:
    """Ask the training to stop, which leaves a checkpoint; after PATIENCE, or at a second signal, end it and all that
    it has started."""
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        log.warning("the training did not stop within %.0f seconds, and is ended.", PATIENCE)
    finally:
        with suppress(ProcessLookupError):  # nothing of it is left
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
