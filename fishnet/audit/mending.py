"""Whether a mended model is better, and by how much: chosen on validation photos, reported once on others.

Nobody knows in a collected folder which photos carry a cue and which do not, and no group labels are used here: what is
chosen by are validation photos that were given the surroundings of others, carriers among them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from fishnet.data.folder import PhotoFolder
from fishnet.data.seen import UNSEEN
from fishnet.measure.calibration import fit_temperature
from fishnet.measure.intervals import Interval, intervals
from fishnet.measure.pairs import Pair
from fishnet.measure.predictions import Predictions
from fishnet.models.interface import Classifier
from fishnet.models.isolation import eval_mode_restored

from .augmenting import BANK, ELLIPSE, Augmentation
from .exchange import HOSTS, choose_hosts, measure_effects
from .folder import FolderAudit, answers, region_digest, views
from .heads import shown_photos
from .kinds import KINDS
from .significance import ALPHA, price_of
from .verdicts import Verdict

MOST_LOST = 0.01  # of the macro-F1 on validation photos as they are
RESAMPLES = 200  # of groups; only intervals of losses, which are not reported, hang on it
NO_FIGURES = pd.DataFrame(columns=["figure", "class"])


class Scores(NamedTuple):
    """On validation photos.

    Attributes:
        plain: macro-F1 on the photos as they are, in which a cue still helps whoever rests on it.
        exchanged: macro-F1 on the same photos exchanged.
        lost: how much lower `plain` is than that of the model before, beyond one standard error of the difference.
    """

    plain: float
    exchanged: float
    lost: float = 0.0


@dataclass(frozen=True)
class Mending:
    """What mending has brought.

    Args:
        how: `head` or `retrain`.
        kinds: what was exchanged in training.
        before, after: scores on validation photos.
        checkpoint: of the mended model; None where it was not better, and the model stays as it was.
        figures: reliance of each class that rests on a shortcut, accuracy and macro-F1, before and after with their
            intervals, on photos that no choice was made by; no row where nothing was mended.
    """

    how: str
    kinds: list[str]
    before: Scores
    after: Scores
    checkpoint: Path | None
    figures: pd.DataFrame

    def row(self, figure: str, name: str = "") -> pd.Series:
        """The figure of a class, or of all."""
        return self.figures[(self.figures["figure"] == figure) & (self.figures["class"] == name)].iloc[0]


def kinds_found(found: Sequence[Verdict], alpha: float = ALPHA) -> list[str]:
    """What training is to exchange: random ellipses, and each kind that by itself shows a class to rest on it."""
    shortcuts = [verdict.test for verdict in found if verdict.word == "shortcut"]
    level = alpha / len(found)
    shown = {kind for test in shortcuts for kind, p in test.by_kind.items() if p * len(test.by_kind) < level}
    return [ELLIPSE, *(kind for kind in KINDS if kind in shown | {test.kind for test in shortcuts})]


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
    exchanged photos."""
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(folder.table["seen"] == "val"))
    ways = (None, augmentation)
    answers = [
        [_logits(model, folder, rows, way, batch_size=batch_size, seed=seed) for way in ways] for model in models
    ]
    return scores_of(answers, *(folder.table[name].to_numpy()[rows] for name in ("label", "group")))


def scores_of(answers: Sequence[Sequence[np.ndarray]], labels: np.ndarray, groups: np.ndarray) -> list[Scores]:
    """From the logits of each model, the one before first, on the photos as they are and exchanged."""
    scores = []
    for plain, exchanged in answers:
        predicted = [logits.argmax(axis=1)[None] for logits in (answers[0][0], plain)]
        pair = Pair(
            label=labels, first=predicted[0], second=predicted[1], group=groups, classes=plain.shape[1],
            metric="f1_macro",
        )  # fmt: skip
        lost = pair.value - pair.error()
        scores.append(Scores(macro_f1(plain, labels), macro_f1(exchanged, labels), lost))
    return scores


def best_of(before: Scores, candidates: Sequence[Scores]) -> int | None:
    """The number of the best candidate on exchanged photos; None where none is better, or each surely loses too much on
    the photos as they are. A few validation photos say little: a point of theirs may be a single photo."""
    allowed = [number for number, scores in enumerate(candidates) if scores.lost <= MOST_LOST]
    best = max(allowed, key=lambda number: candidates[number].exchanged, default=None)
    return best if best is not None and candidates[best].exchanged > before.exchanged else None


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


def compared(
    models: Sequence[Classifier],
    folder: PhotoFolder,
    audit: FolderAudit,
    found: Sequence[Verdict],
    *,
    stored: Path,
    abouts: Sequence[dict],
    batch_size: int,
    progress: bool = True,
) -> pd.DataFrame:
    """The figures of `Mending`, of the model before and after.

    Args:
        models: before and after.
        folder: whose photos that the model has neither learned from nor was chosen by are measured.
        audit: of the first one; its donors and hosts of these photos are exchanged again.
        found: its verdicts.
        stored: where effects are kept.
        abouts: names of both models.
        batch_size: photos whose answers are asked for at once.
        progress: whether to show bars.
    """
    before, after = (
        measured(model, folder, audit, found, stored=stored, about=about, batch_size=batch_size, progress=progress)
        for model, about in zip(models, abouts, strict=True)
    )
    return pd.DataFrame(
        [
            {"figure": figure, "class": name, **_columns("before", before[figure, name]), **_columns("after", values)}
            for (figure, name), values in after.items()
        ]
    )


def _columns(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def measured(
    model: Classifier, folder: PhotoFolder, audit: FolderAudit, found: Sequence[Verdict], *, stored: Path, about: dict,
    batch_size: int, progress: bool,
) -> dict[tuple[str, str], Interval]:  # fmt: skip
    """By figure and class: of photos that the model has neither learned from nor was chosen by."""
    rows = folder.rows("unseen")
    labels, groups = (folder.table[name].to_numpy()[rows] for name in ("label", "group"))
    logits = answers(model, folder, rows, batch_size).astype(np.float64)
    predictions = Predictions(np.arange(len(rows)), labels, logits)
    figures = intervals(predictions, groups, len(audit.classes), resamples=RESAMPLES)
    prices = reliances(model, folder, audit, found, stored=stored, about=about, progress=progress)
    return {**prices, **{(name, ""): figures[name] for name in ("accuracy", "f1_macro")}}


def reliances(
    model: Classifier, folder: PhotoFolder, audit: FolderAudit, found: Sequence[Verdict], *, stored: Path, about: dict,
    progress: bool,
) -> dict[tuple[str, str], Interval]:  # fmt: skip
    """How much each class that rests on a shortcut rises with its carriers beyond other donors, in photos of the audit
    that the model has neither learned from nor was chosen by; with ends of NaN where there are too few."""
    photos = audit.photos
    unseen = photos["seen"].isin(UNSEEN).to_numpy()
    labels, groups = photos["label"].to_numpy(), photos["group"].to_numpy()
    digests = photos["sha256"].tolist()
    keys = [digest + region_digest(mask) for digest, mask in zip(digests, audit.regions.protected, strict=True)]
    shortcuts = {label: verdict.test for label, verdict in enumerate(found) if verdict.word == "shortcut"}
    among = unseen[audit.donors]
    effects = measure_effects(
        model, partial(views, model, folder, audit.rows, audit.regions.protected), labels, groups, keys,
        hosts=choose_hosts(labels, digests, np.flatnonzero(unseen), HOSTS), donors=audit.donors[among], folder=stored,
        about=about, kinds=sorted({test.kind for test in shortcuts.values()}), progress=progress,
    )  # fmt: skip
    result = {}
    for label, test in shortcuts.items():
        carriers = np.flatnonzero(np.isin(np.flatnonzero(among), test.carriers))
        value = Interval(*price_of(effects, label, test.kind, carriers))
        finite = value if np.isfinite(value.low) else Interval(value.value, np.nan, np.nan)
        result["reliance", audit.classes[label]] = finite
    return result
