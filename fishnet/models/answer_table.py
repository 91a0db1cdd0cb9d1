"""Answers on loose photos as rows of a table: a row a photo, or a row an observation that several photos show."""

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fishnet.data.batch_size import Halving
from fishnet.data.class_names import ClassNames
from fishnet.data.observations import Observation
from fishnet.data.seen import NEW
from fishnet.data.splits import PARTS
from fishnet.errors import BadInput
from fishnet.text import few_of

from .answers import Answer, answers, combined, mostly_strange
from .classifier import ImageClassifier

log = logging.getLogger("fishnet")

PHOTO = ("path", "predicted", "probability", "not_sure", "problem", "seen")
OBSERVATION = ("observation", "photos", *PHOTO[1:])
NAME = "predicted_name"  # behind `predicted`, where people call the classes otherwise than their folders
STRANGE = "none_of_these"  # where the model can say so; of several photos, most of them
DIGITS = 6
Limits = list[float]  # of each class, the probability below which its answers are not sure; inf: they never are


@dataclass(frozen=True)
class AnswerTable:
    """Rows of answers of one model.

    Args:
        model: of a checkpoint or a bundle.
        names: of the photos, which observations number.
        read: gives the photos' files, or their bytes, by their numbers.
        classes: the only ones that a photo may show.
        limits: below which an answer is not sure, by class.
        batch_size: photos that the network is asked about at once.
        joined: whether rows are observations, not photos.
        problems: the photos so far that cannot be read, each with the reason.
    """

    model: ImageClassifier
    names: Sequence[str]
    read: Callable[[Sequence[int]], Sequence[Path | bytes]]
    classes: list[str]
    limits: Limits
    batch_size: int
    joined: bool
    problems: list[tuple[str, str]] = field(default_factory=list)
    _halving: Halving = field(default_factory=Halving, init=False)

    @property
    def columns(self) -> list[str]:
        about = OBSERVATION if self.joined else PHOTO
        named = (NAME,) if self.model.names else ()
        columns = [each for name in about for each in (name, *(named if name == "predicted" else ()))]
        return [*columns, *([STRANGE] if self.model.familiarity else []), *self.classes]

    def rows(self, block: Sequence[Observation], counts: Counter[str]) -> list[list]:
        """A row for each observation of a block; counted are answers that are `not sure`, photos that were `refused`,
        and those that the model was `trained on`."""
        given = self.answers(block, counts)
        rows = []
        for observation in block:
            photos = [next(given) for _ in observation.photos]
            readable = [photo for photo in photos if not photo.problem]
            name = [observation.name, len(photos)] if self.joined else [self.names[observation.photos[0]]]
            problem = _problem(photos)
            if not readable:
                empty = [""] * (2 if self.model.names else 1)
                row = [*name, *empty, "", True, problem, ""]
                rows.append([*row, *[""] * (len(self.columns) - len(row))])
                continue
            probabilities = combined([photo.probabilities for photo in readable])
            predicted, unsure = self.best(probabilities)
            counts["not sure"] += unsure
            called = [self.model.names.full(self.classes[predicted])] if self.model.names else []
            answer = [self.classes[predicted], *called, round(probabilities[predicted], DIGITS), unsure, problem]
            values = (round(value, DIGITS) for value in probabilities)
            strange = [mostly_strange([photo.strange for photo in readable])]
            seen = [_seen([photo.seen for photo in readable]), *(strange if self.model.familiarity else [])]
            rows.append([*name, *answer, *seen, *values])
        return rows

    def answers(self, block: Sequence[Observation], counts: Counter[str]) -> Iterator[Answer]:
        """Of each photo of a block; those that cannot be read are noted in `problems`."""
        numbers = [number for observation in block for number in observation.photos]
        given = answers(self.model, self.read(numbers), self.batch_size, self.classes, self._halving)
        for number, answer in zip(numbers, given, strict=True):
            if answer.problem:
                self.problems.append((self.names[number], answer.problem))
            counts["refused"] += bool(answer.problem)
            counts["trained on"] += answer.seen == PARTS[0]
            yield answer

    def best(self, probabilities: Sequence[float]) -> tuple[int, bool]:
        """The number of the most probable class, and whether the answer is not sure."""
        best = max(range(len(probabilities)), key=probabilities.__getitem__)
        return best, probabilities[best] < self.limits[best]


def limits_of(
    sure: float | Mapping[str, float] | str, classes: Sequence[str], known: Mapping[str, float | None] | None,
    names: ClassNames = ClassNames(),  # noqa: B008
) -> Limits:  # fmt: skip
    """The limit of each class, in their order.

    Args:
        sure: one for all classes, one a class, or `model` for those that were measured on validation photos.
        classes: which may be answered.
        known: what was measured for the model, None for a class that no probability is enough for; None if nothing was.
        names: what people call the classes, by which `sure` may speak of them.
    """
    if isinstance(sure, (int, float)):
        return [float(sure)] * len(classes)
    if isinstance(sure, str):
        if known is None:
            raise BadInput(
                "sure=model: the checkpoint has no thresholds; a run that has written report/validation.csv has them, "
                "and so has a bundle that `fishnet export` has made of it."
            )
        limits = [known.get(name) for name in classes]
        return [math.inf if limit is None else float(limit) for limit in limits]
    sure = {str(name): limit for name, limit in sure.items()}
    sure = {names.among(name, classes) or name: limit for name, limit in sure.items()}
    if unknown := sorted({*sure} - {*classes}):
        raise BadInput(f"sure: {few_of(unknown)} cannot be answered; the classes are {few_of(list(classes), 20)}.")
    if missing := [name for name in classes if name not in sure]:
        raise BadInput(f"sure: name a probability for each class; {few_of(missing)} has none.")
    for name, limit in sure.items():
        if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not 0 <= limit <= 1:
            raise BadInput(f"sure: {name}: {limit}: a probability lies between 0 and 1.")
    return [float(sure[name]) for name in classes]


def _problem(photos: Sequence[Answer]) -> str:
    """Why a photo cannot be read; of several photos also how many."""
    problems = [photo.problem for photo in photos if photo.problem]
    if not problems or len(photos) == 1:
        return "".join(problems)
    return f"{len(problems)} of {len(photos)} photos: {few_of(list(dict.fromkeys(problems)), 3)}"


def _seen(parts: Sequence[str]) -> str:
    """The first of train, val, test and new that one of the photos was in: what was learned from is not new."""
    return min(parts, key=lambda part: (*PARTS, NEW, "").index(part))
