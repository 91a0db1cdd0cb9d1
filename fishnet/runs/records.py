"""What a run can be repeated from: its configuration, its command line, its split; and its columns in the UI."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from fishnet.environment import as_typed
from fishnet.files import write_whole
from fishnet.tracking import names
from fishnet.tracking.runs import git_commit

if TYPE_CHECKING:
    from fishnet.data.datamodule import ImageFolderData
    from fishnet.tracking.logger import MlflowLogger

RECORD = "run.json"


def run_tags(config: DictConfig, folder: Path, command: str) -> dict[str, str | None]:
    """The tags of every run: what it is, where it lies, and from which settings and code it came."""
    return {
        names.COMMAND: command,
        names.FOLDER: str(folder),
        names.CONFIG_DIGEST: hashlib.sha256(OmegaConf.to_yaml(config, resolve=True).encode()).hexdigest()[:16],
        names.GIT_COMMIT: git_commit(),
    }


def write_config(config: DictConfig, folder: Path, command: str, *, resolve: bool = False) -> None:
    """config/config.yaml and config/command.txt, the command as it was typed; a resumed run adds a line to it."""
    (folder / "config").mkdir(parents=True, exist_ok=True)
    commands = folder / "config" / "command.txt"
    earlier = commands.read_text(encoding="utf-8") if commands.is_file() else ""
    write_whole(folder / "config" / "config.yaml", OmegaConf.to_yaml(config, resolve=resolve))
    write_whole(commands, f"{earlier}{as_typed(command)}\n")


def write_records(
    config: DictConfig, data: "ImageFolderData", folder: Path, logger: "MlflowLogger", *, command: str = "train"
) -> None:
    """Configuration, split and data set of a training or measurement, in its folder and in MLflow."""
    from fishnet.data.curation import curation_digest
    from fishnet.data.splits import save_split, split_digest

    if logger.run_id is None:
        return  # one of several processes, not the first
    write_config(config, folder, command)
    (folder / "split").mkdir(exist_ok=True)
    save_split(data.table, data.assignment, folder / "split" / "split.csv")
    record = {"run_id": logger.run_id, "classes": data.classes, "data": data_record(data)}
    write_whole(folder / RECORD, json.dumps(record, ensure_ascii=False))
    split = split_digest(data.table, data.assignment)
    logger.set_tags({names.SPLIT_DIGEST: split, names.DATA_DIGEST: data.index.digest})
    if (curation := data.folder.curation) is not None:
        write_whole(folder / "config" / "curation.csv", Path(curation).expanduser().read_text(encoding="utf-8"))
        logger.set_tags({names.CURATION_DIGEST: curation_digest(curation)})
    logger.log_hyperparams(run_parameters(config))
    logger.log_artifacts(folder / "config", "config")
    logger.log_artifacts(folder / "split", "split")
    counts = {"photos": len(data.table), "classes": len(data.classes), "groups": int(data.table.group.nunique())}
    logger.log_input(
        name=data.root.name, digest=data.index.digest[:12], source=str(data.root), context=command, profile=counts
    )


def data_record(data: "ImageFolderData") -> dict[str, object]:
    """What a model's bundle says of its photos: how many, which (by digest), and under which licences."""
    record: dict[str, object] = {"photos": len(data.table), "digest": data.index.digest}
    if "licence" in data.table:
        licences = data.table["licence"].replace("", "unknown").fillna("unknown").value_counts()
        record["licences"] = {str(name): int(count) for name, count in licences.items()}
    return record


NO_PARAMETER = (
    *("_target_", "_partial_", "tracking", "callbacks", "range_test", "packages"),
    *("out", "resume", "name", "prefetch", "checkpoint"),
)
HOUSEKEEPING = {
    "data": (
        "root",
        "manifest",
        "split_file",
        "workers",
        "max_refused",
        "most_megapixels",
        "cache",
        "cache_limit",
    ),  # logged as data set
    "model": ("image_size",),  # the same as data.image_size
    "trainer": (
        *("enable_model_summary", "enable_progress_bar", "log_every_n_steps"),
        *("num_sanity_val_steps", "use_distributed_sampler"),
    ),
}


# Of a checkpoint that is only measured: what can change the figures.
MEASURED = {
    "data": ("curation", "classes", "positive", "group", "duplicates", "image_size", "batch_size"),
    "trainer": ("accelerator", "devices", "num_nodes", "precision", "limit_test_batches"),
}
AUDITED = ("region", "donors", "hosts", "alpha", "mend")  # keys at the top, of an audit
SPLITTING = ("val", "test", "folds", "fold", "seed")


def run_parameters(config: DictConfig) -> dict[str, object]:
    """Few and comparable: what was chosen and can change a result; no targets, no folders, nothing twice."""
    tree = OmegaConf.to_container(config, resolve=True)
    assert isinstance(tree, dict)
    if "part" in tree:
        return _measuring_parameters(tree)
    chosen: dict[str, object] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            left_out = (*NO_PARAMETER, *HOUSEKEEPING.get(str(key), ()))
            # a weights file by its name: where it lies is no property of the run
            value = {k: Path(v).name if isinstance(v, str) and Path(v).is_absolute() else v
                     for k, v in value.items() if k not in left_out}  # fmt: skip
        if key not in NO_PARAMETER:
            chosen[str(key)] = value
    if isinstance(data := chosen.get("data"), dict) and data.get("seed") == chosen.get("seed"):
        del data["seed"]
    return chosen


def _measuring_parameters(tree: dict) -> dict[str, object]:
    path = Path(tree["checkpoint"]).expanduser().absolute()
    run = path.parent.parent if path.parent.name in ("checkpoints", "model") else path.parent
    chosen: dict[str, object] = {"part": tree["part"], "checkpoint": f"{run.name}/{path.name}"}
    split = () if tree["part"] == "all" or tree["data"].get("split_file") else SPLITTING
    chosen |= {key: tree[key] for key in AUDITED if key in tree}
    for seam, keys in MEASURED.items():
        if seam not in tree:
            continue
        more = split if seam == "data" else ()
        chosen[seam] = {key: tree[seam][key] for key in (*keys, *more) if key in tree[seam]}
    return chosen
