"""A folder judged by classifier layers that have not seen the photo: all photos are donors, which a small folder needs.

A frozen backbone has learned from none of the photos; only the classifier layer has. So the photos are parted into
folds, whole groups each, and a new layer for each fold learns from the features of the others. Each donor is judged by
the layer that knows none of its fold. The photos that donors are laid into are learned from by no layer, nor is any of
their groups.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import nn

from fishnet.data.folder import PhotoFolder
from fishnet.errors import BadInput
from fishnet.measure.calibration import fit_temperature
from fishnet.models.classifier import ImageClassifier
from fishnet.models.features import has_features, unlearned_features

from .exchange import Effects
from .folder import FolderAudit, audit_of, effects_of, sample_of
from .heads import MOST, new_layer, with_head
from .information import FOLDS, balanced_folds
from .regions import Regions


def check_folds(model: ImageClassifier, folder: PhotoFolder) -> None:
    """Refuse a model whose layer alone cannot forget the photos: its backbone has learned from some, or there is none
    that features are taken from."""
    if not has_features(model):
        raise BadInput("part=folds: this network has no single linear classifier layer; leave part=auto.")
    trained = int((folder.table["seen"] == "train").sum()) if "seen" in folder.table else 0
    if model.hparams["freeze"] != "backbone" and trained:
        raise BadInput(
            f"part=folds: the backbone was trained on {trained} of these photos, and new classifier layers do not "
            "undo that; leave part=auto, or train with model.freeze=backbone."
        )


class FoldLayers(NamedTuple):
    """New classifier layers on the features of some photos.

    Attributes:
        layers: one a fold, that has learned from the others.
        names: of each, equal for layers that have learned the same.
        fold: of each photo.
        logits: of each photo, by the layer that does not know it.
        temperature: by which these are divided to be probabilities.
    """

    layers: list[nn.Linear]
    names: list[str]
    fold: np.ndarray
    logits: np.ndarray
    temperature: float


def audit_folds(
    model: ImageClassifier, folder: PhotoFolder, regions_of: Callable[[np.ndarray], Regions], *, stored: Path,
    about: dict, most_donors: int, hosts: int, alpha: float, batch_size: int, progress: bool = True,
) -> FolderAudit:  # fmt: skip
    """Judge every class by the photos of the folder, at most MOST of them; the arguments are those of `audit_folder`.

    Args:
        model: one that `check_folds` does not refuse.
    """
    rows, features = unlearned_features(model, folder, most=MOST, batch_size=batch_size, progress=progress)
    sample = sample_of(model, folder, rows, regions_of, most_donors=most_donors, hosts=hosts)
    photos = folder.table.iloc[rows]
    held = photos["group"].isin(sample.photos["group"].iloc[sample.hosts]).to_numpy()
    judges = layers_of(model, photos, features, held)
    fold_of = dict(zip(rows.tolist(), judges.fold.tolist(), strict=True))
    fold = np.array([fold_of[row] for row in sample.rows[sample.donors].tolist()])
    effects = {}
    for number in np.unique(fold):
        judge = with_head(model, judges.layers[number])
        judge.temperature.fill_(judges.temperature)
        named = {**about, "layer": judges.names[number], "temperature": judges.temperature}
        part = sample._replace(donors=sample.donors[fold == number])
        effects[number] = effects_of(judge, folder, part, stored=stored, about=named, progress=progress)
    labels = photos["label"].to_numpy()
    return audit_of(model.classes, sample, labels, judges.logits, joined(effects, fold), alpha, folds=FOLDS)


def layers_of(model: ImageClassifier, photos: pd.DataFrame, features: np.ndarray, held: np.ndarray) -> FoldLayers:
    """A layer for each fold of the photos, learned from the features of the other folds.

    Args:
        model: whose classes and device are taken.
        photos: with label, group and sha256.
        features: of each photo.
        held: photos that no layer learns from.
    """
    labels, digests = photos["label"].to_numpy(), photos["sha256"].to_numpy()
    groups = np.unique(photos["group"], return_inverse=True)[1]
    fold = balanced_folds(labels, groups, np.random.default_rng(0))[0][groups]
    inputs, own = (torch.tensor(values, device=model.device) for values in (features, labels))
    logits, layers, names = np.zeros((len(labels), len(model.classes)), np.float32), [], []
    for number in range(FOLDS):
        known = np.flatnonzero((fold != number) & ~held)
        if missing := sorted(set(labels) - set(labels[known])):
            raise BadInput(
                f"part=folds: {model.classes[missing[0]]} has too few groups of photos for {FOLDS} folds beside the "
                "photos that are laid into: add photos, or give fewer hosts."
            )
        layers.append(new_layer(len(model.classes), inputs[known], own[known]))
        names.append(hashlib.sha256("".join(f"{digests[row]}{labels[row]}" for row in known).encode()).hexdigest())
        with torch.inference_mode():
            logits[fold == number] = layers[-1](inputs[fold == number]).cpu().numpy()
    return FoldLayers(layers, names, fold, logits, fit_temperature(logits, labels))


def joined(parts: dict[int, Effects], fold: np.ndarray) -> Effects:
    """The effects of all donors in their order, from those of each fold."""
    order = np.argsort(np.concatenate([np.flatnonzero(fold == number) for number in parts]))
    first, several = next(iter(parts.values())), list(parts.values())
    logits, probabilities = (
        np.concatenate([getattr(part, name) for part in several], axis=1)[:, order]
        for name in ("logits", "probabilities")
    )
    labels, groups, whole = (
        np.concatenate([getattr(part, name) for part in several])[order] for name in ("labels", "groups", "whole")
    )
    return Effects(first.kinds, logits, probabilities, labels, groups, whole)
