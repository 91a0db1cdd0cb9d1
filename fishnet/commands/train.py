"""fishnet train: data, model, callbacks, run, trainer; fit, measure, report."""

import logging
from collections.abc import Callable

from omegaconf import DictConfig

from .checks import validate
from .entry import start

log = logging.getLogger("fishnet")


def train(config: DictConfig) -> dict[str, float]:
    """One run from configuration to figures; what can be refused is refused before the run exists."""
    validate(config)
    if config.prefetch:
        return _prefetch(config)
    import pytorch_lightning as L
    from hydra.utils import instantiate

    from . import building, pace, running
    from .resuming import resumed

    building.quieten()
    config, checkpoint, run_id = resumed(config)
    watch = building.signal_watch()
    L.seed_everything(config.seed, verbose=False)
    data = instantiate(config.data, _convert_="all")
    running.announce(data)
    model = instantiate(config.model, _convert_="all")(classes=data.classes)
    measured = pace.settle(config, model)
    folder = running.make_folder(config, name=config.model.backbone, resumed=checkpoint is not None)
    logger = building.build_logger(config, data, model, folder=folder, run_id=run_id, command="train")
    trainer = building.build_trainer(config, logger=logger, folder=folder, watch=watch)
    with running.opened(logger, config):
        building.write_records(config, data, folder, logger)
        logger.set_tags({"fishnet.precision": measured or config.trainer.precision})
        trainer.fit(model, datamodule=data, ckpt_path=checkpoint)
        running.measure(trainer, model, data, logger=logger, test=config.test)
    running.summary(trainer, folder=folder, logger=logger)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def _prefetch(config: DictConfig) -> dict[str, float]:
    from fishnet.models.backbones import prefetch

    log.info("%s: weights are in the cache (from %s)", config.model.backbone, prefetch(config.model.backbone))
    return {}


def sweep(base: DictConfig, overrides: list[str], run_jobs: Callable[[], object]) -> None:
    """A parent run, one child a job; the parent keeps the mean over the children."""
    from .sweeping import parent_run

    with parent_run(base, overrides):
        run_jobs()


if __name__ == "__main__":
    start(train, "train", sweep=sweep)
