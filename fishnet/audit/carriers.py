"""Which of the photos that a model was trained on carry what a class rests on.

The test itself asks photos that the model has not learned from. But what is to be mended is the training: its carriers
are laid into the same hosts, by the kind that was found alone, and held against the same donors of other classes.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from fishnet.data.folder import PhotoFolder
from fishnet.models.interface import Classifier

from .exchange import measure_effects
from .folder import FolderAudit, region_digest, views
from .regions import Regions
from .significance import CARRIER
from .verdicts import Verdict

AT_ONCE = 400  # training photos


def training_carriers(
    model: Classifier,
    folder: PhotoFolder,
    audit: FolderAudit,
    found: list[Verdict],
    regions_of: Callable[[np.ndarray], Regions],
    *,
    stored: Path,
    about: dict,
    progress: bool = True,
) -> pd.DataFrame:
    """The training photos of classes that rest on a shortcut, a row each: the folder's columns, and `kind`, `rise`
    (of the class's probability in hosts of other classes) and `carries`. No row where nothing was found, or where
    out-of-fold layers have judged, to which training photos are donors like any other.

    Args:
        model: that was audited.
        folder: with the model's labels, and with what it has seen.
        audit: of the photos that it has not learned from.
        found: a verdict a class.
        regions_of: where the animal may be in the photos of given rows.
        stored: where effects are kept.
        about: names the model.
        progress: whether to show a bar.
    """
    table, labels = folder.table, folder.table["label"].to_numpy()
    resting = [label for label, verdict in enumerate(found) if verdict.word == "shortcut"]
    trained = table["seen"].to_numpy() == "train" if "seen" in table else np.zeros(len(table), bool)
    trained[audit.rows[audit.donors]] = False  # with part=all they have been tried
    rows = np.flatnonzero(trained & np.isin(labels, resting) & (audit.folds == 0))
    if not len(rows):
        return table.iloc[rows].assign(kind="", rise=0.0, carries=False)
    return pd.concat(
        [
            _tried(model, folder, audit, found, part, regions_of, stored=stored, about=about, progress=progress)
            for part in np.array_split(rows, -(-len(rows) // AT_ONCE))
        ]
    )


def _tried(
    model: Classifier, folder: PhotoFolder, audit: FolderAudit, found: list[Verdict], rows: np.ndarray,
    regions_of: Callable[[np.ndarray], Regions], *, stored: Path, about: dict, progress: bool,
) -> pd.DataFrame:  # fmt: skip
    """The same for some rows, few enough for their regions to lie in memory."""
    table, labels = folder.table, folder.table["label"].to_numpy()
    own, count = labels[rows], len(audit.rows)
    kind_of = {label: found[label].test.kind for label in np.unique(own).tolist()}
    kinds = sorted(set(kind_of.values()))
    both = np.concatenate([audit.rows, rows])
    learned = regions_of(both).protected[count:]  # of both, for a region may be learned from the other classes
    protected = torch.cat([audit.regions.protected, learned])
    keys = [f"{table['sha256'].iloc[row]}{region_digest(mask)}" for row, mask in zip(both, protected, strict=True)]
    effects = measure_effects(
        model, partial(views, model, folder, both, protected), labels[both], table["group"].to_numpy()[both], keys,
        hosts=audit.hosts, donors=np.arange(count, len(both)), folder=stored, about=about, kinds=kinds,
        progress=progress,
    )  # fmt: skip
    positions, number = np.arange(len(rows)), np.array([kinds.index(kind_of[label]) for label in own])
    borders = {label: carrier_border(audit, label, kind) for label, kind in kind_of.items()}
    return table.iloc[rows].assign(
        kind=[kind_of[label] for label in own],
        rise=effects.probabilities[number, positions, own].round(5),
        carries=effects.logits[number, positions, own] > np.array([borders[label] for label in own]),
    )


def carrier_border(audit: FolderAudit, label: int, kind: str) -> float:
    """The change of the logit that hardly any donor of another class reaches."""
    values = audit.effects.logits[audit.effects.kinds.index(kind), :, label]
    return float(np.quantile(values[audit.effects.labels != label], CARRIER))
