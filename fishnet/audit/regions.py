"""Where the animal may be in each photo: what is exchanged lies outside.

Boxes or masks that somebody has drawn are best. Where there are none, the region is estimated; an estimate that leaves
a part of the animal outside lets it travel with the donor, and accuses the class of resting on its own animal.
Every region is (n, side, side), 1 where the animal may be.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import timm
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d

from fishnet.data.folder import PhotoFolder
from fishnet.data.views import Preprocessing
from fishnet.models.backbones import load_local_weights
from fishnet.models.interface import Classifier
from fishnet.models.isolation import eval_mode_restored
from fishnet.models.taps import recorded

WIDE, HIGH = 0.92, 0.62  # half-axes of the central ellipse, in halves of the photo's side
ANIMALS = 398  # ImageNet's first classes are its animals
FINE = 8  # an early layer's cells are at most so many pixels wide
LIKELY, UNLIKELY = 0.88, 0.5  # quantiles of the evidence above and below which a cell teaches fish and ground
RIDGE = 1e-2
SHARE = 0.45  # of the range of a photo's evidence, above which the animal may be


class Regions(NamedTuple):
    """Where the animal may be in each photo, and how that is known.

    Attributes:
        protected: (n, side, side), 1 where the animal may be.
        given: whether somebody has drawn them.
        how: in words.
    """

    protected: Tensor
    given: bool
    how: str


def elliptic(count: int, side: int) -> Regions:
    """The middle of every photo."""
    protected = ellipse(side)[None].expand(count, side, side)
    return Regions(protected, False, "the middle of each photo, where most photographers put the animal")


def animal_regions(
    folder: PhotoFolder, rows: np.ndarray, preprocessing: Preprocessing, name: str, weights: Path
) -> Regions:
    """Boxes around what an ImageNet network takes for an animal."""
    network: Any = timm.create_model(name, num_classes=1000).eval()
    load_local_weights(network, weights)
    mean, std = (torch.tensor(network.pretrained_cfg[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    evidence = [
        animal_evidence(network, (batch["image"].float() / 255 - mean) / std)
        for batch in folder.batches(rows, preprocessing, batch_size=32)
    ]
    protected = above(torch.cat(evidence), SHARE, preprocessing.size)
    return Regions(protected, False, f"boxes around what {name}, trained on ImageNet, takes for an animal")


def ellipse(side: int) -> Tensor:
    """The middle of the photo, (side, side): where most photographers put the animal."""
    across = torch.linspace(-1, 1, side)
    return ((across[None] / WIDE) ** 2 + (across[:, None] / HIGH) ** 2 <= 1).float()


def above(evidence: Tensor, share: float, side: int, *, margin: float = 1.0, boxed: bool = True) -> Tensor:
    """Cells whose evidence lies above a share of the photo's own range, widened.

    Args:
        evidence: (n, rows, columns), higher where the animal is more likely.
        share: 0 takes all cells, 1 the best alone.
        side: of the photos.
        margin: in cells, by which the region is widened on each side.
        boxed: whether the region is the smallest box around the cells, or the cells themselves.
    """
    low, high = evidence.flatten(1).min(1).values, evidence.flatten(1).max(1).values
    chosen = evidence >= (low + share * (high - low))[:, None, None]
    if boxed:
        rows, columns = chosen.any(2), chosen.any(1)
        chosen = _spanned(rows)[:, :, None] & _spanned(columns)[:, None, :]
    region = interpolate(chosen[:, None].float(), (side, side), mode="nearest")[:, 0]
    return widened(region, margin * side / evidence.shape[-1])


def widened(region: Tensor, pixels: float) -> Tensor:
    """Grown by so many pixels on each side."""
    reach = round(pixels)
    return max_pool2d(region[:, None], 2 * reach + 1, stride=1, padding=reach)[:, 0] if reach else region


def _spanned(chosen: Tensor) -> Tensor:
    """All positions between the first and the last chosen one, in each row."""
    forward, backward = chosen.int().cummax(1).values, chosen.flip(1).int().cummax(1).values.flip(1)
    return (forward & backward).bool()


@torch.inference_mode()
def animal_evidence(network: Any, pixels: Tensor) -> Tensor:
    """How much more an ImageNet classifier sees any animal than anything else, cell by cell: (n, rows, columns).

    Args:
        network: of timm, with its own head for ImageNet's 1,000 classes.
        pixels: normalised as the network takes them; larger photos give finer maps.
    """
    head = network.get_classifier()
    weight = head.weight.flatten(1)  # of a linear layer, or of a convolution over single cells
    logits = torch.einsum("nchw,kc->nkhw", network.forward_features(pixels), weight) + head.bias[:, None, None]
    return logits[:, :ANIMALS].logsumexp(dim=1) - logits[:, ANIMALS:].logsumexp(dim=1)


def early_cells(model: Classifier, images: Tensor) -> Tensor:
    """The output of the last convolution whose cells are small: (n, channels, rows, columns)."""
    side = images.shape[-1]
    convolutions = [module for module in model.network.modules() if isinstance(module, nn.Conv2d)]
    with (
        recorded(convolutions, keep=lambda call: call.output) as outputs,
        eval_mode_restored(model),  # type: ignore[arg-type]
        torch.no_grad(),
    ):
        model(images)
    fine = [output for output in outputs if output.shape[-1] * FINE >= side]
    return fine[-1].relu()


def animal_likeness(cells: Tensor, evidence: Tensor, labels: Tensor) -> Tensor:
    """How much each cell looks like the animals of the *other* classes: (n, rows, columns).

    A ridge from early cells to where the other classes' own evidence is high or low. A class's cue cannot teach its own
    region, for it is learned without the class.

    Args:
        cells: (n, channels, rows, columns) of `early_cells`.
        evidence: (n, rows, columns), each photo's evidence for its own class, of any size.
        labels: the class of each photo.
    """
    n, channels, rows, columns = cells.shape
    flat = cells.permute(0, 2, 3, 1).reshape(n, rows * columns, channels)
    resized = interpolate(evidence[:, None], (rows, columns), mode="bilinear").flatten(1)
    likely = resized >= resized.quantile(LIKELY, dim=1, keepdim=True)
    unlikely = resized <= resized.quantile(UNLIKELY, dim=1, keepdim=True)
    scores = torch.zeros(n, rows * columns)
    for label in labels.unique():
        others = labels != label
        features = torch.cat([flat[others][likely[others]], flat[others][unlikely[others]]])
        targets = torch.ones(len(features))
        targets[int(likely[others].sum()) :] = -1
        weights = _ridge(torch.cat([features, torch.ones(len(features), 1)], dim=1), targets)
        scores[~others] = flat[~others] @ weights[:-1] + weights[-1]
    return scores.view(n, rows, columns)


def _ridge(features: Tensor, targets: Tensor) -> Tensor:
    moments = features.T @ features / len(features)
    moments += RIDGE * moments.diagonal().mean() * torch.eye(len(moments))
    return torch.linalg.solve(moments, features.T @ targets / len(features))
