"""fishnet train: data, model, callbacks, run, trainer; fit, measure, report."""

import logging
from collections.abc import Callable
from pathlib import Path

from omegaconf import DictConfig

from fishnet.config.entry import job_folder, start, swept_keys
from fishnet.config.validate import check_fixed_views, check_weights, validate

log = logging.getLogger("fishnet")


def train(config: DictConfig) -> dict[str, float]:
    """One run from configuration to figures; what can be refused is refused before the photos are read."""
    validate(config)
    if config.prefetch:
        return _prefetch(config)
    check_weights(config.model)
    check_fixed_views(config)
    import pytorch_lightning as L
    from hydra.utils import instantiate

    from fishnet.config import building
    from fishnet.config.resuming import resumed
    from fishnet.runs import lr_range as tuning
    from fishnet.runs import precision as pace
    from fishnet.runs import records, running
    from fishnet.runs.folders import is_first, run_folder
    from fishnet.runs.resume import check_classes
    from fishnet.tracking.store import check_store

    building.quieten()
    config, checkpoint, run_id = resumed(config)
    watch = building.signal_watch()
    L.seed_everything(config.seed, verbose=False)
    data = instantiate(config.data, _convert_="all")
    if checkpoint is not None:
        check_classes(checkpoint, data.class_names, root=config.data.root, resume=config.resume)
    data.check()
    model = building.build_model(config, data.class_names)
    name, job = str(config.name or config.model.backbone), job_folder()
    with run_folder(config.out, name=name, job=job, resumable=True, resumed=checkpoint is not None) as folder:
        if is_first() and not config.tracking.offline:
            check_store(config.tracking.uri, home=Path.cwd())
        arithmetic = pace.settle(config, model)
        if config.tune:
            tuning.arrange(config, photos=len(data.rows("train")))
        logger = building.build_logger(config, folder=folder, command="train", run_id=run_id)
        trainer = building.build_trainer(config, logger=logger, folder=folder, watch=watch)
        running.announce(data)
        with running.opened(logger, config):
            records.write_records(config, data, folder, logger)
            logger.set_tags({"fishnet.precision": arithmetic or config.trainer.precision, **building.size_of(model)})
            trainer.fit(model, datamodule=data, ckpt_path=checkpoint)
            if config.tune:
                return tuning.told(trainer, folder=folder, logger=logger)
            running.measure(trainer, model, data, logger=logger, test=config.test)
        running.summary(trainer, folder=folder, logger=logger, measured="test set")
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def _prefetch(config: DictConfig) -> dict[str, float]:
    from fishnet.models.published import check_fetchable

    check_fetchable(config.model.backbone)
    from fishnet.models.backbones import prefetch

    log.info("%s: weights are in the cache (from %s)", config.model.backbone, prefetch(config.model.backbone))
    return {}


def sweep(base: DictConfig, overrides: list[str], run_jobs: Callable[[], object]) -> None:
    """A parent run, one child a job; the parent keeps the mean over the children."""
    from fishnet.runs.sweep import parent_run

    with parent_run(base, swept_keys(overrides)):
        run_jobs()


if __name__ == "__main__":
    start(train, "train", sweep=sweep)
