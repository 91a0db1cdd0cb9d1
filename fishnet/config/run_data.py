"""The photos of the run that has left a checkpoint, for commands that are given the checkpoint alone."""

from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fishnet.errors import BadInput
from fishnet.runs.saved_config import check_targets, literal, read_saved

FOLDER_DATA, REEF_DATA = "fishnet.data.datamodule.ImageFolderData", "fishnet.data.reef.ReefData"
STREAM_DATA = "fishnet.data.stream.StreamData"
PHOTOS = (
    "_target_",
    "root",
    "manifest",
    "group",
    "duplicates",
    "most_megapixels",
)  # of a folder: which photos, and which go together
DRAWING = ("species", "photos", "draw_size", "draw_seed", "plant", "layout")  # of a reef


def use_photos_of_run(config: DictConfig) -> None:
    """Where `data.root` is not typed, take the folder that the checkpoint's run was trained on.

    Nothing is built that the run's configuration names: only a class folder or a drawn reef is taken from it.
    """
    if not OmegaConf.is_missing(config.data, "root") or OmegaConf.is_missing(config, "checkpoint"):
        return
    file = Path(config.checkpoint).expanduser().absolute().parent.parent / "config" / "config.yaml"
    wanted = "Name the class folders with data.root=FOLDER"
    if not file.is_file():
        raise BadInput(f"{wanted}: the checkpoint lies in no run's folder that would name them.")
    try:
        saved = cast("dict[str, Any]", OmegaConf.to_container(read_saved(file).data, resolve=True))
    except (BadInput, OmegaConfBaseException) as error:
        raise BadInput(f"{wanted}: {error}") from error
    if saved.get("_target_") not in (FOLDER_DATA, REEF_DATA, STREAM_DATA):
        raise BadInput(f"{wanted}: the run was trained by a data module of its own.")
    kept = literal({key: saved[key] for key in (*PHOTOS, *DRAWING) if key in saved})
    check_targets(OmegaConf.create({"data": kept}), file, packages=())
    config.data = {**cast("dict[str, Any]", OmegaConf.to_container(config.data)), **kept}
