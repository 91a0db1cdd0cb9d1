"""What a run shows of itself: a line, its speed and a row of its curves each epoch; at the end the temperature and the
test report."""

import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

import numpy as np
import pandas as pd
import pytorch_lightning as L

from fishnet.cells import defused_table
from fishnet.data.class_names import ClassNames
from fishnet.files import replacing
from fishnet.measure.calibration import calibration_error, fit_temperature
from fishnet.measure.intervals import Interval
from fishnet.measure.metrics import shown_in
from fishnet.measure.predictions import Predictions
from fishnet.measure.report import TestReport
from fishnet.models.checkpoint import BEFORE_TRAINING
from fishnet.models.interface import Classifier
from fishnet.ranges import AtLeast, check_ranges

from .outputs import UsesPredictions, log_artifacts, run_folder
from .progress import images_in

log = logging.getLogger("fishnet")


class Report(UsesPredictions):
    """`trainer.validate` fits the temperature; `trainer.test` writes `report/` into the run's folder.

    Args:
        resamples: how often groups are drawn again for the 95 % intervals of the losses; 0 leaves out all intervals.
    """

    def __init__(self, *, resamples: Annotated[int, AtLeast(0)] = 1000) -> None:
        super().__init__()
        check_ranges(Report.__init__, locals())
        self.resamples = resamples
        self.metrics: dict[str, float] = {}
        self.intervals: dict[str, Interval] = {}

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn != "validate":
            return
        predictions = self.predictions(trainer)
        temperature = trainer.strategy.broadcast(fit_temperature(predictions.logits, predictions.label))
        cast(Classifier, pl_module).temperature.fill_(temperature)
        if trainer.is_global_zero and len(predictions):
            # two models that saw the same validation photos can be compared photo by photo
            path = run_folder(trainer) / "report" / "validation.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            answers = self._report(trainer, pl_module, predictions, temperature).by_photo()
            with replacing(path) as temporary:
                defused_table(answers).to_csv(temporary, index=False)
            error = calibration_error(predictions.probabilities(temperature), predictions.label)
            self.metrics["val/calibration_error_scaled"] = error
            pl_module.log("val/calibration_error_scaled", error, rank_zero_only=True)

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        predictions = self.predictions(trainer)
        if not trainer.is_global_zero or not len(predictions):
            return
        report = self._report(trainer, pl_module, predictions, float(cast(Classifier, pl_module).temperature))
        folder = run_folder(trainer) / "report"
        report.write(folder)
        log_artifacts(trainer, folder, "report")
        self.intervals = report.intervals
        self.metrics |= {f"test/{name}": interval.value for name, interval in report.intervals.items()}
        self.metrics["test/calibration_error"] = report.calibration_before.error
        logged = {"test/calibration_error_scaled": report.calibration_after.error}
        for metric in shown_in("interval"):
            interval = report.intervals[metric.name]
            logged |= {f"test/{metric.name}_low": interval.low, f"test/{metric.name}_high": interval.high}
        logged = {name: value for name, value in logged.items() if np.isfinite(value)}
        self.metrics |= logged
        pl_module.log_dict(logged, rank_zero_only=True)

    def _report(
        self, trainer: L.Trainer, pl_module: L.LightningModule, predictions: Predictions, temperature: float
    ) -> TestReport:
        """Of a module without class names the classes are numbered."""
        names = getattr(pl_module, "classes", None) or [str(number) for number in range(predictions.logits.shape[1])]
        return TestReport(
            predictions=predictions,
            photos=photos_of(trainer, predictions),
            names=list(names),
            called=called(trainer, pl_module),
            temperature=temperature,
            resamples=self.resamples,
        )


def called(trainer: L.Trainer, pl_module: Any) -> ClassNames:
    """What people call the classes, as the photos' folder says, and the model's checkpoint."""
    known = [getattr(each, "names", None) for each in (pl_module, getattr(trainer, "datamodule", None))]
    of_model, of_folder = (each if isinstance(each, ClassNames) else ClassNames() for each in known)
    return of_model | of_folder


def photos_of(trainer: L.Trainer, predictions: Predictions) -> pd.DataFrame:
    """Path and group of each photo, and whether the model has seen it, where that is known.

    Without a table every photo has its row number and stands alone.
    """
    table = getattr(getattr(trainer, "datamodule", None), "table", None)
    rows = predictions.index
    if table is None:
        return pd.DataFrame({"path": rows.astype(str), "group": rows})
    chosen = table.iloc[rows]
    groups = chosen["group"].to_numpy() if "group" in chosen else rows
    photos = pd.DataFrame({"path": chosen["path"].to_numpy(), "group": groups})
    return photos.assign(seen=chosen["seen"].to_numpy()) if "seen" in chosen else photos


class Speed(L.Callback):
    """Logs time/images_per_second: data loading included, the epoch's first step (which warms up) left out."""

    def __init__(self) -> None:
        self._images, self._begin, self._end = 0, 0.0, 0.0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx: int) -> None:
        self._end = time.perf_counter()
        if self._begin:
            self._images += images_in(batch) * trainer.world_size
        else:
            self._begin = self._end

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._images:
            pl_module.log("time/images_per_second", self._images / (self._end - self._begin), rank_zero_only=True)
        self._images, self._begin = 0, 0.0


class EpochLines(L.Callback):
    """One line an epoch, so that a log file shows the course of a run; figures of validation in those that have one.

    What could not be measured (NaN) is left out."""

    SHOWN: ClassVar[dict[str, str]] = {
        "train/loss": "train loss",
        "val/loss": "val loss",
        **{f"val/{metric.name}": metric.label for metric in shown_in("epoch")},
        "train/generator_loss": "generator loss",
        "train/discriminator_loss": "discriminator loss",
        "val/kid": "KID",
        "gan/train_taken_for_real": "taken for real: train",
        "gan/held_out_taken_for_real": "held-out",
        "optim/lr": "lr",
        "time/images_per_second": "images/s",
    }
    MEASURED = ("val/", "gan/")  # begin the names of figures of a validation
    _ended = 0  # epochs; 0 after their line is written
    _validated = False  # since the last line

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if (values := getattr(pl_module, "before_training", {})) and trainer.is_global_zero:
            log.info("epoch 0/%d  %s", trainer.max_epochs, self._in_words(values))

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._validated = not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._ended = trainer.current_epoch + 1  # the module logs its metrics after this; the line waits for them

    def _write_line(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        kept = trainer.callback_metrics.items()  # also those of a validation some epochs ago
        values = {key: value for key, value in kept if self._validated or not key.startswith(self.MEASURED)}
        if self._ended and trainer.is_global_zero:
            log.info("epoch %d/%d  %s", self._ended, trainer.max_epochs, self._in_words(values))
        self._ended, self._validated = 0, False

    def _in_words(self, values: Mapping[str, Any]) -> str:
        figures = {key: float(values[key]) for key in self.SHOWN if key in values}
        return "  ".join(f"{self.SHOWN[key]} {_shown(value)}" for key, value in figures.items() if value == value)

    on_train_epoch_start = on_train_end = _write_line


class Curves(L.Callback):
    """`report/curves.csv` in the run's folder: a row an epoch, with what training and validation measured in it.

    A resumed run keeps the rows of the epochs before the one that it begins with.
    """

    PARTS = ("train/", "val/", "optim/")

    def __init__(self) -> None:
        self._rows: list[dict[str, float]] = []
        self._epoch: int | None = None  # that has ended and has no row yet
        self._validated = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        file = curves_file(run_folder(trainer))
        kept = pd.read_csv(file) if trainer.ckpt_path and file.is_file() else pd.DataFrame({"epoch": []})
        rows = kept[kept["epoch"] < trainer.current_epoch].to_dict("records")
        self._rows = [{str(key): value for key, value in row.items() if value == value} for row in rows]
        if values := getattr(pl_module, "before_training", {}):
            self._rows.append({"epoch": BEFORE_TRAINING, **values})

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._validated = trainer.state.fn == "fit" and not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._epoch = trainer.current_epoch  # the module logs its metrics after this; the row waits for them

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self._add_row(trainer, pl_module)

    def _add_row(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._epoch is None or not trainer.is_global_zero:
            return
        parts = self.PARTS if self._validated else ("train/", "optim/")
        values = {key: float(value) for key, value in trainer.callback_metrics.items() if key.startswith(parts)}
        self._rows.append({"epoch": self._epoch, **values})
        self._epoch, self._validated = None, False
        file = curves_file(run_folder(trainer))
        file.parent.mkdir(parents=True, exist_ok=True)
        with suppress(OSError), replacing(file) as temporary:  # a full disk stops the run at its checkpoint
            pd.DataFrame(self._rows).astype({"epoch": int}).to_csv(temporary, index=False)

    on_train_epoch_start = on_train_end = _add_row


def curves_file(run: Path) -> Path:
    """Where a run keeps its curves."""
    return run / "report" / "curves.csv"


def _shown(value: float) -> str:
    """Four digits, and large numbers in full: 0.6931, 14,950."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
