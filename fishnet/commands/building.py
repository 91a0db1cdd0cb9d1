"""Configuration → the objects of a run, with their names and records."""

import hashlib
import json
import logging
import os
import shlex
import sys
import warnings
from pathlib import Path

import pytorch_lightning as L
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from fishnet.callbacks.checkpoints import DurableCheckpointIO
from fishnet.callbacks.guards import FiniteLoss, SeededSteps, StopOnSignal
from fishnet.callbacks.pace import EpochLines, Pace
from fishnet.data.datamodule import ImageFolderData
from fishnet.data.split_file import save_split
from fishnet.data.splits import split_digest
from fishnet.errors import BadInput
from fishnet.models.classifier import ImageClassifier
from fishnet.models.quiet import same_chance
from fishnet.models.trying import learns_from_one_photo, takes_photos
from fishnet.tracking.logger import MlflowLogger
from fishnet.tracking.runs import git_commit, run_name
from fishnet.whole import replacing

log = logging.getLogger("fishnet")

PARENT = "FISHNET_PARENT_RUN"
SWEPT = "FISHNET_SWEPT_KEYS"
RECORD = "run.json"
OURS = ("channels_last", "compile")  # keys of `trainer` that Lightning does not know
TYPED = "FISHNET_COMMAND"  # the dispatcher tells what was typed, before it is quoted for Hydra


def quieten() -> None:
    """Lightning's advice that does not apply here; anything else it warns of is still heard."""
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.WARNING)
    advice = (
        "isinstance.treespec",
        "The number of training batches",
        "The '.*dataloader' does not have many",
        "Found .* module.* in eval mode",
    )
    for message in advice:
        warnings.filterwarnings("ignore", message=f".*{message}")
    warnings.filterwarnings("ignore", message=".*exists and is not empty")  # a run's own folder
    warnings.filterwarnings("ignore", message=".*sync_dist=True")  # torchmetrics has synchronised these already


def signal_watch() -> StopOnSignal:
    """From here on a signal ends the run in good order."""
    return StopOnSignal()


def build_trainer(config: DictConfig, *, logger: MlflowLogger, folder: Path, watch: StopOnSignal) -> L.Trainer:
    """Lightning's own trainer; the guards are not for choosing, the rest is."""
    chosen = [instantiate(node, _convert_="all") for node in config.callbacks.values() if node is not None]
    guards: list[L.Callback] = [SeededSteps(seed=config.seed), watch, FiniteLoss(), Pace(), EpochLines()]
    if config.get("tune"):  # its loss is meant to run away, and its epochs mean nothing
        guards = [SeededSteps(seed=config.seed), watch]
    on_terminal = sys.stderr.isatty()
    try:
        lightnings = {key: value for key, value in config.trainer.items() if key not in OURS}
        return instantiate(OmegaConf.create(lightnings), _convert_="all", _partial_=True)(
            callbacks=[*guards, *chosen],
            logger=logger,
            default_root_dir=str(folder),
            plugins=[DurableCheckpointIO()],
            enable_progress_bar=config.trainer.enable_progress_bar and on_terminal,
        )
    except (MisconfigurationException, ValueError) as error:  # no such device, no such precision
        raise BadInput(f"trainer: {str(error).strip().splitlines()[0]}") from error


def build_model(config: DictConfig, classes: list[str]) -> ImageClassifier:
    """The network, tried on a blank photo: what cannot take photos of this size is refused before they are read."""
    model = instantiate(config.model, _convert_="all")(classes=classes)
    size, batch = model.preprocessing.size, int(config.data.batch_size)
    try:
        with same_chance():
            takes_photos(model, size)
    except Exception as error:  # each backbone complains in its own way
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadInput(
            f"data.image_size={size}: {config.model.backbone} cannot take photos of that size ({reason.rstrip('.')})."
        ) from error
    if batch == 1 and not learns_from_one_photo(model, size):
        raise BadInput(
            f"data.batch_size=1: the batch norm of {config.model.backbone} cannot learn from a single photo at "
            f"data.image_size={size}: take two or more a batch."
        )
    return model


def size_of(model: ImageClassifier) -> dict[str, int]:
    """How many numbers the network holds, and how many of them learn."""
    counts = [(weight.numel(), weight.requires_grad) for weight in model.parameters()]
    return {
        "fishnet.parameters": sum(count for count, _ in counts),
        "fishnet.parameters_trained": sum(count for count, learns in counts if learns),
    }


def build_logger(
    config: DictConfig, *, folder: Path, command: str, name: str | None = None, run_id: str | None = None
) -> MlflowLogger:
    """The run's logger, with its name and tags; nothing exists in the store before the run is opened."""
    return instantiate(
        config.tracking,
        run_name=automatic_name(config.name or name),
        home=str(Path.cwd()),
        folder=str(folder),
        run_id=run_id,
        parent=os.environ.get(PARENT),
        tags={
            "fishnet.command": command,
            "fishnet.folder": str(folder),
            "fishnet.config_digest": _digest(OmegaConf.to_yaml(config, resolve=True)),
            "fishnet.git_commit": git_commit(),
        },
    )


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
    return earlier + os.environ.get(TYPED, shlex.join(["fishnet", verb, *sys.argv[1:]])) + "\n"


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


def automatic_name(wanted: str | None) -> str:
    """The job's number and what was asked for, so that two runs of a sweep are told apart in any chart."""
    hydra = HydraConfig.get()
    asked = list(hydra.overrides.task)
    if hydra.mode != RunMode.MULTIRUN:
        return wanted or run_name(asked)
    swept = os.environ.get(SWEPT, "").split(",")
    name = run_name([one for one in asked if one.lstrip("+").split("=")[0] in swept], number=hydra.job.num)
    return f"{wanted}-{name}" if wanted else name


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
