"""What a frozen backbone says of each photo, computed once: training its head, embeddings and audits all ask here.

A feature is what the classifier layer gets to see. Under `freeze=backbone` nothing before that layer ever changes, so
a head trained on stored features is the head that the slow way trains.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fishnet.data.store import Made, Store, Stored

from .backbones import single_head
from .isolation import unchanged

Batches = Callable[[np.ndarray], Iterable[dict[str, Tensor]]]


def has_features(model) -> bool:
    """Whether this network's logits are its classifier layer applied to one vector a photo."""
    head = single_head(model.network)
    if head is None:
        return False
    size = model.preprocessing.size
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 3, size, size), generator=generator, dtype=torch.uint8).to(model.device)
    with unchanged(model):
        features, logits = features_of(model.network, head, model.pixels(images))
        return features.ndim == 2 and torch.allclose(head(features), logits, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def features_of(network: nn.Module, head: nn.Module, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """The features of a batch of normalised pixels, and the logits that the network makes of them."""
    seen: list[Tensor] = []
    handle = head.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    try:
        logits = network(pixels)
    finally:
        handle.remove()
    return seen[0], logits


def folder_features(
    model,
    keys: Sequence[str],
    batches: Batches,
    *,
    place: Path,
    about: dict[str, Any],
    label: str = "features",
    progress: bool = True,
    context: Callable[[], AbstractContextManager] = nullcontext,
) -> Stored:
    """The features of the photos with these digests, in their order; `batches(positions)` shows the missing ones in
    theirs.

    `about` says which weights and which views those are; how the model wants its photos is added here.
    """
    head = single_head(model.network)
    assert head is not None, "has_features() was not asked"
    about = {**about, **model.preprocessing.as_dict(), "version": 3}
    name = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]
    store = Store(place / name, dtype="float32", about=about)

    def make(positions: np.ndarray) -> Made:
        left = iter(positions.tolist())
        for batch in batches(positions):
            with context():
                features, _ = features_of(model.network, head, model.pixels(batch["image"]))
            yield from zip(islice(left, len(features)), features.float().cpu().numpy(), strict=True)

    with unchanged(model):
        shapes = np.tile(np.array([1, 1, head.in_features], np.int32), (len(keys), 1))
        store.fill(keys, shapes, make, label=label, progress=progress)
    return store.read(keys, shapes)


def backbone_digest(network: nn.Module) -> str:
    """Of every weight and statistic but the classifier's own."""
    head = single_head(network)
    assert head is not None, "has_features() was not asked"
    digest = hashlib.sha256()
    own = {id(tensor) for tensor in (*head.parameters(), *head.buffers())}
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        if id(tensor) not in own:
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().numpy().data)
    return digest.hexdigest()
