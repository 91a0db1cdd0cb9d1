"""fishnet train: class folders → a trained, measured, explained and tracked classifier

Examples
  fishnet train experiment=demo                                  the drawn reef, minutes on two cores
  fishnet train data=folder data.root=photos/lake                your own class folders
  fishnet train data=folder data.root=lake model.backbone=resnet50 model.pretrained=true model.freeze=backbone
  fishnet train experiment=fine_tune data.root=photos/lake       100 to 5,000 photos: all layers, from a fitted last one
  fishnet train -m model.lr=0.1,0.01,0.001 experiment=demo       a parent run and three children
  fishnet train -m data.folds=5 'data.fold=range(0,5)'           five folds
  fishnet train tune=lr data=folder data.root=photos/lake        a learning-rate range test: which lr?
  fishnet train experiment=fox_gan data.root=photos/wild data.classes=[fox]   a GAN that draws photos of one class
  fishnet train resume=RUN_ID                                    go on where a run stopped
  fishnet train data=folder data.root=lake --cfg job             show the configuration, run nothing
"""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from omegaconf import DictConfig

from fishnet.config.compose import job_folder, swept_keys
from fishnet.config.entry import start
from fishnet.config.gan_checks import is_gan
from fishnet.config.settling import settle, settle_fit, warn_of_frozen
from fishnet.config.validate import check_fixed_views, check_head, check_weights, validate
from fishnet.environment import keep_freed_memory
from fishnet.ranges import FreeText, Seed

if TYPE_CHECKING:
    from fishnet.data.datamodule import ImageFolderData

log = logging.getLogger("fishnet")

POSITION = 30  # in the list of `fishnet --help`


class Keys:
    """Types and ranges of the keys at the top."""

    seed: Annotated[int, Seed]
    monitor: str
    test: bool
    resume: FreeText | None
    tune: Literal["lr"] | None
    prefetch: bool
    logger: Literal["mlflow", "csv", "tensorboard", "wandb", "none"]
    packages: list[str]
    name: FreeText | None
    out: FreeText | None


def train(config: DictConfig) -> dict[str, float]:
    """One run from configuration to figures; what can be refused is refused before the photos are read."""
    validate(config, "train")
    keep_freed_memory()
    if config.prefetch:
        return _prefetch(config)
    if not is_gan(config):
        check_weights(config.model)
        settle(config)
        check_fixed_views(config)
        check_head(config)
    import pytorch_lightning as L

    from fishnet.callbacks.guards import StopOnSignal
    from fishnet.config import building
    from fishnet.config.resuming import resumed
    from fishnet.runs import lr_range, page, records, run
    from fishnet.runs.folders import is_first, run_folder
    from fishnet.runs.forecast import forecast
    from fishnet.runs.precision import choose_precision, use_gpu
    from fishnet.runs.resume import check_classes
    from fishnet.tracking import names
    from fishnet.tracking.store import check_store

    building.quieten()
    config, checkpoint, run_id = resumed(config)
    building.check_logger(config)
    watch = StopOnSignal()  # from here on a signal ends the run in good order
    L.seed_everything(config.seed, verbose=False)
    data, gan = building.build_data(config), is_gan(config)
    if checkpoint is not None:
        check_classes(checkpoint, data.class_names, root=config.data.root, resume=config.resume)
    data.check()
    model = network(config, data, goes_on=checkpoint is not None)
    name, job = str(config.name or config.model.get("backbone", "gan")), job_folder()
    with run_folder(config.out, name=name, job=job, resumable=True, resumed=checkpoint is not None) as folder:
        if is_first() and not config.tracking.offline:
            check_store(config.tracking.uri, home=Path.cwd())
        precision_reason = choose_precision(config, model)
        if config.tune:
            lr_range.configure(config, photos=len(data.rows("train")))
        logger = building.build_logger(config, folder=folder, command="train", run_id=run_id, checkpoint=checkpoint)
        trainer = building.build_trainer(config, logger=logger, folder=folder, watch=watch, checkpoint=checkpoint)
        run.announce(data)
        if not gan:
            settle_fit(config, data, model)
        with run.stopped_in_words(folder, config), run.tracked_run(logger.start, config):
            records.write_records(config, data, folder, logger)
            logger.set_tags(
                {names.PRECISION: precision_reason or config.trainer.precision, **building.parameter_tags(model)}
            )
            if not (config.tune or gan or checkpoint) and is_first() and not use_gpu(config):
                forecast(config, model, learned=len(data.rows("train")), answered=len(data.rows("val")))
            tested = run.step_of(folder / "checkpoints" / "best.ckpt") if checkpoint else None
            trainer.fit(model, datamodule=data, ckpt_path=checkpoint)
            if config.tune:
                return lr_range.report_rate(trainer, folder=folder, logger=logger)
            if gan:
                best = run.keep_best(trainer, logger)
            else:
                best = run.measure(trainer, model, data, logger=logger, test=config.test, tested=tested)
            made = page.write_page(folder, data, model, logger, command="train", best=best) if is_first() else None
        sent = None if config.tracking.offline else logger.run_id
        run.print_summary(trainer, folder=folder, run_id=sent, measured="test set", page=made)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def network(config: DictConfig, data: "ImageFolderData", *, goes_on: bool) -> Any:
    """The classifier or GAN to train, which can take the photos; what cannot is refused.

    Args:
        config: of the run.
        data: its photos, none of which is read.
        goes_on: whether a checkpoint brings the weights.
    """
    from fishnet.config import building
    from fishnet.config.hydra_internals import instantiate
    from fishnet.runs import run
    from fishnet.runs.precision import require_float32

    build = partial(instantiate(config.model, _convert_="all"), classes=data.class_names)
    if is_gan(config):
        require_float32(config, "a GAN is trained")
        run.warn_of_few(data)
        return build()
    bring_weights(config.model)
    warn_of_frozen(config)
    if config.model.pretrained is True and not goes_on:
        text = "%s begins with its published weights; model.pretrained=false draws new ones."
        log.info(text, config.model.backbone)
    model = build()
    building.check_model(model, config)
    return model


def bring_weights(model: DictConfig) -> None:
    """Published weights that are not on this machine yet are fetched, or refused where they cannot be."""
    if model.pretrained is not True:
        return
    from fishnet.models.backbones import check_name, prefetch
    from fishnet.models.published import has_trace

    check_name(model.backbone, published=True)
    check_weights(model)
    if not has_trace(model.backbone):
        log.info("Fetching the weights of %s, once for this machine.", model.backbone)
        prefetch(model.backbone)


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
