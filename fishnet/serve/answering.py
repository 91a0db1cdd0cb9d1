"""What a model computed of a photo → what a person or a program is answered."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, Field

from fishnet.data.photos import ReadPhoto
from fishnet.data.views import view_box
from fishnet.images import CUT
from fishnet.models.answers import combined, mostly_strange
from fishnet.models.classifier import ImageClassifier

from .batching import Computed


class ClassAnswer(BaseModel):
    """A class, its probability among the classes that were asked for, and its logit."""

    name: str
    probability: float
    logit: float


class Square(BaseModel):
    """The part of the upright photo that the network saw, in shares of the photo's width and height."""

    left: float
    top: float
    width: float
    height: float


class PhotoAnswer(BaseModel):
    """Of a photo. Where it could not be read, `problem` says why, and there is no more than its name and digest."""

    name: str = Field(description="as it was sent, without folders")
    sha256: str = Field(description="of the bytes that arrived")
    problem: str = ""
    width: int | None = Field(default=None, description="of the upright photo, in pixels")
    height: int | None = None
    view: Square | None = None
    grey_rest: float = Field(
        default=0.0, description="the share of its height that is grey because data of a JPEG are missing; from 0.02 on"
    )
    predicted: str | None = None
    probability: float | None = None
    sure: bool | None = Field(default=None, description="whether the probability reaches the class's threshold")
    none_of_these: bool | None = Field(
        default=None, description="whether it looks like none of the model's classes; null where the model cannot say"
    )
    seen: str = Field(default="", description="train, val or test, where the model knows the photo")
    classes: list[ClassAnswer] = Field(default=[], description="the most probable first")
    heatmaps: dict[str, list[list[float]]] = Field(
        default={}, description="by class: what each place of the view adds to the class's logit"
    )


class Together(BaseModel):
    """Of several photos of one animal: the mean of their probabilities."""

    photos: int
    predicted: str
    probability: float
    sure: bool
    none_of_these: bool | None = Field(
        default=None, description="whether most of them look like none of the model's classes; null where it cannot say"
    )
    classes: list[ClassAnswer]


class Answer(BaseModel):
    """Of a request."""

    bundle: str = Field(description="the digest of the model bundle")
    photos: list[PhotoAnswer]
    together: Together | None = None


class Problem(BaseModel):
    """Why there is no answer."""

    detail: str


class Answering:
    """Turns logits into answers.

    Args:
        model: whose classes, temperature and preprocessing count.
        thresholds: probability by class from which an answer is sure; None where no probability is enough.
        sure: the threshold of classes that have none of their own.
    """

    def __init__(self, model: ImageClassifier, thresholds: Mapping[str, float | None], sure: float) -> None:
        self.model, self.sure = model, sure
        self.thresholds = {name: thresholds.get(name, sure) for name in model.classes}

    def photo(self, name: str, read: ReadPhoto, computed: Computed, chosen: Sequence[int], top: int) -> PhotoAnswer:
        """Of a photo that could be read.

        Args:
            name: of the photo.
            read: the photo.
            computed: by the model.
            chosen: numbers of the classes that it may show.
            top: how many of these are answered.
        """
        ranked = self._ranked(computed.logits, self.probabilities(computed.logits, chosen), chosen)
        width, height = read.full_size
        box = view_box(width, height, self.model.preprocessing)
        square = Square(
            left=box.left / width, top=box.top / height, width=box.width / width, height=box.height / height
        )
        maps = {
            self.model.classes[c]: np.round(values.astype(float), 6).tolist() for c, values in computed.maps.items()
        }
        seen = self.model.seen.parts([read.sha256])[0] if self.model.seen else ""
        best = ranked[0]
        return PhotoAnswer(
            name=name, sha256=read.sha256, width=width, height=height, view=square,
            grey_rest=read.grey_rest if read.grey_rest >= CUT else 0.0, predicted=best.name,
            probability=best.probability, sure=self.is_sure(best), none_of_these=computed.strange, seen=seen,
            classes=ranked[:top], heatmaps=maps,
        )  # fmt: skip

    def together(self, computed: Sequence[Computed], chosen: Sequence[int], top: int) -> Together:
        """Of one animal's photos."""
        logits = np.mean([each.logits for each in computed], axis=0)
        probabilities = combined([self.probabilities(each.logits, chosen) for each in computed])
        ranked = self._ranked(logits, probabilities, chosen)
        best = ranked[0]
        return Together(
            photos=len(computed), predicted=best.name, probability=best.probability, sure=self.is_sure(best),
            none_of_these=mostly_strange([each.strange for each in computed]), classes=ranked[:top],
        )  # fmt: skip

    def probabilities(self, logits: np.ndarray, chosen: Sequence[int]) -> list[float]:
        """Of the chosen classes, among these."""
        return self.model.probabilities(torch.from_numpy(logits)[list(chosen)]).tolist()

    def is_sure(self, answer: ClassAnswer) -> bool:
        threshold = self.thresholds[answer.name]
        return threshold is not None and answer.probability >= threshold

    def _ranked(self, logits: np.ndarray, probabilities: Sequence[float], chosen: Sequence[int]) -> list[ClassAnswer]:
        names = self.model.classes
        pairs = sorted(
            zip(probabilities, chosen, strict=True), key=lambda pair: -pair[0]
        )  # equal ones as `predict` does
        return [ClassAnswer(name=names[c], probability=p, logit=float(logits[c])) for p, c in pairs]


def class_facts(answering: Answering, audit: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Of each class: its name, what people call it, the threshold of a sure answer, and the shortcut that an
    audit has proven, or null."""
    verdicts = (audit or {}).get("verdicts", [])
    proven = {verdict["class"]: verdict for verdict in verdicts if verdict["verdict"] == "shortcut"}
    return [
        {
            "name": name,
            "called": answering.model.names.full(name),
            "threshold": answering.thresholds[name],
            "shortcut": proven.get(name),
        }
        for name in answering.model.classes
    ]
