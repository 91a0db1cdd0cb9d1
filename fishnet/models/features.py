"""Backbone features of photos, computed once and stored: training a head, embeddings and audits all use these.

A feature is the vector that the classifier layer takes in. Under `freeze=backbone` nothing before that layer ever
changes, so a head trained on stored features is the head that training on photos gives.
"""

import hashlib
import json
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from fishnet.data.folder import PhotoSource
from fishnet.data.store import Made, Store, Stored

from .backbones import drawn_head, single_head
from .interface import Classifier
from .isolation import eval_mode_restored
from .taps import recorded


class FixedViews(PhotoSource, Protocol):
    """Photos whose views can be told apart by name, so that what is stored of them is found again."""

    def view_settings(self, view: int | None) -> dict[str, Any]: ...


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

    def compute(positions: np.ndarray) -> Made:
        remaining = iter(positions.tolist())
        for batch in photos.batches(rows[positions], view=view, device=model.device):
            with torch.autocast(model.device.type, enabled=False), torch.compiler.set_stance("force_eager"):
                pixels = model.pixels(batch["image"]).to(head.weight.dtype)
                features, _ = features_and_logits(model.network, head, pixels)
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
