"""Backbone features of photos, computed once and stored: training a head, embeddings and audits all use these.

A feature is the vector that the classifier layer takes in. Under `freeze=backbone` nothing before that layer ever
changes, so a head trained on stored features is the head that training on photos gives.
"""

import hashlib
import json
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from fishnet.data.batch_size import Halving
from fishnet.data.cache import cache_folder
from fishnet.data.conditions import whole_groups
from fishnet.data.folder import PhotoFolder
from fishnet.data.store import Made, Store, Stored
from fishnet.data.views import Preprocessing

from .backbones import drawn_head, single_head
from .interface import Classifier
from .isolation import eval_mode_restored
from .taps import recorded

log = logging.getLogger("fishnet")

PLAIN = {"view": "plain"}  # the settings of photos as they are evaluated


class FixedViews(Protocol):
    """Photos whose views can be told apart by name, so that what is stored of them is found again."""

    @property
    def table(self) -> pd.DataFrame: ...
    def batches(self, rows: np.ndarray, *, view: int | None, device: torch.device) -> Iterator[dict[str, Tensor]]: ...
    def view_settings(self, view: int | None) -> dict[str, Any]: ...


@dataclass(frozen=True)
class EvaluationViews:
    """The photos of a folder as they are evaluated, and no other view of them.

    Args:
        folder: of the photos.
        preprocessing: of the model.
        batch_size: photos at once.
    """

    folder: PhotoFolder
    preprocessing: Preprocessing
    batch_size: int

    @property
    def table(self) -> pd.DataFrame:
        return self.folder.table

    def batches(self, rows: np.ndarray, *, view: int | None, device: torch.device) -> Iterator[dict[str, Tensor]]:
        return self.folder.batches(rows, self.preprocessing, batch_size=self.batch_size, device=device)

    def view_settings(self, view: int | None) -> dict[str, Any]:
        return PLAIN


def unlearned_features(
    model: Classifier, folder: PhotoFolder, *, most: int, batch_size: int, progress: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of photos by which the backbone has learned nothing, and their features (rows, numbers).

    A frozen backbone has learned by no photo of the folder. One that was trained gives its training photos features
    that tell their classes apart by heart, so they are left out, as far as the folder knows them. Where that leaves
    more than `most` photos, whole groups are drawn by lot. What was computed is kept in the folder's cache.

    Args:
        model: a model with features (ask `has_features`), on its device.
        folder: with the model's labels and, where known, what the model has seen.
        most: photos.
        batch_size: photos at once.
        progress: whether to show a bar.
    """
    rows = np.arange(len(folder.table))
    if not is_frozen(model) and "seen" in folder.table:
        rows = np.flatnonzero(folder.table["seen"] != "train")
    groups = np.unique(folder.table["group"].to_numpy()[rows], return_inverse=True)[1]
    rows = rows[whole_groups(groups, most)]
    return rows, kept_features(model, folder, rows, batch_size=batch_size, progress=progress)


def kept_features(
    model: Classifier, folder: PhotoFolder, rows: np.ndarray, *, batch_size: int, progress: bool = True
) -> np.ndarray:
    """The features of these rows as photos are evaluated, (rows, numbers); what was computed is kept in the folder's
    cache, that of trained backbones apart from that of frozen ones, by which `check` compares photos."""
    views = EvaluationViews(folder, model.preprocessing, batch_size)
    kept = feature_folder(folder.root, folder.cache, "features" if is_frozen(model) else "trained_features")
    with tempfile.TemporaryDirectory(prefix="fishnet-features-") as scratch:
        stored = features_of(model, views, rows, folder=kept or Path(scratch), progress=progress)
        return np.stack([stored[position].ravel() for position in range(len(rows))])


def is_frozen(model: Classifier) -> bool:
    """Whether the backbone has learned by no photo of the folder that it was trained on."""
    return getattr(getattr(model, "hparams", None), "freeze", None) == "backbone"


def feature_folder(root: Path, cache: str, name: str = "features") -> Path | None:
    """Where features of a folder's photos are kept: in its cache; None where there is none, or none can be."""
    if cache == "off":
        return None
    folder = cache_folder(root, cache) / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        log.warning("No features can be kept in %s (%s): they are made for this run alone.", folder, error.strerror)
        return None
    return folder


def features_of(
    model: Classifier,
    photos: FixedViews,
    rows: np.ndarray,
    view: int | None = None,
    *,
    folder: Path,
    label: str = "features",
    progress: bool = True,
) -> Stored:
    """The features of these rows of a folder's table, in their order; those that `folder` lacks are computed.

    In float32, whatever the training computes in: the head is measured on them. Stored features are used again only
    for the same photos, backbone weights, preprocessing and view.

    Args:
        model: a model with features (ask `has_features`).
        photos: the folder.
        rows: row numbers of its table.
        view: None for photos as they are evaluated, or the number of a fixed random view.
        folder: where features are stored.
        label: of the progress bar, which `progress=False` leaves out.
    """
    head = single_head(model.network)
    assert head is not None, "only a network for which has_features() holds has features"
    about = {
        **photos.view_settings(view),
        "weights": backbone_digest(model.network),
        **model.preprocessing.as_dict(),
        "version": 4,
    }
    name = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]
    store = Store(folder / name, dtype="float32", about=about)

    def of_photos(images: Tensor) -> Tensor:
        return features_and_logits(model.network, head, model.pixels(images).to(head.weight.dtype))[0]

    def compute(positions: np.ndarray) -> Made:
        remaining, halving = iter(positions.tolist()), Halving()
        for batch in photos.batches(rows[positions], view=view, device=model.device):
            with torch.autocast(model.device.type, enabled=False), torch.compiler.set_stance("force_eager"):
                features = torch.cat(halving(of_photos, batch["image"]))
            yield from zip(islice(remaining, len(features)), features.float().cpu().numpy(), strict=True)

    digests = photos.table["sha256"].iloc[rows].tolist()
    shapes = np.tile(np.array([1, 1, head.in_features], np.int32), (len(rows), 1))
    with eval_mode_restored(model):
        store.fill(digests, shapes, compute, label=label, progress=progress)
    return store.read(digests, shapes)


def has_features(model: Classifier) -> bool:
    """Whether this network's logits are its classifier layer applied to one vector a photo, tried on random photos."""
    head = single_head(model.network)
    if head is None:
        return False
    size = model.preprocessing.size
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 3, size, size), generator=generator, dtype=torch.uint8).to(model.device)
    with eval_mode_restored(model), drawn_head(model.network):
        features, logits = features_and_logits(model.network, head, model.pixels(images))
        return features.ndim == 2 and torch.allclose(head(features), logits, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def features_and_logits(network: nn.Module, head: nn.Module, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """What the classifier layer takes in for a batch of normalised pixels, and the network's logits."""
    with recorded([head], keep=lambda call: call.inputs[0]) as inputs:
        logits = network(pixels)
    return inputs[0], logits


def backbone_digest(network: nn.Module) -> str:
    """Of every weight and statistic but the classifier layer's own."""
    head, digest = single_head(network), hashlib.sha256()
    own = {id(tensor) for tensor in (*head.parameters(), *head.buffers())} if head else set()
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        if id(tensor) not in own:
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().numpy().data)
    return digest.hexdigest()
