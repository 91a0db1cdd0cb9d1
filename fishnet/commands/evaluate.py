"""fishnet evaluate: a checkpoint on a folder → metrics with intervals, confusions, heat-maps

Examples
  fishnet evaluate checkpoint=outputs/RUN/checkpoints/best.ckpt data.root=photos/lake
  fishnet evaluate checkpoint=best.ckpt data.root=photos/lake part=test data.split_file=outputs/RUN/split/split.csv
"""

import logging
from pathlib import Path
from typing import Annotated, Literal

from omegaconf import DictConfig

from fishnet.config.compose import job_folder
from fishnet.config.entry import start
from fishnet.config.validate import validate
from fishnet.ranges import AtLeast, FreeText

log = logging.getLogger("fishnet")

POSITION = 50  # in the list of `fishnet --help`


class Keys:
    """Types and ranges of the keys at the top."""

    checkpoint: FreeText
    part: Literal["all", "train", "val", "test"]
    seed: Annotated[int, AtLeast(0)]
    monitor: str
    name: FreeText | None
    out: FreeText | None


def evaluate(config: DictConfig) -> dict[str, float]:
    """The whole folder (part=all), or the part of it that a split file or the settings give."""
    validate(config, "evaluate")
    from hydra.utils import instantiate

    from fishnet.callbacks.guards import StopOnSignal
    from fishnet.config import building
    from fishnet.models.checkpoint import load_model
    from fishnet.runs import records, run
    from fishnet.runs.folders import is_first, run_folder
    from fishnet.runs.precision import force_fp32
    from fishnet.tracking import names
    from fishnet.tracking.store import check_store

    building.quieten()
    watch = StopOnSignal()
    checkpoint = Path(config.checkpoint).expanduser().absolute()
    model = load_model(checkpoint)
    data = instantiate(config.data, _convert_="all").for_model(classes=model.classes, part=config.part)
    data.check()
    force_fp32(config)
    name = f"evaluate-{data.root.name}"
    with run_folder(config.out, name=str(config.name or name), job=job_folder()) as folder:
        if is_first() and not config.tracking.offline:
            check_store(config.tracking.uri, home=Path.cwd())
        logger = building.build_logger(config, folder=folder, command="evaluate", name=name)
        logger.test_prefix = config.part
        trainer = building.build_trainer(config, logger=logger, folder=folder, watch=watch)
        for line in run.refused_lines(data):
            log.warning(line)
        with run.tracked_run(logger.start, config):
            records.write_records(config, data, folder, logger, command="evaluate")
            logger.set_tags({names.CHECKPOINT: str(checkpoint)})
            trainer.test(model, datamodule=data, verbose=False)
        run.print_summary(trainer, folder=folder, run_id=logger.run_id, measured=f"{config.data.root} ({config.part})")
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


if __name__ == "__main__":
    start(evaluate, "evaluate")
