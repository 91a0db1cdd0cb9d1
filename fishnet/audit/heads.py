"""A new classifier layer on features of exchanged photos: the cheapest remedy for a shortcut, in seconds.

The backbone stays as it is, and with it whatever it has learned of the cue; only what the classifier layer makes of it
changes. That recovers less than training again, and is tried first.
"""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fishnet.data.folder import PhotoFolder
from fishnet.models.backbones import single_head
from fishnet.models.checkpoint import read_checkpoint, write_checkpoint
from fishnet.models.classifier import ImageClassifier
from fishnet.models.features import features_and_logits
from fishnet.models.interface import Classifier
from fishnet.models.isolation import eval_mode_restored
from fishnet.models.run_model import with_weights_of

from .augmenting import Augmentation

MOST = 5000  # training photos, which is plenty for one layer and keeps memory small
COPIES = 2  # of each training photo that are exchanged, beside the photo as it is
STRENGTHS = (1.0, 0.1, 0.01, 0.001)  # of the pull back to the present layer, tried in turn
STEPS = 60  # of L-BFGS
PULL = 0.001  # of a layer that learns from nothing, towards zero

Model = TypeVar("Model", bound=Classifier)


def shown_photos(
    model: Classifier, folder: PhotoFolder, rows: np.ndarray, augmentation: Augmentation | None, *, batch_size: int,
    seed: int,
) -> Iterator[Tensor]:  # fmt: skip
    """Batches of these rows as they are evaluated, on the model's device, exchanged where there is an augmentation;
    the donors are of the batch, so the rows should come in random order."""
    rng = np.random.default_rng(seed)
    for batch in folder.batches(rows, model.preprocessing, batch_size=batch_size, device=model.device):
        yield batch["image"] if augmentation is None else augmentation(batch["image"], rng)


@torch.inference_mode()
def features_of_photos(model: Classifier, photos: Iterator[Tensor]) -> Tensor:
    """What the classifier layer takes in of batches of photos."""
    head = single_head(model.network)
    assert head is not None, "only a network for which has_features() holds has features"
    with eval_mode_restored(model), torch.autocast(model.device.type, enabled=False):
        parts = [features_and_logits(model.network, head, model.pixels(images))[0] for images in photos]
    return torch.cat(parts).float()


def mended_models(
    model: Model, folder: PhotoFolder, augmentation: Augmentation, *, batch_size: int, seed: int
) -> list[Model]:
    """The model with classifier layers that were fitted to its training photos, as they are and exchanged, one for each
    of STRENGTHS."""
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(folder.table["seen"] == "train"))[:MOST]
    ways = [None, *[augmentation] * COPIES]
    parts = [
        features_of_photos(model, shown_photos(model, folder, rows, way, batch_size=batch_size, seed=seed + number))
        for number, way in enumerate(ways)
    ]  # fmt: skip
    labels = torch.from_numpy(np.tile(folder.table["label"].to_numpy()[rows], len(ways))).to(model.device)
    head = single_head(model.network)
    assert head is not None
    return [with_head(model, fitted(head, torch.cat(parts), labels, strength)) for strength in STRENGTHS]


def fitted(head: nn.Linear, features: Tensor, labels: Tensor, strength: float) -> nn.Linear:
    """A copy of the layer with the least cross-entropy, begun at the layer and pulled back to it.

    Args:
        head: the present layer.
        features: (n, features) that it takes in.
        labels: their classes.
        strength: of the pull, in units of the mean square of a feature, so that it means the same for any network.
    """
    with torch.inference_mode(False), torch.enable_grad():
        new, features = deepcopy(head).float().requires_grad_(True), features.clone()
        before = [parameter.detach().clone() for parameter in new.parameters()]
        scale = strength * float(features.square().mean())
        optimizer = torch.optim.LBFGS(new.parameters(), max_iter=STEPS, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimizer.zero_grad()
            pull = sum((now - then).square().sum() for now, then in zip(new.parameters(), before, strict=True))
            value = cross_entropy(new(features), labels) + scale * pull
            value.backward()
            return value

        optimizer.step(loss)  # type: ignore[arg-type]
    return new.requires_grad_(False)


def new_layer(classes: int, features: Tensor, labels: Tensor) -> nn.Linear:
    """A layer that has learned from these photos alone, whatever that of the network knows."""
    layer = nn.Linear(features.shape[1], classes, device=features.device)
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return fitted(layer, features, labels, PULL)


def with_head(model: Model, head: nn.Linear) -> Model:
    """A copy of the model with this classifier layer."""
    copy: Any = deepcopy(model)
    own = single_head(copy.network)
    assert own is not None
    own.load_state_dict(head.state_dict())
    return copy


def keep_mended(model: ImageClassifier, file: Path, *, instead_of: Path, kinds: list[str]) -> None:
    """Write a mended model as an ordinary checkpoint that says what was done to it, and to which."""
    model.mended = {"from": str(instead_of), "how": "head", "kinds": kinds, "share": 1.0}
    write_checkpoint(with_weights_of(model, read_checkpoint(instead_of)), file)
