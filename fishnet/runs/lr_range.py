"""`tune=lr`: a learning-rate range test in the place of training; its result is a rate."""

import json
import logging
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytorch_lightning as L
from omegaconf import DictConfig, open_dict
from rich.console import Console

from fishnet.callbacks.lr_range import RangeTest
from fishnet.errors import WorkFailed
from fishnet.files import replacing, write_whole
from fishnet.measure.lr_range import draw_range, find_rate, smoothed
from fishnet.tracking.logger import MlflowLogger

log = logging.getLogger("fishnet")

OF_TRAINING = ("best", "last", "early_stopping", "heatmaps", "report")
FEWEST = 20  # points, below which there is no curve


def configure(config: DictConfig, *, photos: int) -> None:
    """Make the configuration that of a range test: as many epochs as it needs batches; nothing is kept or validated."""
    with open_dict(config):
        config.callbacks = {k: v for k, v in config.callbacks.items() if k not in OF_TRAINING}
        config.callbacks.range_test = config.range_test
        config.trainer.enable_checkpointing = False
        config.trainer.limit_val_batches, config.trainer.limit_train_batches = 0, 1.0
        config.trainer.max_epochs = math.ceil(config.range_test.steps / max(1, photos // config.data.batch_size))


def report_rate(trainer: L.Trainer, *, folder: Path, logger: MlflowLogger) -> dict[str, float]:
    """Write `report/lr.json`, `lr.csv` and `lr.png`, log the curve, print the rate to go on with and return it."""
    test = next(callback for callback in trainer.callbacks if isinstance(callback, RangeTest))  # type: ignore[attr-defined]
    losses, accuracies = np.array(test.losses), np.array(test.accuracies)
    rates = test.rates[: len(losses)]
    if len(losses) < FEWEST:
        raise WorkFailed(
            f"the loss ran away after {len(losses)} batches, at lr {rates[-1] if len(rates) else test.rates[0]:.2g}: "
            "take a smaller range_test.low."
        )
    suggested = find_rate(rates, losses)
    report = folder / "report"
    report.mkdir(exist_ok=True)
    table = pd.DataFrame({"lr": rates, "loss": losses, "accuracy": accuracies})
    table = table.assign(loss_smoothed=smoothed(losses), accuracy_smoothed=smoothed(accuracies))
    with replacing(report / "lr.csv") as temporary:
        table.to_csv(temporary, index=False)
    result = suggested._asdict()
    write_whole(report / "lr.json", json.dumps(result if suggested.learnt else {"lr": None}))
    draw_range(rates, losses, accuracies, suggested, report / "lr.png")
    curve = table[["lr", "loss_smoothed", "accuracy_smoothed"]].to_numpy().tolist()
    for step, values in enumerate(curve):
        logger.log_metrics(dict(zip(("tune/lr", "tune/loss", "tune/accuracy"), values, strict=True)), step)
    logger.log_artifacts(report, "report")
    if not suggested.learnt:
        raise WorkFailed(
            f"the loss never fell between lr {rates[0]:.2g} and {rates[-1]:.2g} (see {report / 'lr.png'}): more "
            "batches (range_test.steps), or another network or optimiser."
        )
    logger.log_metrics({"best/lr": suggested.lr, "best/lr_low": suggested.low, "best/lr_high": suggested.high}, 0)
    calm = "the lowest loss in a calm neighbourhood"
    why = calm if suggested.calm else "the steepest fall, for no neighbourhood is calm"
    lines = {"learning rate": f"{suggested.lr:.2g}  {why}: model.lr={suggested.lr:.2g}"}
    if suggested.calm:
        lines["as good"] = f"{suggested.low:.2g} to {suggested.high:.2g}"
    lines |= {"picture": str(report / "lr.png"), "run": f"{logger.run_id}  ·  fishnet ui"}
    console = Console(width=None, highlight=False)
    for label, text in lines.items():
        console.print(f"{label:15s}{text}", soft_wrap=True)
    return {"tune/lr": suggested.lr}
