"""The steps of a run that are more than one call: what was found, its figures, its last words."""

import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytorch_lightning as L
import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from fishnet.callbacks.checkpoints import BestCheckpoint
from fishnet.callbacks.report import Report
from fishnet.data.datamodule import ImageFolderData
from fishnet.data.folder import PhotoFolder
from fishnet.data.index_cache import state_folder
from fishnet.errors import Interrupted, WorkFailed, disk_trouble
from fishnet.measure.bootstrap import Interval
from fishnet.models.bundle import keep_model
from fishnet.models.checkpoint import read_checkpoint, write_checkpoint
from fishnet.models.classifier import ImageClassifier
from fishnet.text import counted
from fishnet.tracking.logger import MlflowLogger
from fishnet.tracking.session import RunSession
from fishnet.tracking.stale import tidy

log = logging.getLogger("fishnet")

BEST = ("val/f1_macro", "val/accuracy", "val/loss")


def announce(data: ImageFolderData) -> None:
    """What was found in the folder, and what of it should worry."""
    parts = data.assignment.value_counts()
    log.info(
        "%s of %s in %s: %s",
        counted(len(data.table), "photo"),
        f"{len(data.classes)} classes",
        counted(data.table.group.nunique(), "group"),
        ", ".join(f"{parts.get(part, 0)} {part}" for part in ("train", "val", "test")),
    )
    for warning in data.index.warnings:
        log.warning("warning: %s", warning)
    for line in refused_lines(data):
        log.warning(line)


def refused_lines(data: ImageFolderData | PhotoFolder, most: int = 10) -> list[str]:
    """The photos that could not be read, with the reasons."""
    refused = data.index.refused
    if not len(refused):
        return []
    lines = [f"{counted(len(refused), 'photo')} cannot be read and left out:"]
    lines += [f"  {row.path}: {row.reason}" for row in refused.head(most).itertuples()]
    return lines + ([f"  and {len(refused) - most} more"] if len(refused) > most else [])


@contextmanager
def opened(logger: MlflowLogger, config: DictConfig) -> Iterator[None]:
    """The run exists from here on and gets its last word, whatever comes; what died before it is closed first."""
    session = logger.start()
    try:
        if isinstance(session, RunSession):
            for sentence in tidy(session.store, Path.cwd() / "outputs"):
                log.info(sentence)
        yield
    except BaseException as error:
        logger.finish("KILLED" if isinstance(error, (Interrupted, KeyboardInterrupt)) else "FAILED")
        cured = in_words(error, config)
        if cured is error:
            raise
        raise cured from error
    logger.finish("FINISHED")


def measure(
    trainer: L.Trainer, model: ImageClassifier, data: ImageFolderData, *, logger: MlflowLogger, test: bool
) -> None:
    """The best epoch's weights, a temperature fitted on validation, then (once) the test set."""
    best = next((c for c in trainer.callbacks if isinstance(c, BestCheckpoint)), None)  # type: ignore[attr-defined]
    checkpoint = read_checkpoint(Path(best.best_model_path)) if best and best.best_model_path else None
    if checkpoint:
        model.load_state_dict(checkpoint["state_dict"])
    trainer.validate(model, datamodule=data, verbose=False)
    if best and checkpoint and trainer.is_global_zero:
        checkpoint["state_dict"]["temperature"] = model.temperature.detach().cpu()
        write_checkpoint(checkpoint, Path(best.best_model_path))
        figures = {f"best/{k.replace('/', '_', 1)}": float(v) for k, v in trainer.callback_metrics.items() if k in BEST}
        logger.log_metrics({**figures, "epoch": checkpoint["epoch"]}, step=checkpoint["global_step"])
        keep_model(checkpoint, Path(trainer.default_root_dir) / "model", logger)
    if test:
        trainer.test(model, datamodule=data, verbose=False)


def in_words(error: BaseException, config: DictConfig) -> BaseException:
    """An error that has a known cure says it."""
    if isinstance(error, torch.OutOfMemoryError):
        size, window = int(config.data.batch_size), int(config.trainer.accumulate_grad_batches)
        return WorkFailed(
            f"the GPU ran out of memory at data.batch_size={size}: try data.batch_size={max(1, size // 2)} "
            f"trainer.accumulate_grad_batches={window * 2}, which trains alike."
        )
    return (disk_trouble(error) if isinstance(error, OSError) else None) or error


def summary(trainer: L.Trainer, *, folder: Path, logger, measured: str) -> None:
    """The last thing on the screen: figures with their intervals, and where to look."""
    if not trainer.is_global_zero:
        return
    report = next((c for c in trainer.callbacks if isinstance(c, Report)), None)  # type: ignore[attr-defined]
    console = Console(width=None if os.isatty(1) else 100)
    if report is not None and report.intervals:
        console.print(figure_table(report.intervals, measured))
    for label, place in (("checkpoint", "checkpoints/best.ckpt"), ("report", "report"), ("heat-maps", "gradcam")):
        if (folder / place).exists():
            console.print(f"{label:12s}{folder / place}", soft_wrap=True, highlight=False)
    refused = len(trainer.datamodule.index.refused)  # type: ignore[attr-defined]
    if refused:
        listed = state_folder(trainer.datamodule.root) / "refused.csv"  # type: ignore[attr-defined]
        console.print(
            f"{'left out':12s}{counted(refused, 'photo')}, listed with reasons in {listed}",
            soft_wrap=True,
            highlight=False,
        )
    console.print(f"{'run':12s}{logger.run_id}  ·  fishnet compare  ·  fishnet ui", soft_wrap=True, highlight=False)


def figure_table(intervals: dict[str, Interval], measured: str) -> Table:
    """Where nothing was drawn again (resamples=0, or a single group) there is no interval to show."""
    drawn = any(math.isfinite(found.low) for found in intervals.values())
    table = Table(title=f"{measured}: value{' and 95 % interval over groups' if drawn else ''}")
    table.add_column("figure")
    table.add_column("value", justify="right")
    if drawn:
        table.add_column("95 % interval", justify="right")
    for name, (value, low, high) in intervals.items():
        table.add_row(name, f"{value:.3f}", *([f"{low:.3f} – {high:.3f}"] if drawn else []))
    return table
