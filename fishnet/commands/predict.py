"""fishnet predict: a checkpoint on photos → a CSV of probabilities, with a column for 'not sure'

Examples
  fishnet predict checkpoint=outputs/RUN/checkpoints/best.ckpt images=photos/new
  fishnet predict checkpoint=best.ckpt images='my photo.jpg' out=answer.csv sure=0.9
"""

import csv
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from omegaconf import DictConfig

from fishnet.config.entry import start
from fishnet.config.validate import check_writable, validate
from fishnet.data.listing import EXTENSIONS
from fishnet.errors import BadInput
from fishnet.files import replacing
from fishnet.ranges import AtLeast, FreeText, Probability

log = logging.getLogger("fishnet")

POSITION = 60  # in the list of `fishnet --help`


class Keys:
    """Types and ranges of the keys at the top."""

    checkpoint: FreeText
    images: FreeText
    out: FreeText
    overwrite: bool
    sure: Annotated[float, Probability()]
    batch_size: Annotated[int, AtLeast(1)]


def predict(config: DictConfig) -> dict[str, float]:
    """One row a photo, in the order of their paths; photos that cannot be read are listed and keep their row."""
    validate(config, "predict")
    out = Path(config.out).expanduser().absolute()
    if out.is_dir():
        raise BadInput(f"out={config.out} is a folder: give the name of a file.")
    if out.exists() and not config.overwrite:
        raise BadInput(f"out={config.out} exists: choose another name, or say overwrite=true.")
    check_writable("out", config.out)
    photos = find_photos(Path(config.images).expanduser())
    from fishnet.models.checkpoint import load_model

    model = load_model(Path(config.checkpoint))
    counts = write_predictions(model, photos, out, sure=config.sure, batch_size=config.batch_size)
    log.info(
        "%s: %d photos, %d not sure, %d could not be read", out, len(photos), counts["not sure"], counts["refused"]
    )
    return {name: float(count) for name, count in counts.items()}


def find_photos(place: Path) -> list[Path]:
    """A single photo, or every photo below a folder."""
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise BadInput(f"images={place} does not exist: give a photo or a folder of photos.")
    inside = (Path(folder) / name for folder, _, names in os.walk(place) for name in names)
    photos = sorted(path for path in inside if path.suffix.lower() in EXTENSIONS)
    if not photos:
        raise BadInput(f"images={place} holds no photos ({', '.join(sorted(EXTENSIONS))}).")
    return photos


def write_predictions(model, photos: list[Path], out: Path, *, sure: float, batch_size: int) -> dict[str, int]:
    """Into a file beside the wanted one, which gets its name when all is there."""
    from rich.progress import track

    counts = {"not sure": 0, "refused": 0}
    rows = track(answers(model, photos, batch_size), total=len(photos), description="predicting", transient=True)
    with replacing(out) as temporary:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            temporary.touch()
        except OSError as error:
            raise BadInput(f"out={out} cannot be written ({error.strerror}).") from error
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["path", "predicted", "probability", "not_sure", "problem", *model.classes])
            for path, chances, problem in rows:
                best = max(range(len(chances)), key=chances.__getitem__) if chances else None
                if best is None:
                    table.writerow([path, "", "", True, problem, *[""] * len(model.classes)])
                    counts["refused"] += 1
                    log.warning("%s: %s", path, problem)
                    continue
                unsure = chances[best] < sure
                counts["not sure"] += unsure
                table.writerow(
                    [path, model.classes[best], f"{chances[best]:.4f}", unsure, "", *(f"{p:.4f}" for p in chances)]
                )
    return counts


def answers(model, photos: list[Path], batch_size: int) -> Iterator[tuple[Path, list[float], str]]:
    """Each photo with its probabilities, or with the reason why there are none."""
    import torch

    from fishnet.data.views import centre
    from fishnet.data.working import working_image, working_side
    from fishnet.images import RefusedImage

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = model.to(device)
    wishes = model.preprocessing
    look = {"sha256": "", "side": working_side(wishes.size, wishes.crop), "interpolation": wishes.interpolation}
    for begin in range(0, len(photos), batch_size):
        views, problems = [], {}
        for path in photos[begin : begin + batch_size]:
            try:
                view = centre(working_image(path, **look), wishes.size)
                views.append(torch.from_numpy(view).permute(2, 0, 1))
            except RefusedImage as refusal:
                problems[path] = str(refusal)
        with torch.inference_mode():
            chances = model.probabilities(model(torch.stack(views).to(device))).tolist() if views else []
        known = iter(chances)
        for path in photos[begin : begin + batch_size]:
            yield (path, [], problems[path]) if path in problems else (path, next(known), "")


if __name__ == "__main__":
    start(predict, "predict")
