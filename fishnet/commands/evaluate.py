"""fishnet evaluate: a checkpoint on a folder → metrics with intervals, confusions, heat-maps

A checkpoint knows, by their bytes, the photos that it was trained on. part=auto measures what it neither learned from
nor was chosen by, part=all everything; train, val and test are the parts of its own training. The grouping of the
training is taken over, so that intervals are over the same kind of groups. Without data.root the folder is taken that
the checkpoint's run was trained on.

Where groups or observers are known, report/leakage.csv has what photos that share them are worth: the accuracy of a
linear head on the model's features that knows all other photos, none of the same subject, none of the same observer.

Examples
  fishnet evaluate checkpoint=outputs/RUN/checkpoints/best.ckpt
  fishnet evaluate checkpoint=outputs/RUN/checkpoints/best.ckpt data.root=photos/lake
  fishnet evaluate checkpoint=best.ckpt data.root=photos/lake part=all
  fishnet evaluate checkpoint=best.ckpt data.root=photos/lake part=test data.split_file=outputs/RUN/split/split.csv
"""

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from omegaconf import DictConfig

from fishnet.cells import defused_table
from fishnet.config.checkpoints import bring_checkpoint, require_checkpoint
from fishnet.config.compose import job_folder
from fishnet.config.entry import start
from fishnet.config.run_data import use_photos_of_run
from fishnet.config.validate import validate
from fishnet.environment import keep_freed_memory
from fishnet.errors import BadInput
from fishnet.progress import for_terminal
from fishnet.ranges import AtLeast, FreeText

if TYPE_CHECKING:
    from pytorch_lightning import Trainer

    from fishnet.data.datamodule import ImageFolderData
    from fishnet.models.classifier import ImageClassifier

log = logging.getLogger("fishnet")

POSITION = 50  # in the list of `fishnet --help`


class Keys:
    """Types and ranges of the keys at the top."""

    checkpoint: FreeText
    part: Literal["auto", "all", "train", "val", "test"]
    leakage: Literal["auto", "none"]
    seed: Annotated[int, AtLeast(0)]
    monitor: str
    name: FreeText | None
    out: FreeText | None


def evaluate(config: DictConfig) -> dict[str, float]:
    """Measure the chosen part of the folder in float32."""
    bring_checkpoint(config)
    use_photos_of_run(config)
    validate(config, "evaluate")
    require_checkpoint(config)
    keep_freed_memory()
    import torch

    from fishnet.callbacks.guards import StopOnSignal
    from fishnet.config import building
    from fishnet.config.hydra_internals import literal
    from fishnet.data.batch_size import photos_at_once
    from fishnet.models.checkpoint import load_model
    from fishnet.runs import page, records, run
    from fishnet.runs.folders import is_first, run_folder
    from fishnet.runs.precision import float32, require_float32, use_gpu
    from fishnet.tracking import names
    from fishnet.tracking.store import check_store

    building.quieten()
    watch = StopOnSignal()
    checkpoint = Path(config.checkpoint).expanduser().absolute()
    model = load_model(checkpoint)
    require_float32(config)
    device = torch.device("cuda" if use_gpu(config) else "cpu")
    config.data.batch_size = photos_at_once(config.data.batch_size, device, model.preprocessing.size)
    data = measured_data(config, model)
    config.data.group = literal(data.folder.group)  # as the run is recorded
    name = f"evaluate-{data.root.name}"
    with run_folder(config.out, name=str(config.name or name), job=job_folder()) as folder:
        if is_first() and not config.tracking.offline:
            check_store(config.tracking.uri, home=Path.cwd())
        logger = building.build_logger(config, folder=folder, command="evaluate", name=name)
        logger.test_prefix = "test" if data.part == "unseen" else data.part
        trainer = building.build_trainer(config, logger=logger, folder=folder, watch=watch)
        for line in [*run.refused_lines(data), *run.seen_lines(data.folder, data.part)]:
            log.warning(line)
        with run.tracked_run(logger.start, config), float32(trainer, model):
            records.write_records(config, data, folder, logger, command="evaluate")
            logger.set_tags({names.CHECKPOINT: str(checkpoint)})
            trainer.test(model, datamodule=data, verbose=False)
            sentences = report_leakage(trainer, model, data) if config.leakage == "auto" and is_first() else []
            made = page.write_page(folder, data, model, logger, command="evaluate") if is_first() else None
        for sentence in sentences:
            print(for_terminal(f"{'leakage':12s}{sentence}", sys.stdout, indent=12), flush=True)
        measured = f"{config.data.root} ({data.part})"
        run.print_summary(trainer, folder=folder, run_id=logger.run_id, measured=measured, page=made)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def report_leakage(trainer: "Trainer", model: "ImageClassifier", data: "ImageFolderData") -> list[str]:
    """Write report/leakage.csv and leakage.txt, log the metrics, and return the sentences; nothing where the folder
    knows neither groups nor observers."""
    from fishnet.audit.leakage import leakage_metrics, leakage_of, leakage_sentences
    from fishnet.callbacks.outputs import write_artifact

    table = leakage_of(model.to(trainer.strategy.root_device), data.folder, batch_size=data.batch_size)
    if table is None:
        return []
    sentences = leakage_sentences(table)
    text = "".join(f"{sentence}.\n" for sentence in sentences)
    write_artifact(trainer, "report/leakage.csv", lambda file: defused_table(table).to_csv(file, index=False))
    write_artifact(trainer, "report/leakage.txt", lambda file: file.write_text(text, encoding="utf-8"))
    for logger in trainer.loggers:
        logger.log_metrics(leakage_metrics(table))
    return sentences


def measured_data(config: DictConfig, model: "ImageClassifier") -> "ImageFolderData":
    """The folder as the model sees it, with the part to measure; a part without photos is refused."""
    from fishnet.config.hydra_internals import instantiate

    part = config.part
    if part == "auto":
        part = "unseen" if model.seen else "test" if config.data.split_file else "all"
    data = instantiate(config.data, _convert_="all").for_model(
        classes=model.classes, names=model.names, part=part, seen=model.seen
    )
    data.check()
    if not len(data.rows(part)):
        counts = data.folder.table["seen"].value_counts()
        known = ", ".join(f"{counts.get(name, 0)} {name}" for name in ("train", "val", "test", "new"))
        raise BadInput(
            f"part={config.part}: data.root={config.data.root} holds no such photo; its photos are, as the checkpoint "
            f"says, {known} (part=all measures them all)."
        )
    return data


if __name__ == "__main__":
    start(evaluate, "evaluate")
