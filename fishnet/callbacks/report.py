"""What the trained model is worth: the temperature fitted on validation, and the test set with its uncertainty."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytorch_lightning as L

from fishnet.files import replacing
from fishnet.measure.bootstrap import Interval
from fishnet.measure.calibration import calibration_error, fit_temperature
from fishnet.measure.metrics import shown_in
from fishnet.measure.predictions import Predictions, gathered, on_cpu


class Report(L.Callback):
    """`trainer.validate` fits the temperature; `trainer.test` writes `report/` into the run's folder."""

    def __init__(self, *, resamples: int = 1000) -> None:
        super().__init__()
        self.resamples = resamples
        self.figures: dict[str, float] = {}
        self.intervals: dict[str, Interval] = {}
        self._outputs: list[dict[str, np.ndarray]] = []

    # ---- validation

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._outputs = []

    def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0) -> None:
        if trainer.state.fn == "validate":
            self._outputs.append(on_cpu(outputs))

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn != "validate":
            return
        predictions = self._take()
        temperature = fit_temperature(predictions.logits, predictions.label)
        temperature = trainer.strategy.broadcast(temperature)
        pl_module.temperature.fill_(temperature)  # type: ignore[operator, union-attr]
        if trainer.is_global_zero and len(predictions):
            write_answers(trainer, pl_module, predictions, temperature)
            error = calibration_error(predictions.probabilities(temperature), predictions.label)
            self._tell(pl_module, {"val/calibration_error_scaled": error})

    # ---- test

    def on_test_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._outputs = []

    def on_test_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0) -> None:
        self._outputs.append(on_cpu(outputs))

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        predictions = self._take()
        if not trainer.is_global_zero or not len(predictions):
            return
        from fishnet.measure.report import TestReport

        report = TestReport(
            predictions=predictions,
            photos=photos_of(trainer, predictions),
            names=class_names(pl_module, predictions),
            temperature=float(pl_module.temperature),  # type: ignore[arg-type]
            resamples=self.resamples,
        )
        folder = Path(trainer.default_root_dir) / "report"
        report.write(folder)
        for logger in trainer.loggers:
            if hasattr(logger, "log_artifacts"):
                logger.log_artifacts(folder, "report")
        self._tell(pl_module, self._figures_of(report))

    def _figures_of(self, report) -> dict[str, float]:
        self.intervals = report.intervals
        told = {"test/calibration_error_scaled": report.calibration_after.error}
        for name in (metric.name for metric in shown_in("interval")):
            told |= {f"test/{name}_low": report.intervals[name].low, f"test/{name}_high": report.intervals[name].high}
        values = {f"test/{name}": interval.value for name, interval in report.intervals.items()}
        self.figures |= values | {"test/calibration_error": report.calibration_before.error}
        return {name: value for name, value in told.items() if np.isfinite(value)}

    # ---- both

    def _take(self) -> Predictions:
        outputs, self._outputs = self._outputs, []
        return gathered(outputs)

    def _tell(self, pl_module: L.LightningModule, values: dict[str, float]) -> None:
        self.figures |= values
        pl_module.log_dict(values, rank_zero_only=True)


def write_answers(trainer: L.Trainer, pl_module: L.LightningModule, predictions: Predictions, scale: float) -> None:
    """`report/validation.csv`: two models that saw the same validation photos can be compared photo by photo."""
    from fishnet.measure.report import TestReport

    report = TestReport(
        predictions=predictions,
        photos=photos_of(trainer, predictions),
        names=class_names(pl_module, predictions),
        temperature=scale,
    )
    folder = Path(trainer.default_root_dir) / "report"
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / "validation.csv") as temporary:
        report.by_photo().to_csv(temporary, index=False)


def class_names(pl_module: L.LightningModule, predictions: Predictions) -> list[str]:
    names = getattr(pl_module, "classes", None)
    return list(names) if names else [str(number) for number in range(predictions.logits.shape[1])]


def photos_of(trainer: L.Trainer, predictions: Predictions) -> pd.DataFrame:
    """Path and group of each photo; without a table every photo has its row number and stands alone."""
    table = getattr(getattr(trainer, "datamodule", None), "table", None)
    rows = predictions.index
    if table is None:
        return pd.DataFrame({"path": rows.astype(str), "group": rows})
    chosen = table.iloc[rows]
    groups = chosen["group"].to_numpy() if "group" in chosen else rows
    return pd.DataFrame({"path": chosen["path"].to_numpy(), "group": groups})
