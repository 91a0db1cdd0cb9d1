"""The run of a verb that measures and trains nothing: its folder, its records, its tracking."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig

from fishnet.data.datamodule import ImageFolderData
from fishnet.runs import records, run
from fishnet.runs.folders import run_folder
from fishnet.tracking import names
from fishnet.tracking.logger import MlflowLogger
from fishnet.tracking.store import check_store

from . import building
from .compose import job_folder

log = logging.getLogger("fishnet")


@contextmanager
def measuring_run(
    config: DictConfig, data: ImageFolderData, command: str, *, checkpoint: Path | None = None
) -> Iterator[tuple[Path, MlflowLogger]]:
    """The run's folder and logger, from its records to its final status.

    Args:
        config: of the verb.
        data: whose photos are measured.
        command: the verb.
        checkpoint: of the model that is asked, if there is one.
    """
    name = f"{command}-{data.root.name}"
    with run_folder(config.out, name=str(config.name or name), job=job_folder()) as folder:
        if not config.tracking.offline:
            check_store(config.tracking.uri, home=Path.cwd())
        logger = building.build_logger(config, folder=folder, command=command, name=name)
        for line in run.refused_lines(data):
            log.warning(line)
        with run.tracked_run(logger.start, config):
            records.write_records(config, data, folder, logger, command=command)
            if checkpoint is not None:
                logger.set_tags({names.CHECKPOINT: str(checkpoint)})
            yield folder, logger
