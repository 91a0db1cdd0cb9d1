"""`tune=lr`: the run is a learning-rate range test, and its result a rate."""

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
from fishnet.files import replacing
from fishnet.measure.lr_range import draw_range, find_rate, smoothed

log = logging.getLogger("fishnet")

OF_TRAINING = ("best", "last", "early_stopping", "heatmaps", "report")
FEWEST = 20  # points, below which there is no curve


def arrange(config: DictConfig, *, photos: int) -> None:
    """As many epochs as the test needs batches; nothing is kept, validated or explained."""
    steps, batch = config.range_test.steps, config.data.batch_size
    with open_dict(config):
        config.callbacks = {k: v for k, v in config.callbacks.items() if k not in OF_TRAINING}
        config.callbacks.range_test = config.range_test
        config.trainer.enable_checkpointing = False
        config.trainer.limit_val_batches, config.trainer.limit_train_batches = 0, 1.0
        config.trainer.max_epochs = math.ceil(steps / max(1, photos // batch))


def told(trainer: L.Trainer, *, folder: Path, logger) -> dict[str, float]:
    """`report/lr.json`, `lr.csv` and `lr.png`, the curve as metrics, and the rate to go on with."""
    test = next(callback for callback in trainer.callbacks if isinstance(callback, RangeTest))  # type: ignore[attr-defined]
    losses, accuracies = np.array(test.losses), np.array(test.accuracies)
    rates = test.rates[: len(losses)]
    if len(losses) < FEWEST:
        raise WorkFailed(
            f"the loss ran away after {len(losses)} batches, at lr {rates[-1] if len(rates) else test.rates[0]:.2g}: "
            "take a smaller range_test.low."
        )
    found = find_rate(rates, losses)
    place = folder / "report"
    place.mkdir(exist_ok=True)
    table = pd.DataFrame({"lr": rates, "loss": losses, "accuracy": accuracies})
    table = table.assign(loss_smoothed=smoothed(losses), accuracy_smoothed=smoothed(accuracies))
    answer = {"lr": found.lr, "steepest": found.steepest, "calm": found.calm} if found.learnt else {"lr": None}
    with replacing(place / "lr.csv") as temporary:
        table.to_csv(temporary, index=False)
    with replacing(place / "lr.json") as temporary:
        temporary.write_text(json.dumps(answer))
    draw_range(rates, losses, accuracies, found, place / "lr.png")
    for step, row in enumerate(table.itertuples(index=False)):
        logger.log_metrics(
            {"tune/lr": row.lr, "tune/loss": row.loss_smoothed, "tune/accuracy": row.accuracy_smoothed}, step
        )
    logger.log_artifacts(place, "report")
    if not found.learnt:
        raise WorkFailed(
            f"the loss never fell between lr {rates[0]:.2g} and {rates[-1]:.2g} (see {place / 'lr.png'}): more batches "
            "(range_test.steps), or another network or optimiser."
        )
    logger.log_metrics({"best/lr": found.lr, "best/lr_steepest": found.steepest}, 0)
    _say(found, place / "lr.png", logger)
    return {"tune/lr": found.lr}


def _say(found, picture: Path, logger) -> None:
    console = Console(width=None, highlight=False)
    why = "the lowest loss in a calm neighbourhood" if found.calm else "the steepest fall, for no neighbourhood is calm"
    console.print(f"{'learning rate':15s}{found.lr:.2g}  {why}: model.lr={found.lr:.2g}", soft_wrap=True)
    if found.calm:
        console.print(f"{'beside it':15s}{found.steepest:.2g}  where the loss falls most steeply", soft_wrap=True)
    console.print(f"{'picture':15s}{picture}", soft_wrap=True)
    console.print(f"{'run':15s}{logger.run_id}  ·  fishnet ui", soft_wrap=True)
