"""fishnet evaluate: a checkpoint on a folder, measured as a test set: figures with intervals, confusions, heat-maps."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from fishnet.config.entry import job_folder, start
from fishnet.config.validate import validate

log = logging.getLogger("fishnet")


def evaluate(config: DictConfig) -> dict[str, float]:
    """The whole folder (part=all), or the part of it that a split file or the settings call the test set."""
    validate(config)
    from hydra.utils import instantiate

    from fishnet.config import building
    from fishnet.models.checkpoint import load_model
    from fishnet.runs import precision as pace
    from fishnet.runs import records, running
    from fishnet.runs.folders import is_first, run_folder
    from fishnet.tracking.store import check_store

    building.quieten()
    watch = building.signal_watch()
    checkpoint = Path(config.checkpoint).expanduser().absolute()
    model = load_model(checkpoint)
    data = instantiate(config.data, _convert_="all").for_model(classes=model.classes, part=config.part)
    data.check()
    pace.plainly(config)
    name = f"evaluate-{data.root.name}"
    with run_folder(config.out, name=str(config.name or name), job=job_folder()) as folder:
        logger = building.build_logger(config, folder=folder, command="evaluate", name=name)
        logger.call_test(config.part)
        trainer = building.build_trainer(config, logger=logger, folder=folder, watch=watch)
        if is_first():
            check_store(config.tracking.uri, home=Path.cwd())
        for line in running.refused_lines(data):
            log.warning(line)
        with running.opened(logger, config):
            records.write_records(config, data, folder, logger, command="evaluate")
            logger.set_tags({"fishnet.checkpoint": str(checkpoint)})
            trainer.test(model, datamodule=data, verbose=False)
        running.summary(trainer, folder=folder, logger=logger, measured=f"{config.data.root} ({config.part})")
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


if __name__ == "__main__":
    start(evaluate, "evaluate")
