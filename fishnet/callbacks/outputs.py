"""Shared by several callbacks: the predictions of an evaluation, gathered once, and files handed to the trackers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytorch_lightning as L
from PIL import Image
from pytorch_lightning.loggers import CSVLogger, MLFlowLogger, TensorBoardLogger

from fishnet.files import replacing
from fishnet.measure.predictions import Predictions, gathered, on_cpu


class UsesPredictions(L.Callback):
    """A callback that needs the predictions of the whole `trainer.validate` or `trainer.test`.

    The first such callback of a trainer collects them for all, and they are gathered over the processes once.
    """

    def __init__(self) -> None:
        super().__init__()
        self._outputs: list[dict[str, np.ndarray]] = []
        self._gathered: Predictions | None = None

    def predictions(self, trainer: L.Trainer) -> Predictions:
        """At the end of the epoch; all processes must call it together."""
        collector = self._collector(trainer)
        if collector._gathered is None:
            collector._gathered, collector._outputs = gathered(collector._outputs), []
        return collector._gathered

    def _collector(self, trainer: L.Trainer) -> "UsesPredictions":
        return next(callback for callback in trainer.callbacks if isinstance(callback, UsesPredictions))  # type: ignore[attr-defined]

    def _collect(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0) -> None:
        known = isinstance(outputs, dict) and {"index", "label", "logits"} <= {*outputs}  # else somebody else's module
        if known and trainer.state.fn in ("validate", "test") and self._collector(trainer) is self:
            self._outputs.append(on_cpu(outputs))

    def _forget(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._outputs, self._gathered = [], None

    on_validation_batch_end = on_test_batch_end = _collect
    on_validation_epoch_start = on_test_epoch_start = on_validation_end = on_test_end = _forget


def log_artifacts(trainer: L.Trainer, source: Path, path: str) -> None:
    """Hand a file or a folder to every tracker that takes files, to be kept under `path`: ours, Lightning's for MLflow,
    and, of pictures, its for TensorBoard. A CSV logger's folder holds them already."""
    for logger in trainer.loggers:
        if hasattr(logger, "log_artifacts"):
            logger.log_artifacts(source, path)
        elif isinstance(logger, MLFlowLogger):
            send = logger.experiment.log_artifacts if source.is_dir() else logger.experiment.log_artifact
            send(logger.run_id, str(source), path)
        elif isinstance(logger, TensorBoardLogger) and source.suffix == ".jpg":
            with Image.open(source) as picture:
                pixels, tag = np.asarray(picture.convert("RGB")), f"{path}/{source.stem}"
            logger.experiment.add_image(tag, pixels, trainer.global_step, dataformats="HWC")


def run_folder(trainer: L.Trainer) -> Path:
    """Where a run keeps its files: the folder of a TensorBoard or CSV logger's version, else the trainer's own.

    Not `trainer.log_dir`, for which all processes have to ask together.
    """
    logger = trainer.logger
    if isinstance(logger, (TensorBoardLogger, CSVLogger)):
        return Path(logger.log_dir)
    return Path(trainer.default_root_dir)


def write_artifact(trainer: L.Trainer, file: str, write: Callable[[Path], object]) -> None:
    """Write a file in the run's folder, whole or not at all, and hand it to the trackers."""
    path = run_folder(trainer) / file
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        write(temporary)
    log_artifacts(trainer, path, Path(file).parent.as_posix())
