"""What photos of the same subject or observer are worth to a classifier: the gap that a split by photo hides.

A linear head on stored features is asked about every photo, after it was fitted without that photo, without all photos
of its subject, and without all of its observer (`Head` has the closed form, so that nothing is trained). The first
answer is what a split by photo would promise, the last one what a stranger's photos of new animals will get.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.special import ndtri

from fishnet.data.duplicates import merged
from fishnet.data.folder import PhotoFolder
from fishnet.measure.intervals import intervals
from fishnet.measure.pairs import Pair
from fishnet.measure.predictions import Predictions
from fishnet.models.features import has_features, unlearned_features
from fishnet.models.interface import Classifier
from fishnet.text import counted

from .ridge import MOST, PENALTY, Head

FEWEST_SHARED = 0.05  # of the photos: where fewer share a subject, leaving subjects out is leaving photos out
TAIL = ndtri(0.975)
COLUMNS = (
    "unit", "units", "photos", "accuracy", "accuracy_low", "accuracy_high", "f1_macro", "f1_macro_low",
    "f1_macro_high", "gap", "gap_low", "gap_high",
)  # fmt: skip


def leakage_of(model: Classifier, folder: PhotoFolder, *, batch_size: int) -> pd.DataFrame | None:
    """The table of `leakage_table` for a folder's photos by which the backbone has learned nothing.

    None where nothing can be said: the network has no features, no two photos share a subject or an observer as far as
    the folder knows, or the photos are of a single class.

    Args:
        model: on its device.
        folder: with the model's labels and, where known, what the model has seen.
        batch_size: photos at once.
    """
    units = dict(units_of(folder))
    if not units or not has_features(model):
        return None
    rows, features = unlearned_features(model, folder, most=MOST, batch_size=batch_size)
    labels = np.unique(folder.table["label"].to_numpy()[rows], return_inverse=True)[1]
    groups = folder.table["group"].to_numpy()[rows]
    if labels.max(initial=0) == 0 or len(np.unique(groups)) < 2:
        return None
    return leakage_table(features, labels, groups, {name: blocks[rows] for name, blocks in units.items()})


def units_of(folder: PhotoFolder) -> Iterator[tuple[str, np.ndarray]]:
    """What may be left out beside single photos, as a number for each photo of the table: `subject`, where groups are
    asked for and some photos share one, and `observer`, where the manifest names two or more.

    An observer's photos go together with all photos of the subjects in them; a photo without observer with its subject.
    """
    groups = folder.table["group"].to_numpy()
    if folder.group not in (None, "none") and len(np.unique(groups)) <= (1 - FEWEST_SHARED) * len(groups):
        yield "subject", groups
    person = folder.table.get("observer", pd.Series("", folder.table.index)).astype(str).to_numpy()
    if len(set(person) - {""}) > 1:
        alone = len(person) + np.arange(len(person))
        yield "observer", merged(groups, np.where(person == "", alone, pd.factorize(person)[0]))


def leakage_table(
    features: np.ndarray, labels: np.ndarray, groups: np.ndarray, units: dict[str, np.ndarray],
    penalty: float = PENALTY,
) -> pd.DataFrame:  # fmt: skip
    """A row for each unit that is left out, `photo` first, with COLUMNS.

    Accuracy and macro-F1 are of a head that knows no photo of the same unit, with 95 % intervals over groups; `gap` is
    how much higher the accuracy of `photo` is. A class of a single unit is never recognised without it.

    Args:
        features: (photos, numbers), as stored by a backbone.
        labels: of the photos, 0 to the number of classes.
        groups: of the photos, by which intervals are drawn.
        units: by name, which photos are left out together. One that holds all photos leaves no head and is left out.
        penalty: of the ridge.
    """
    head, classes = Head.fitted(features, labels, penalty), int(labels.max()) + 1
    rows, first = [], np.zeros(0)
    for name, blocks in {"photo": np.arange(len(labels)), **units}.items():
        numbers = np.unique(blocks, return_inverse=True)[1]
        if numbers.max() == 0:
            continue
        answers = head.without(numbers)
        first = answers if name == "photo" else first
        figures = intervals(Predictions(np.arange(len(labels)), labels, answers), groups, classes)
        row = {"unit": name, "units": int(numbers.max()) + 1, "photos": len(labels)}
        for metric in ("accuracy", "f1_macro"):
            row |= dict(zip((metric, f"{metric}_low", f"{metric}_high"), figures[metric], strict=True))
        rows.append(row | gap(first, answers, labels, groups))
    return pd.DataFrame(rows)[list(COLUMNS)]


def gap(first: np.ndarray, second: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    """How much higher the accuracy of the first answers is, with its 95 % interval over groups."""
    predicted = [answers.argmax(axis=1)[None] for answers in (first, second)]
    pair = Pair(
        label=labels, first=predicted[0], second=predicted[1], group=groups, classes=first.shape[1], metric="accuracy"
    )
    half = TAIL * pair.error()
    return {"gap": pair.value, "gap_low": pair.value - half, "gap_high": pair.value + half}


def leakage_metrics(table: pd.DataFrame) -> dict[str, float]:
    """Names as in MLflow: the accuracy of each unit; `leakage/gap` is that of subjects, or else of observers."""
    values = {f"leakage/{unit}": float(value) for unit, value in zip(table["unit"], table["accuracy"], strict=True)}
    gaps = dict(zip(table["unit"], table["gap"], strict=True))
    known = next((unit for unit in ("subject", "observer") if unit in gaps), None)
    return values | ({"leakage/gap": float(gaps[known])} if known else {})


def leakage_sentences(table: pd.DataFrame) -> list[str]:
    """What the table says, a sentence for each unit beside `photo`."""
    words = {
        "subject": ("other photos of the same subject", "share a subject"),
        "observer": ("other photos of the same observer", "share an observer or a subject"),
    }
    photo, *others = table.to_dict("records")
    sentences = []
    for row in others:
        known, shared = words[row["unit"]]
        ends = f"[{100 * row['gap_low']:.0f}, {100 * row['gap_high']:.0f}]"
        sentences.append(
            f"a linear head on these features is right on {photo['accuracy']:.2f} of {row['photos']} photos when "
            f"{known} are known, and on {row['accuracy']:.2f} when they are not: photos that {shared} are worth "
            f"{counted(round(100 * row['gap']), 'point')} {ends}"
        )
    return sentences
