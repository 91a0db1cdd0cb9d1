"""A model's answers on photos from anywhere: the one way for the command line, the service and MLflow."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from fishnet.data.photos import photo_batches

from .classifier import ImageClassifier


class Answer(NamedTuple):
    """Of a photo: its probabilities, or the problem why there are none; its part in the model's training, if known;
    the SHA-256 of its bytes, if it could be read."""

    photo: Path | bytes
    probabilities: list[float]
    problem: str
    seen: str
    digest: str


def answers(
    model: ImageClassifier, photos: Sequence[Path | bytes], batch_size: int, classes: Sequence[str] | None = None
) -> Iterator[Answer]:
    """In the order of the photos.

    Args:
        model: of a checkpoint or a bundle.
        photos: files, or their bytes.
        batch_size: photos that the network is asked about at once.
        classes: the only ones that a photo may show; probabilities are then among these, in this order.
    """
    model = model.to("cuda" if torch.cuda.is_available() else "cpu")
    columns = [model.classes.index(name) for name in classes or model.classes]
    for batch in photo_batches(photos, model.preprocessing, batch_size=batch_size):
        with torch.inference_mode():
            logits = model(batch.images.to(model.device))[:, columns] if batch.views else None
            rows = [] if logits is None else model.probabilities(logits).tolist()
        seen = model.seen.parts(batch.digests) if model.seen else [""] * len(rows)
        readable = zip(rows, seen, batch.digests, strict=True)
        for photo, problem in zip(batch.photos, batch.problems, strict=True):
            probabilities, part, digest = ([], "", "") if problem else next(readable)
            yield Answer(photo, probabilities, problem, part, digest)
