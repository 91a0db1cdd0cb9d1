"""A run from its opening to its summary: what was read, its final status, its measurement, where to look."""

import logging
import math
import os
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as L
import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from fishnet.callbacks.checkpoints import BestCheckpoint
from fishnet.callbacks.logistic import LogisticHead
from fishnet.callbacks.report import Report
from fishnet.data.datamodule import ImageFolderData
from fishnet.data.folder import PhotoFolder
from fishnet.data.index import state_folder
from fishnet.errors import Interrupted, WorkFailed, disk_trouble
from fishnet.measure.intervals import Interval
from fishnet.measure.metrics import shown_in
from fishnet.measure.report import TestReport
from fishnet.models.checkpoint import newest, read_checkpoint, write_checkpoint
from fishnet.models.classifier import ImageClassifier
from fishnet.models.run_model import keep_model
from fishnet.text import counted, reasons_in_lines
from fishnet.tracking.logger import MlflowLogger
from fishnet.tracking.session import Reports, open_run

from .folders import is_first
from .precision import float32
from .saved_config import other_packages

log = logging.getLogger("fishnet")

FEW = 50  # photos of a class, below which a GAN mostly learns by heart
REFITTED = "refitted"  # of a checkpoint: its layer has learned from validation photos, after these were measured
WORKER_DIED = re.compile(r"killed by signal: [^.]+|exited unexpectedly")  # of PyTorch's message
BEST_KEYS = [f"val/{metric.name}" for metric in shown_in("best")]


@contextmanager
def tracked_run(start: Callable[[], Reports | None], config: DictConfig) -> Iterator[None]:
    """Open the run and end it with its final status, however the block ends; a known failure says what to try."""
    with open_run(start, outputs=Path.cwd() / "outputs"):
        try:
            yield
        except BaseException as error:
            cured = as_known_failure(error, config)
            if cured is error:
                raise
            raise cured from error


@contextmanager
def stopped_in_words(folder: Path, config: DictConfig) -> Iterator[None]:
    """A training that is stopped by the user ends with a sentence: what is kept, and the command that goes on.

    The command repeats what is not believed of the folder's own configuration: the store, and packages of the user's.
    """
    try:
        yield
    except Interrupted:
        kept = newest(folder / "checkpoints") if is_first() else None
        if kept is not None:
            step = read_checkpoint(kept)["global_step"]
            shown = os.path.relpath(folder) if folder.is_relative_to(Path.cwd()) else str(folder)
            again = [f"resume={shown}"]
            if config.tracking.uri and not config.tracking.offline:
                again.append(f"tracking.uri={config.tracking.uri}")
            if own := other_packages(OmegaConf.to_container(config, resolve=False)):
                again.append(f"packages=[{','.join(own)}]")
            command = shlex.join(["fishnet", "train", *again])
            log.info(
                "Stopped: %s of training are kept in %s. Go on with: %s", counted(step, "step"), kept.name, command
            )
        elif is_first():
            log.info("Stopped before there was anything to keep.")
        raise


def as_known_failure(error: BaseException, config: DictConfig) -> BaseException:
    """A full GPU or disk, or a loading process that was killed, as a sentence that says what to try; any other error as
    it is."""
    if isinstance(error, torch.OutOfMemoryError):
        size, window = int(config.data.batch_size), int(config.trainer.accumulate_grad_batches)
        return WorkFailed(
            f"the GPU ran out of memory at data.batch_size={size}: try data.batch_size={max(1, size // 2)} "
            f"trainer.accumulate_grad_batches={window * 2}, which trains alike."
        )
    if isinstance(error, RuntimeError) and (death := WORKER_DIED.search(str(error))):
        return WorkFailed(
            f"a process that loads photos has died ({death[0]}): is there too little memory? Fewer of them "
            "(data.workers=1, or 0) need less."
        )
    return (disk_trouble(error) if isinstance(error, OSError) else None) or error


def announce(data: ImageFolderData) -> None:
    """Log what the folder holds, how it was split, and what of it should worry."""
    parts = data.assignment.value_counts()
    log.info(
        "%s of %s in %s: %s",
        counted(len(data.table), "photo"),
        counted(len(data.classes), "class"),
        counted(data.table.group.nunique(), "group"),
        ", ".join(f"{parts.get(part, 0)} {part}" for part in ("train", "val", "test")),
    )
    for warning in data.index.warnings:
        log.warning("warning: %s", warning)
    for line in refused_lines(data):
        log.warning(line)


def warn_of_few(data: ImageFolderData) -> None:
    """Say what to expect of a GAN where photos are few; the training goes on."""
    ((name, count),) = data.folder.counts().items()
    if count < FEW:
        log.warning(
            "warning: %s has %s, and a GAN needs %d or more: expect photos that are copies, or no photos at all.",
            *(name, counted(count, "photo"), FEW),
        )


def seen_lines(folder: PhotoFolder, part: str) -> list[str]:
    """What the model has to do with the photos that it is measured on; those that it learned from are a warning."""
    if folder.seen is None:
        return ["The checkpoint does not say which photos it was trained on: these may be among them."]
    seen = folder.table["seen"]
    measured = seen.iloc[folder.rows(part)]
    trained, chosen = int((measured == "train").sum()), int((measured == "val").sum())
    if trained or chosen:
        text = f"warning: of the {counted(len(measured), 'photo')} measured the model was trained on {trained}"
        return [
            f"{text} and chosen by {chosen}: these metrics say little about other photos (part=auto leaves them out)."
        ]
    trained, chosen = int((seen == "train").sum()), int((seen == "val").sum())
    if not trained + chosen:
        return [f"The model was trained on none of these {counted(len(seen), 'photo')}."]
    text = f"Of these {counted(len(seen), 'photo')} the model was trained on {trained} and chosen by {chosen}"
    others = f"measured {'is' if len(measured) == 1 else 'are'} {counted(len(measured), 'other')}"
    return [f"{text}: {others} (part=all measures everything)."]


def refused_lines(data: ImageFolderData | PhotoFolder, most: int = 10) -> list[str]:
    """The photos that could not be read, with the reasons."""
    refused = data.index.refused
    if not len(refused):
        return []
    lines = reasons_in_lines(refused[["path", "reason"]].itertuples(index=False), most=most)
    return [f"{counted(len(refused), 'photo')} cannot be read and left out:", *(f"  {line}" for line in lines)]


def keep_best(trainer: L.Trainer, logger: MlflowLogger) -> int | None:
    """Of a GAN: its best epoch, which is returned, becomes the run's model.

    Test photos are left alone, for judging what it draws.
    """
    best = next((c for c in trainer.callbacks if isinstance(c, BestCheckpoint)), None)  # type: ignore[attr-defined]
    if best is None or not best.best_model_path or not trainer.is_global_zero:
        return None
    checkpoint = read_checkpoint(Path(best.best_model_path))
    values = {f"best/{best.monitor.replace('/', '_', 1)}": float(best.best_model_score)}  # type: ignore[union-attr, arg-type]
    logger.log_metrics({**values, "epoch": checkpoint["epoch"]}, step=checkpoint["global_step"])
    keep_model(checkpoint, Path(trainer.default_root_dir) / "model", logger)
    return checkpoint["epoch"]


def step_of(checkpoint: Path) -> int | None:
    """How many steps of training made the checkpoint; None where there is none."""
    return read_checkpoint(checkpoint)["global_step"] if checkpoint.is_file() else None


def measure(
    trainer: L.Trainer, model: ImageClassifier, data: ImageFolderData, *, logger: MlflowLogger, test: bool,
    tested: int | None = None,
) -> int | None:  # fmt: skip
    """Load the weights of the best epoch, which is returned, fit the temperature on validation, then measure the test
    set once if `test`.

    `tested` is the step of the weights that were tested before the run went on; without a new test what was measured
    of them is taken out of the run's folder where others are the best now.
    """
    best = next((c for c in trainer.callbacks if isinstance(c, BestCheckpoint)), None)  # type: ignore[attr-defined]
    file = Path(best.best_model_path) if best and best.best_model_path else None
    checkpoint = read_checkpoint(file) if file else None
    with float32(trainer, model):
        if checkpoint:
            model.load_state_dict(checkpoint["state_dict"])
        if checkpoint and checkpoint.get(REFITTED):
            model.seen = data.seen_photos.with_validation()
            if trainer.is_global_zero:
                keep_model(checkpoint, Path(trainer.default_root_dir) / "model", logger)
        else:
            measure_validation(trainer, model, data, file, checkpoint, logger)
        if test:
            trainer.test(model, datamodule=data, verbose=False)
        elif trainer.is_global_zero and checkpoint and tested not in (None, checkpoint["global_step"]):
            forget_test(Path(trainer.default_root_dir))
            logger.withdraw_test(trainer.global_step)
    return checkpoint["epoch"] if checkpoint else None


def measure_validation(
    trainer: L.Trainer, model: ImageClassifier, data: ImageFolderData, file: Path | None,
    checkpoint: dict[str, Any] | None, logger: MlflowLogger,
) -> None:  # fmt: skip
    """Measure validation and fit the temperature; only then the layer may learn from those photos too, if it is to.

    What comes of it is written into the `checkpoint` of the best epoch, which is that of `file`.
    """
    model.measured_again = True
    trainer.validate(model, datamodule=data, verbose=False)
    model.measured_again = False
    if file and checkpoint and trainer.is_global_zero:
        checkpoint["state_dict"]["temperature"] = model.temperature.detach().cpu()
        write_checkpoint(checkpoint, file)
        values = trainer.callback_metrics  # val/f1_macro → best/val_f1_macro
        metrics = {f"best/{k.replace('/', '_', 1)}": float(values[k]) for k in BEST_KEYS if k in values}
        logger.log_metrics({**metrics, "epoch": checkpoint["epoch"]}, step=checkpoint["global_step"])
        keep_model(checkpoint, Path(trainer.default_root_dir) / "model", logger)
    if fitted_again(trainer, model, data) and file and checkpoint and trainer.is_global_zero:
        checkpoint[REFITTED] = True
        checkpoint["state_dict"] = {name: value.detach().cpu() for name, value in model.state_dict().items()}
        checkpoint["seen"] = model.seen.state() if model.seen is not None else None
        write_checkpoint(checkpoint, file)
        keep_model(checkpoint, Path(trainer.default_root_dir) / "model", logger)


def forget_test(folder: Path) -> None:
    """Take away what a run's folder says of its test photos: it is of other weights than the run has now."""
    files = [*(folder / "report" / name for name in TestReport.FILES), *(folder / "gradcam").glob("*.*")]
    if any(file.is_file() for file in files):
        for file in files:
            file.unlink(missing_ok=True)
        log.warning(
            "warning: the weights are not those that were tested before; the figures of that test are taken away, and "
            "fishnet evaluate measures these."
        )


def fitted_again(trainer: L.Trainer, model: ImageClassifier, data: ImageFolderData) -> bool:
    """Whether the classifier layer was fitted on validation photos too, which the model then has learned from."""
    logistic = next((c for c in trainer.callbacks if isinstance(c, LogisticHead)), None)  # type: ignore[attr-defined]
    if logistic is None or not logistic.refit(trainer, model):
        return False
    model.seen = data.seen_photos.with_validation()
    return True


def print_summary(
    trainer: L.Trainer, *, folder: Path, run_id: str | None, measured: str, page: Path | None = None
) -> None:
    """The end of the output: metrics with their intervals, and where to look, the page last. `measured` says on which
    photos."""
    if not trainer.is_global_zero:
        return
    console = Console(width=None if os.isatty(1) else 100)
    report = next((c for c in trainer.callbacks if isinstance(c, Report)), None)  # type: ignore[attr-defined]
    if report is not None and report.intervals:
        console.print(metric_table(report.intervals, measured))
    lines = {
        label: str(folder / path)
        for label, path in (
            *(("checkpoint", "checkpoints/best.ckpt"), ("heat-maps", "gradcam"), ("samples", "samples")),
        )
        if (folder / path).exists()
    }
    data: ImageFolderData = trainer.datamodule  # type: ignore[attr-defined]
    if refused := len(data.index.refused):
        listed = state_folder(data.root) / "refused.csv"
        lines["left out"] = f"{counted(refused, 'photo')}, listed with reasons in {listed}"
    if run_id is not None:
        lines["run"] = f"{run_id}  ·  fishnet compare  ·  fishnet ui"
    if page is not None or (folder / "report").exists():
        lines["report"] = str(page or folder / "report")
    for label, text in lines.items():
        console.print(f"{label:12s}{text}", soft_wrap=True, highlight=False)


def metric_table(intervals: dict[str, Interval], measured: str) -> Table:
    """A row a metric; without the column of intervals where none could be computed (a single group, resamples=0)."""
    has_intervals = any(math.isfinite(interval.low) for interval in intervals.values())
    table = Table(title=f"{measured}: value{' and 95 % interval over groups' if has_intervals else ''}")
    table.add_column("metric")
    table.add_column("value", justify="right")
    if has_intervals:
        table.add_column("95 % interval", justify="right")
    for name, (value, low, high) in intervals.items():
        table.add_row(name, f"{value:.3f}", *([f"{low:.3f} – {high:.3f}"] if has_intervals else []))
    return table
