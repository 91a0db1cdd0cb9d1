"""fishnet predict: a checkpoint on photos → a CSV of probabilities, with a column for 'not sure'

Examples
  fishnet predict checkpoint=outputs/RUN/checkpoints/best.ckpt images=photos/new
  fishnet predict checkpoint=best.ckpt images='my photo.jpg' out=answer.csv sure=0.9
  fishnet predict checkpoint=best.ckpt images=photos/lake classes=[perch,pike,roach]     no other lives in this lake
"""

import csv
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from omegaconf import DictConfig

from fishnet.config.checkpoints import bring_checkpoint
from fishnet.config.entry import start
from fishnet.config.validate import check_writable, validate
from fishnet.data.listing import find_photos
from fishnet.environment import keep_freed_memory
from fishnet.errors import BadInput
from fishnet.files import replacing
from fishnet.ranges import AtLeast, FreeText, Probability
from fishnet.text import counted, few_of

if TYPE_CHECKING:
    from fishnet.models.classifier import ImageClassifier

log = logging.getLogger("fishnet")

POSITION = 60  # in the list of `fishnet --help`


class Keys:
    """Types and ranges of the keys at the top."""

    checkpoint: FreeText
    images: FreeText
    out: FreeText
    overwrite: bool
    sure: Annotated[float, Probability]
    classes: list[str] | None
    batch_size: Annotated[int, AtLeast(1)]


def predict(config: DictConfig) -> dict[str, float]:
    """One row a photo, in the order of their paths; photos that cannot be read are listed and keep their row."""
    bring_checkpoint(config)
    validate(config, "predict")
    keep_freed_memory()
    out = Path(config.out).expanduser().absolute()
    if out.is_dir():
        raise BadInput(f"out={config.out} is a folder: give the name of a file.")
    if out.exists() and not config.overwrite:
        raise BadInput(f"out={config.out} exists: choose another name, or say overwrite=true.")
    check_writable("out", config.out)
    photos = find_photos(Path(config.images).expanduser())
    from fishnet.models.checkpoint import load_model

    model = load_model(Path(config.checkpoint))
    classes = possible_classes(model.classes, config.classes)
    counts = write_predictions(model, photos, out, classes=classes, sure=config.sure, batch_size=config.batch_size)
    log.info(
        "%s: %d photos, %d not sure, %d could not be read", out, len(photos), counts["not sure"], counts["refused"]
    )
    if counts["trained on"]:
        log.warning("The model was trained on %s of these (column seen).", counted(counts["trained on"], "photo"))
    return {name: float(count) for name, count in counts.items()}


def possible_classes(known: list[str], chosen: list[str] | None) -> list[str]:
    """The classes that a photo may show, in the model's order; all of them where none are named."""
    if chosen is None:
        return known
    if unknown := sorted({*chosen} - {*known}):
        raise BadInput(f"classes: the model does not know {few_of(unknown)}; it knows {few_of(known, 20)}.")
    if len({*chosen}) < 2:
        raise BadInput("classes: name two classes or more, for a photo of one alone is answered before it is seen.")
    return [name for name in known if name in chosen]


def write_predictions(
    model: "ImageClassifier", photos: list[Path], out: Path, *, classes: list[str], sure: float, batch_size: int
) -> dict[str, int]:
    """Into a file beside `out`, which takes its place when all is there; returns how many photos are not sure, refused
    or known from the training."""
    from rich.progress import track

    from fishnet.models.answers import answers

    counts = {"not sure": 0, "refused": 0, "trained on": 0}
    given = answers(model, photos, batch_size, classes)
    rows = track(given, total=len(photos), description="predicting", transient=True)
    with replacing(out) as temporary:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            temporary.touch()
        except OSError as error:
            raise BadInput(f"out={out} cannot be written ({error.strerror}).") from error
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["path", "predicted", "probability", "not_sure", "problem", "seen", *classes])
            for path, probabilities, problem, seen in rows:
                if problem:
                    table.writerow([path, "", "", True, problem, "", *[""] * len(classes)])
                    counts["refused"] += 1
                    log.warning("%s: %s", path, problem)
                    continue
                best = max(range(len(probabilities)), key=probabilities.__getitem__)
                unsure = probabilities[best] < sure
                counts["not sure"] += unsure
                counts["trained on"] += seen == "train"
                answer = [classes[best], round(probabilities[best], 6), unsure, "", seen]
                table.writerow([path, *answer, *(round(value, 6) for value in probabilities)])
    return counts


if __name__ == "__main__":
    start(predict, "predict")
