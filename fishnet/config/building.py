"""Configuration → the objects of a run: model, trainer, logger, each with what the run needs of it."""

import logging
import os
import warnings
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytorch_lightning as L
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from fishnet.callbacks.checkpoints import DurableCheckpointIO
from fishnet.callbacks.guards import FiniteNumbers, SeededSteps, StopOnSignal
from fishnet.callbacks.lightning_internals import steps_taken
from fishnet.callbacks.logistic import LogisticHead
from fishnet.callbacks.progress import RunBar
from fishnet.callbacks.report import Curves, EpochLines, Speed
from fishnet.data.datamodule import ImageFolderData
from fishnet.environment import PARENT_RUN, SWEPT_KEYS
from fishnet.errors import BadInput
from fishnet.models.checkpoint import newest, read_checkpoint
from fishnet.models.classifier import ImageClassifier
from fishnet.models.isolation import accepts_size, learns_from_one_photo, rng_preserved
from fishnet.runs.records import run_tags
from fishnet.tracking import names
from fishnet.tracking.logger import MlflowLogger
from fishnet.tracking.metric_table import metric_table
from fishnet.tracking.runs import run_name

from .gan_checks import is_gan
from .hydra_internals import instantiate
from .validate import OWN_KEYS

log = logging.getLogger("fishnet")

IN_SUBJECT = ("data", "data.root", "data.classes", "model.backbone", "model.backbone_args", "model.freeze",
              "model.pretrained", "model")  # fmt: skip
# precisions in which the weights themselves are other numbers
WHOLLY_OTHER = (
    *("16-true", "16", "bf16-true", "bf16", "64-true", "64"),
    *("transformer-engine", "transformer-engine-float16"),
)


def quieten() -> None:
    """Lightning's advice that does not apply here; anything else it warns of is still shown."""
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.WARNING)
    advice = (
        "isinstance.treespec",
        "The number of training batches",
        "The '.*dataloader' does not have many",
        "Found .* module.* in eval mode",
        "exists and is not empty",  # a run's own folder
        "sync_dist=True",  # torchmetrics has synchronised these already
    )
    for message in advice:
        warnings.filterwarnings("ignore", message=f".*{message}")


def build_trainer(
    config: DictConfig, *, logger: MlflowLogger, folder: Path, watch: StopOnSignal, checkpoint: str | None = None
) -> L.Trainer:
    """Lightning's own trainer; guards are always on, other callbacks come from the configuration. A resumed run goes on
    from its `checkpoint`."""
    chosen = [instantiate(node, _convert_="all") for node in config.callbacks.values() if node is not None]
    guards: list[L.Callback] = [SeededSteps(seed=config.seed), watch]
    if not config.get("tune"):  # the loss of a range test is meant to run away, and its epochs mean nothing
        guards += [FiniteNumbers(), Speed(), EpochLines(), Curves()]
    if config.trainer.enable_progress_bar:
        guards.append(RunBar())
    if config.trainer.precision in WHOLLY_OTHER:
        raise BadInput(
            f"trainer.precision={config.trainer.precision} changes the weights themselves, and a model is measured in "
            "float32: say 32-true, bf16-mixed or 16-mixed, or leave it to auto."
        )
    settings = OmegaConf.create({key: value for key, value in config.trainer.items() if key not in OWN_KEYS})
    if settings.get("check_val_every_n_epoch"):  # a run that ends before its first validation would keep no best epoch
        settings.check_val_every_n_epoch = min(settings.check_val_every_n_epoch, settings.max_epochs)
    try:
        return instantiate(settings, _convert_="all", _partial_=True)(
            callbacks=[*guards, *chosen, LogisticHead()],  # behind the features that it is fitted on
            logger=[logger, *more_loggers(config, folder, checkpoint)],
            default_root_dir=str(folder),
            plugins=[DurableCheckpointIO()],
            enable_progress_bar=False,  # RunBar is the program's own
        )
    except (MisconfigurationException, ValueError) as error:  # no such device, no such precision
        raise BadInput(f"trainer: {str(error).strip().splitlines()[0]}") from error


def check_logger(config: DictConfig) -> None:
    """Refuse a logger whose package is not here; `none` leaves what is reported in the run's folder."""
    package = {"tensorboard": "tensorboard", "wandb": "wandb"}.get(config.get("logger", "mlflow"))
    if package is not None and find_spec(package) is None:
        raise BadInput(f"logger={config.logger} needs the package {package}: `uv pip install {package}`.")
    if config.get("logger") == "none":
        config.tracking.offline = True


def more_loggers(config: DictConfig, folder: Path, checkpoint: str | None = None) -> list[Logger]:
    """The logger that `logger=` asks for beside MLflow's, which owns the run; it writes into the run's folder. What it
    has there of steps that the `checkpoint` does not know is taken away: they are trained again."""
    steps = None if checkpoint is None else steps_taken(read_checkpoint(Path(checkpoint)))
    match config.get("logger", "mlflow"):
        case "csv":
            return [metric_table(folder, steps)]
        case "tensorboard":
            return [TensorBoardLogger(str(folder), name="", version="tensorboard", purge_step=steps)]
        case "wandb":
            return [WandbLogger(project=config.tracking.experiment, name=folder.name, save_dir=str(folder))]
    return []


def is_earlier(checkpoint: Path, folder: Path) -> bool:
    """Whether a run of this folder has come further than the checkpoint."""
    last = newest(folder)
    return last is not None and steps_taken(read_checkpoint(last)) > steps_taken(read_checkpoint(checkpoint))


def build_data(config: DictConfig) -> ImageFolderData:
    """The photos of the run; of a single class, where that is all there is to learn."""
    data = instantiate(config.data, _convert_="all")
    data.order_seed = config.seed  # a study fixes data.seed: repeats share the split, not the order of photos
    if is_gan(config):
        data.folder = replace(data.folder, fewest=1)
    return data


def check_model(model: ImageClassifier, config: DictConfig) -> None:
    """Try the network on a blank photo: what cannot take photos of this size is refused before they are read."""
    size, batch = model.preprocessing.size, int(config.data.batch_size)
    try:
        with rng_preserved():
            accepts_size(model, size)
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


def parameter_tags(model: L.LightningModule) -> dict[str, int]:
    """Tags: how many numbers the network holds, and how many of them learn."""
    parameters = list(model.parameters())
    return {
        names.PARAMETERS: sum(weight.numel() for weight in parameters),
        names.PARAMETERS_TRAINED: sum(weight.numel() for weight in parameters if weight.requires_grad),
    }


def build_logger(
    config: DictConfig, *, folder: Path, command: str, name: str | None = None, run_id: str | None = None,
    checkpoint: str | None = None,
) -> MlflowLogger:  # fmt: skip
    """The run's logger, with its name and tags; nothing exists in the store before the run is opened. A resumed run has
    its `run_id`, and the `checkpoint` from which it goes on."""
    return instantiate(
        config.tracking,
        run_name=choose_name(config, name),
        home=str(Path.cwd()),
        folder=str(folder),
        run_id=run_id,
        again=checkpoint is not None and is_earlier(Path(checkpoint), folder / "checkpoints"),
        parent=os.environ.get(PARENT_RUN),
        tags=run_tags(config, folder, command),
    )


def choose_name(config: DictConfig, name: str | None) -> str:
    """The name that was given, or what is trained on what; of a sweep's job what differs, with its number in front.

    Args:
        config: of the run; `config.name` wins.
        name: of a verb that trains nothing.
    """
    hydra, wanted = HydraConfig.get(), config.name or name
    typed = {text.lstrip("+").split("=")[0]: text for text in hydra.overrides.task}
    if hydra.mode != RunMode.MULTIRUN:
        return wanted or run_name([typed[key] for key in typed if key not in IN_SUBJECT], subject=subject_of(config))
    swept = os.environ.get(SWEPT_KEYS, "").split(",")
    job = run_name([typed[key] for key in typed if key in swept], number=hydra.job.num)
    return f"{wanted} {job}" if wanted else job


def subject_of(config: DictConfig) -> str:
    """`lake resnet50 frozen`, `reef cnn`, `fox GAN`: photos and network."""
    photos = Path(str(config.data.root)).expanduser().absolute().name if config.data.root != "data" else "reef"
    if is_gan(config):
        return f"{' '.join(config.data.classes)} GAN"
    frozen = {"none": "", "backbone": "frozen"}.get(str(config.model.freeze), f"frozen to stage {config.model.freeze}")
    return " ".join(filter(None, [photos, config.model.backbone, frozen]))
