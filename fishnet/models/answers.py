"""A model's answers on photos from anywhere: the one way for the command line, the service and MLflow."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from fishnet.data.photos import photo_batches

from .classifier import ImageClassifier


class Answer(NamedTuple):
    """Of a photo: its probabilities, or the problem why there are none; its part in the model's training, if known."""

    photo: Path | bytes
    probabilities: list[float]
    problem: str
    seen: str


def answers(model: ImageClassifier, photos: Sequence[Path | bytes], batch_size: int) -> Iterator[Answer]:
    """In the order of the photos."""
    model = model.to("cuda" if torch.cuda.is_available() else "cpu")
    for batch in photo_batches(photos, model.preprocessing, batch_size=batch_size):
        with torch.inference_mode():
            rows = model.probabilities(model(batch.images.to(model.device))).tolist() if batch.views else []
        seen = model.seen.parts(batch.digests) if model.seen else [""] * len(rows)
        readable = zip(rows, seen, strict=True)
        for photo, problem in zip(batch.photos, batch.problems, strict=True):
            probabilities, part = ([], "") if problem else next(readable)
            yield Answer(photo, probabilities, problem, part)
