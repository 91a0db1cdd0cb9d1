"""A model before and after it was mended, on photos by which nothing was learned and nothing chosen."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fishnet.data.folder import PhotoFolder
from fishnet.data.seen import UNSEEN
from fishnet.measure.intervals import Interval, intervals
from fishnet.measure.predictions import Predictions
from fishnet.models.interface import Classifier

from .exchange import HOSTS, choose_hosts
from .folder import FolderAudit, answers, effects_again
from .significance import price_of, share_of
from .verdicts import Verdict

RESAMPLES = 200  # of groups; only intervals of losses, which are not reported, hang on it


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
    """For each class that rests on a shortcut, the share of the answer that comes with it, and how much its probability
    rises with its carriers beyond other donors; in photos of the audit that the model has neither learned from nor was
    chosen by, with ends of NaN where there are too few."""
    photos = audit.photos
    unseen = photos["seen"].isin(UNSEEN).to_numpy()
    labels, digests = photos["label"].to_numpy(), photos["sha256"].tolist()
    shortcuts = {label: verdict.test for label, verdict in enumerate(found) if verdict.word == "shortcut"}
    among = unseen[audit.donors]
    effects = effects_again(
        model, folder, audit, hosts=choose_hosts(labels, digests, np.flatnonzero(unseen), HOSTS),
        donors=audit.donors[among], kinds=sorted({test.kind for test in shortcuts.values()}), stored=stored,
        about=about, progress=progress,
    )  # fmt: skip
    result = {}
    for label, test in shortcuts.items():
        carriers = np.flatnonzero(np.isin(np.flatnonzero(among), test.carriers))
        figures = {
            "share": share_of(effects, label, test.kind, test.left_out),
            "reliance": price_of(effects, label, test.kind, carriers, test.left_out),
        }
        for figure, (value, low, high) in figures.items():
            ends = (low, high) if np.isfinite(low) else (np.nan, np.nan)
            result[figure, audit.classes[label]] = Interval(value, *ends)
    return result
