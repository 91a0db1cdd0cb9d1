"""A model's answers on photos from anywhere: the one way for the command line, the service and MLflow."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from fishnet.data.batch_size import Halving
from fishnet.data.photos import photo_batches

from .backbones import single_head
from .classifier import ImageClassifier
from .features import features_and_logits


class Answer(NamedTuple):
    """Of a photo: its probabilities, or the problem why there are none; its part in the model's training, if known;
    the SHA-256 of its bytes, if it could be read; whether it looks like none of the classes, if the model can say."""

    photo: Path | bytes
    probabilities: list[float]
    problem: str
    seen: str
    digest: str
    strange: bool | None = None


def answers(
    model: ImageClassifier, photos: Sequence[Path | bytes], batch_size: int, classes: Sequence[str] | None = None,
    halving: Halving | None = None,
) -> Iterator[Answer]:  # fmt: skip
    """In the order of the photos.

    Args:
        model: of a checkpoint or a bundle.
        photos: files, or their bytes.
        batch_size: photos that the network is asked about at once.
        classes: the only ones that a photo may show; probabilities are then among these, in this order.
        halving: of batches that a GPU has no room for, where it is to last for several calls.
    """
    halving = halving or Halving()
    model = model.to("cuda" if torch.cuda.is_available() else "cpu")
    columns = [model.classes.index(name) for name in classes or model.classes]
    for batch in photo_batches(photos, model.preprocessing, batch_size=batch_size):
        with torch.inference_mode():
            halves = halving(partial(_answered, model, columns), batch.images) if batch.views else []
        rows = [row for half in halves for row in half[0]]
        strange = [each for half in halves for each in half[1]]
        seen = model.seen.parts(batch.digests) if model.seen else [""] * len(rows)
        readable = zip(rows, seen, batch.digests, strange, strict=True)
        for photo, problem in zip(batch.photos, batch.problems, strict=True):
            probabilities, part, digest, none = ([], "", "", None) if problem else next(readable)
            yield Answer(photo, probabilities, problem, part, digest, none)


@torch.inference_mode()
def _answered(
    model: ImageClassifier, columns: list[int], photos: Tensor
) -> tuple[list[list[float]], list[bool] | list[None]]:
    """Probabilities among the columns, and whether each photo looks like none of the classes."""
    images, head = photos.to(model.device), single_head(model.network)
    if model.familiarity is None or head is None:
        return model.probabilities(model(images)[:, columns]).tolist(), [None] * len(images)
    features, logits = features_and_logits(model.network, head, model.pixels(images))
    strange = model.familiarity.is_strange(features.float(), logits.float())
    return model.probabilities(logits.float()[:, columns]).tolist(), strange.tolist()


def combined(probabilities: Sequence[Sequence[float]]) -> list[float]:
    """Of several photos of one animal: the mean of their probabilities, class by class."""
    return [math.fsum(column) / len(column) for column in zip(*probabilities, strict=True)]


def mostly_strange(strange: Sequence[bool | None]) -> bool | None:
    """Whether more than half of the photos of one animal look like none of the classes; None where nobody can say."""
    return None if None in strange else sum(map(bool, strange)) * 2 > len(strange)
