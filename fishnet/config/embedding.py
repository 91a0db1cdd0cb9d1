"""The run of an embedding: its folder, its records, its tracking."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig

from fishnet.data.datamodule import ImageFolderData
from fishnet.runs import records, run
from fishnet.runs.folders import run_folder
from fishnet.tracking.logger import MlflowLogger
from fishnet.tracking.store import check_store

from . import building
from .compose import job_folder

log = logging.getLogger("fishnet")


@contextmanager
def embedding_run(config: DictConfig, data: ImageFolderData) -> Iterator[tuple[Path, MlflowLogger]]:
    """The folder and the logger, from the run's records to its final status."""
    name = f"embed-{data.root.name}"
    with run_folder(config.out, name=str(config.name or name), job=job_folder()) as folder:
        if not config.tracking.offline:
            check_store(config.tracking.uri, home=Path.cwd())
        logger = building.build_logger(config, folder=folder, command="embed", name=name)
        for line in run.refused_lines(data):
            log.warning(line)
        with run.tracked_run(logger.start, config):
            records.write_records(config, data, folder, logger, command="embed")
            yield folder, logger
