"""fishnet evaluate: a checkpoint on a folder, measured as a test set: figures with intervals, confusions, heat-maps."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from fishnet.errors import BadInput

from .checks import validate
from .entry import start

log = logging.getLogger("fishnet")


def evaluate(config: DictConfig) -> dict[str, float]:
    """The whole folder (part=all), or the part of it that a split file or the settings call the test set."""
    validate(config)
    if config.part not in ("all", "train", "val", "test"):
        raise BadInput(f"part={config.part}: choose from all, train, val, test.")
    from hydra.utils import instantiate

    from . import building, pace, running
    from .loading import load_model

    building.quieten()
    watch = building.signal_watch()
    model = load_model(Path(config.checkpoint))
    data = instantiate(config.data, _convert_="all")
    data.speak(model.classes)
    data.tested = config.part
    for line in running.refused_lines(data):
        log.warning(line)
    pace.plainly(config)
    folder = running.make_folder(config, name="evaluate")
    logger = building.build_logger(config, data, model, folder=folder, run_id=None, command="evaluate")
    trainer = building.build_trainer(config, logger=logger, folder=folder, watch=watch)
    with running.opened(logger, config):
        building.write_records(config, data, folder, logger)
        trainer.test(model, datamodule=data, verbose=False)
    running.summary(trainer, folder=folder, logger=logger)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


if __name__ == "__main__":
    start(evaluate, "evaluate")
