"""What a run can be repeated from: its configuration, its command line, its split; and its columns in the UI."""

import json
import os
import shlex
import sys
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from fishnet.data.datamodule import ImageFolderData
from fishnet.data.splits import save_split, split_digest
from fishnet.environment import TYPED_COMMAND
from fishnet.files import replacing
from fishnet.tracking.logger import MlflowLogger

RECORD = "run.json"


def write_records(
    config: DictConfig, data: ImageFolderData, folder: Path, logger: MlflowLogger, *, command: str = "train"
) -> None:
    """What a run can be repeated from: its configuration, its command line, its split; and its columns in the UI."""
    if logger.run_id is None:
        return  # one of several processes, not the first
    for name in ("config", "split"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    record = json.dumps({"run_id": logger.run_id, "classes": data.classes}, ensure_ascii=False)
    _write(folder / "config" / "config.yaml", OmegaConf.to_yaml(config))
    _write(folder / "config" / "command.txt", _commands(folder / "config" / "command.txt", command))
    save_split(data.table, data.assignment, folder / "split" / "split.csv")
    _write(folder / RECORD, record)
    logger.set_tags(
        {
            "fishnet.split_digest": split_digest(data.table, data.assignment),
            "fishnet.data_digest": data.index.digest,
        }
    )
    logger.log_hyperparams(run_parameters(config))
    logger.log_artifacts(folder / "config", "config")
    logger.log_artifacts(folder / "split", "split")
    counts = {"photos": len(data.table), "classes": len(data.classes), "groups": int(data.table.group.nunique())}
    logger.log_input(
        name=data.root.name, digest=data.index.digest[:12], source=str(data.root), context=command, profile=counts
    )


def _commands(path: Path, verb: str) -> str:
    """The command as it was typed; a resumed run has a line for each time."""
    earlier = path.read_text(encoding="utf-8") if path.is_file() else ""
    return earlier + os.environ.get(TYPED_COMMAND, shlex.join(["fishnet", verb, *sys.argv[1:]])) + "\n"


def _write(path: Path, text: str) -> None:
    """A resumed run writes its records again: a kill must not leave it without them."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


NO_PARAMETER = (
    *("_target_", "_partial_", "tracking", "callbacks", "range_test"),
    *("out", "resume", "name", "prefetch", "checkpoint"),
)
HOUSEKEEPING = {
    "data": (
        "root",
        "manifest",
        "split_file",
        "workers",
        "max_refused",
        "cache",
        "cache_limit",
    ),  # places are told as the data set
    "model": ("image_size",),  # data.image_size says it
    "trainer": (
        "enable_model_summary",
        "enable_progress_bar",
        "log_every_n_steps",
        "num_sanity_val_steps",
        "use_distributed_sampler",
    ),
}


# Of a checkpoint that is only measured: what can change the figures.
MEASURED = {
    "data": ("classes", "positive", "group", "duplicates", "image_size", "batch_size"),
    "trainer": ("accelerator", "devices", "num_nodes", "precision", "limit_test_batches"),
}
SPLITTING = ("val", "test", "folds", "fold", "seed")


def run_parameters(config: DictConfig) -> dict[str, object]:
    """Few and comparable: what was chosen and can change a result; no targets, no places, nothing twice."""
    tree = OmegaConf.to_container(config, resolve=True)
    assert isinstance(tree, dict)
    if "part" in tree:
        return _measuring_parameters(tree)
    chosen: dict[str, object] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            left_out = (*NO_PARAMETER, *HOUSEKEEPING.get(str(key), ()))
            value = {k: _without_folders(v) for k, v in value.items() if k not in left_out}
        if key not in NO_PARAMETER:
            chosen[str(key)] = value
    if isinstance(data := chosen.get("data"), dict) and data.get("seed") == chosen.get("seed"):
        del data["seed"]
    return chosen


def _measuring_parameters(tree: dict) -> dict[str, object]:
    chosen: dict[str, object] = {"part": tree["part"], "checkpoint": short_name(Path(tree["checkpoint"]))}
    split = () if tree["part"] == "all" or tree["data"].get("split_file") else SPLITTING
    for seam, keys in MEASURED.items():
        more = split if seam == "data" else ()
        chosen[seam] = {key: tree[seam][key] for key in (*keys, *more) if key in tree[seam]}
    return chosen


def short_name(checkpoint: Path) -> str:
    """The folder of the run and the file: outputs/RUN/checkpoints/best.ckpt is RUN/best.ckpt."""
    path = checkpoint.expanduser().absolute()
    run = path.parent.parent if path.parent.name in ("checkpoints", "model") else path.parent
    return f"{run.name}/{path.name}"


def _without_folders(value: object) -> object:
    """A weights file by its name; where it lies is no property of the run."""
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value
