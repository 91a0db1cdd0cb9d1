"""fishnet train: data, model, callbacks, run, trainer; fit, measure, report."""

import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from fishnet.errors import BadInput, Interrupted, WorkFailed

from .checks import validate
from .entry import start

if TYPE_CHECKING:
    import pytorch_lightning as L

    from fishnet.data.datamodule import ImageFolderData
    from fishnet.models.classifier import ImageClassifier

log = logging.getLogger("fishnet")

FOLDER = "FISHNET_RUN_FOLDER"  # tells the run's folder to the processes that Lightning starts
PARENT = "FISHNET_PARENT_RUN"


def train(config: DictConfig) -> dict[str, float]:
    """One run from configuration to figures; everything that can be refused is refused before the run exists."""
    validate(config)
    if config.prefetch:
        return _prefetch(config)
    import pytorch_lightning as L
    from hydra.utils import instantiate

    from .resuming import resumed

    config, checkpoint, run_id = resumed(config)
    L.seed_everything(config.seed, verbose=False)
    data: ImageFolderData = instantiate(config.data, _convert_="all")
    _tell(data)
    model = instantiate(config.model, _convert_="all")(classes=data.classes)
    folder = _folder(config, checkpoint)
    logger = _logger(config, data, model, folder, run_id)
    callbacks = _callbacks(config)
    trainer: L.Trainer = instantiate(
        config.trainer, _convert_="all", callbacks=callbacks, logger=logger, default_root_dir=str(folder), plugins=_durable()
    )
    try:
        with _quiet():
            trainer.fit(model, datamodule=data, ckpt_path=checkpoint)
            figures = measure(trainer, model, data, test=config.test)
    except BaseException as error:
        logger.finish("KILLED" if isinstance(error, (Interrupted, KeyboardInterrupt)) else "FAILED")
        _hint(error, config)
        raise
    logger.finish("FINISHED")
    _summary(trainer, figures, folder, logger)
    return figures
