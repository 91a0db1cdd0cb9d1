"""Whether a mended model is better, and by how much: chosen on validation photos, reported once on others.

Nobody knows in a collected folder which photos carry a cue and which do not, and no group labels are used here: what is
chosen by are validation photos that were given the surroundings of others, carriers among them. Groups that twins find
(`twins.py`) are a second way to choose, whose figure is reported beside the first.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import torch

from fishnet.data.folder import PhotoFolder
from fishnet.measure.calibration import fit_temperature
from fishnet.measure.intervals import intervals
from fishnet.measure.pairs import Pair
from fishnet.measure.predictions import Predictions
from fishnet.models.features import has_features
from fishnet.models.interface import Classifier
from fishnet.models.isolation import eval_mode_restored

from .augmenting import BANK, ELLIPSE, Augmentation
from .comparison import compared
from .folder import FolderAudit, answers
from .heads import features_of_photos, shown_photos
from .kinds import KINDS
from .significance import ALPHA
from .twins import cross_mistakes, worst_accuracy
from .verdicts import Verdict

MOST_LOST = 0.01  # of the macro-F1 on validation photos as they are
WORST = "validation_worst_group"  # the figure by the twins' groups


Model = TypeVar("Model", bound=Classifier)


class Scores(NamedTuple):
    """On validation photos.

    Attributes:
        plain: macro-F1 on the photos as they are, in which a cue still helps whoever rests on it.
        exchanged: macro-F1 on the same photos exchanged.
        lost: how much lower `plain` is than that of the model before, beyond one standard error of the difference.
        worst: the lowest accuracy of a group that twins tell apart, on the photos as they are; NaN where none is.
    """

    plain: float
    exchanged: float
    lost: float = 0.0
    worst: float = math.nan


@dataclass(frozen=True)
class Mending:
    """What mending has brought.

    Args:
        how: `head` or `retrain`.
        kinds: what was exchanged in training.
        before, after: scores on validation photos.
        checkpoint: of the mended model; None where it was not better, and the model stays as it was.
        figures: reliance of each class that rests on a shortcut, accuracy and macro-F1, before and after with their
            intervals, on photos that no choice was made by; and the lowest accuracy of a twins' group on validation
            photos. No row where nothing was mended.
        by_twins: what the lowest accuracy of a twins' group would have taken, see `choice_by_twins`.
    """

    how: str
    kinds: list[str]
    before: Scores
    after: Scores
    checkpoint: Path | None
    figures: pd.DataFrame
    by_twins: str = ""

    def row(self, figure: str, name: str = "") -> pd.Series:
        """The figure of a class, or of all."""
        return self.figures[(self.figures["figure"] == figure) & (self.figures["class"] == name)].iloc[0]


def kinds_found(found: Sequence[Verdict], alpha: float = ALPHA) -> list[str]:
    """What training is to exchange: random ellipses, and each kind that by itself shows a class to rest on it."""
    shortcuts = [verdict.test for verdict in found if verdict.word == "shortcut"]
    level = alpha / len(found)
    shown = {kind for test in shortcuts for kind, p in test.by_kind.items() if p * len(test.by_kind) < level}
    return [ELLIPSE, *(kind for kind in KINDS if kind in shown | {test.kind for test in shortcuts})]


def mend(
    how: str, model: Model, candidates: Sequence[Model], folder: PhotoFolder, audit: FolderAudit,
    found: Sequence[Verdict], photos: pd.DataFrame, *, checkpoint: Path, stored: Path, about: Callable[[Model], dict],
    alpha: float, batch_size: int, seed: int,
) -> tuple[Mending, Model]:  # fmt: skip
    """Choose among the candidates, and measure the model before and the chosen one; the model itself where none is
    better.

    Args:
        how: `head` or `retrain`.
        model: that was audited.
        candidates: mended models.
        folder: with the model's labels, and with what it has seen.
        audit, found: of the model.
        photos: with `path`, `seen` and `carries`.
        checkpoint: where the mended model lies, or will.
        stored: where effects are kept.
        about: names a model, see `measure_effects`.
        alpha: of the audit.
        batch_size: photos whose answers are asked for at once.
        seed: of what is exchanged on validation photos.
    """
    kinds = kinds_found(found, alpha)
    exchange = exchange_of(model, folder, photos, "val", kinds)
    before, *scores = validated([model, *candidates], folder, exchange, batch_size=batch_size, seed=seed)
    best = best_of(before, scores)
    by_twins = choice_by_twins(before, scores, best)
    if best is None:
        nearest = max(scores, key=lambda score: score.exchanged)
        return Mending(how, kinds, before, nearest, None, pd.DataFrame(columns=["figure", "class"]), by_twins), model
    after = candidates[best]
    if how == "head":
        recalibrate(after, folder, batch_size=batch_size)
    figures = compared(
        (model, after), folder, audit, found, stored=stored, abouts=(about(model), about(after)), batch_size=batch_size
    )
    if by_twins:
        worst = {"figure": WORST, "class": "", "before": before.worst, "after": scores[best].worst}
        figures = pd.concat([figures, pd.DataFrame([worst])], ignore_index=True)
    return Mending(how, kinds, before, scores[best], checkpoint, figures, by_twins), after


def exchange_of(
    model: Classifier, folder: PhotoFolder, photos: pd.DataFrame, part: str, kinds: Sequence[str]
) -> Augmentation:
    """Every photo of a part exchanged, by these kinds; half of the donors are that part's carriers (of `photos`)."""
    carriers = photos.loc[photos["carries"] & (photos["seen"] == part), "path"]
    rows = np.random.default_rng(0).permutation(np.flatnonzero(folder.table["path"].isin(carriers)))[:BANK]
    return Augmentation(kinds, 1.0, folder.photos(rows.tolist(), model.preprocessing) if len(rows) else None)


def macro_f1(logits: np.ndarray, labels: np.ndarray) -> float:
    """Without an interval."""
    predictions = Predictions(np.arange(len(labels)), labels, logits.astype(np.float64))
    return intervals(predictions, np.zeros(len(labels)), logits.shape[1], resamples=0)["f1_macro"].value


def validated(
    models: Sequence[Classifier], folder: PhotoFolder, augmentation: Augmentation, *, batch_size: int, seed: int
) -> list[Scores]:
    """Of the model before and its candidates, by the photos that the first one was chosen by; each is shown the same
    exchanged photos. Twins are trained on what the classifier layer of the model before takes in."""
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(folder.table["seen"] == "val"))
    labels, groups = (folder.table[name].to_numpy()[rows] for name in ("label", "group"))
    mistaken, ways = None, (None, augmentation)
    if has_features(models[0]):
        plain = shown_photos(models[0], folder, rows, None, batch_size=batch_size, seed=seed)
        mistaken = cross_mistakes(features_of_photos(models[0], plain).cpu().numpy(), labels, groups, seed=seed)
    answers = [
        [_logits(model, folder, rows, way, batch_size=batch_size, seed=seed) for way in ways] for model in models
    ]
    return scores_of(answers, labels, groups, mistaken)


def scores_of(
    answers: Sequence[Sequence[np.ndarray]], labels: np.ndarray, groups: np.ndarray, mistaken: np.ndarray | None = None
) -> list[Scores]:
    """From the logits of each model, the one before first, on the photos as they are and exchanged; `mistaken`: the
    photos' groups by `cross_mistakes`."""
    scores = []
    for plain, exchanged in answers:
        predicted = [logits.argmax(axis=1)[None] for logits in (answers[0][0], plain)]
        pair = Pair(
            label=labels, first=predicted[0], second=predicted[1], group=groups, classes=plain.shape[1],
            metric="f1_macro",
        )  # fmt: skip
        lost = pair.value - pair.error()
        worst = math.nan if mistaken is None else worst_accuracy(predicted[1][0], labels, mistaken)
        scores.append(Scores(macro_f1(plain, labels), macro_f1(exchanged, labels), lost, worst))
    return scores


def best_of(
    before: Scores, candidates: Sequence[Scores], by: Literal["exchanged", "worst"] = "exchanged"
) -> int | None:
    """The number of the best candidate on exchanged photos, or by the worst group; None where none is better, or each
    surely loses too much on the photos as they are. A few validation photos say little: a point of theirs may be a
    single photo."""
    allowed = [number for number, scores in enumerate(candidates) if scores.lost <= MOST_LOST]
    best = max(allowed, key=lambda number: getattr(candidates[number], by), default=None)
    return best if best is not None and getattr(candidates[best], by) > getattr(before, by) else None


def choice_by_twins(before: Scores, candidates: Sequence[Scores], best: int | None) -> str:
    """What the lowest accuracy of a twins' group takes, beside the `best` one that was taken: the `same` candidate (or
    none as well), an `other` one, or `none`; empty where there are no such groups."""
    if math.isnan(before.worst):
        return ""
    choice = best_of(before, candidates, by="worst")
    return "same" if choice == best else "none" if choice is None else "other"


def recalibrate(model: Classifier, folder: PhotoFolder, *, batch_size: int) -> None:
    """Fit the temperature anew, on the photos that the first model was chosen by."""
    rows = np.flatnonzero(folder.table["seen"] == "val")
    logits = answers(model, folder, rows, batch_size)
    model.temperature.fill_(fit_temperature(logits, folder.table["label"].to_numpy()[rows]))


@torch.inference_mode()
def _logits(model: Classifier, folder, rows, augmentation, *, batch_size: int, seed: int) -> np.ndarray:
    photos = shown_photos(model, folder, rows, augmentation, batch_size=batch_size, seed=seed)
    with eval_mode_restored(model), torch.autocast(model.device.type, enabled=False):
        return torch.cat([model(images).cpu() for images in photos]).numpy()
