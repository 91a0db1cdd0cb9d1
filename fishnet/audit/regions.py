"""Where the animal may be in each photo: what is exchanged lies outside.

Boxes or masks that somebody has drawn are best. Where there are none, the region is estimated; an estimate that leaves
a part of the animal outside lets it travel with the donor, and accuses the class of resting on its own animal.
Every region is (n, side, side), 1 where the animal may be.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import timm
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d

from fishnet.explain.gradcam import NothingToExplain
from fishnet.explain.maps import batch_maps
from fishnet.models.backbones import load_local_weights
from fishnet.models.interface import Classifier
from fishnet.models.isolation import eval_mode_restored
from fishnet.models.taps import recorded

from .kinds import blurred

WIDE, HIGH = 0.92, 0.62  # half-axes of the central ellipse, in halves of the photo's side
ANIMALS = 398  # ImageNet's first classes are its animals
FINE = 8  # an early layer's cells are at most so many pixels wide
LIKELY, UNLIKELY = 0.88, 0.5  # quantiles of the evidence above and below which a cell teaches fish and ground
RIDGE = 1e-2
SHARE = 0.45  # of the range of a photo's evidence for ImageNet's animals, above which the animal may be
LIKE = 0.45  # of the range of its likeness to other classes' animals


class Regions(NamedTuple):
    """Where the animal may be in each photo, and how that is known.

    Attributes:
        protected: (n, side, side), 1 where the animal may be.
        given: whether somebody has drawn them.
        how: in words.
        travels: whether parts of the animals are known to lie outside, so that every class moves.
    """

    protected: Tensor
    given: bool
    how: str
    travels: bool = False


def elliptic(count: int, side: int) -> Regions:
    """The middle of every photo."""
    protected = ellipse(side)[None].expand(count, side, side)
    return Regions(protected, False, "the middle of each photo, where most photographers put the animal")


def animal_regions(batches: Iterable[Tensor], side: int, name: str, weights: Path) -> Regions:
    """Boxes around what an ImageNet network takes for an animal, in photos of bytes."""
    network: Any = timm.create_model(name, num_classes=1000).eval()
    load_local_weights(network, weights)
    mean, std = (torch.tensor(network.pretrained_cfg[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    evidence = [animal_evidence(network, (images.cpu().float() / 255 - mean) / std) for images in batches]
    protected = above(torch.cat(evidence), SHARE, side)
    return Regions(protected, False, f"boxes around what {name}, trained on ImageNet, takes for an animal")


def ellipse(side: int, wide: float = WIDE, high: float = HIGH) -> Tensor:
    """The middle of the photo, (side, side): where most photographers put the animal."""
    across = torch.linspace(-1, 1, side)
    return ((across[None] / wide) ** 2 + (across[:, None] / high) ** 2 <= 1).float()


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


def learned_regions(model: Classifier, batches: Callable[[], Iterable[Tensor]], labels: np.ndarray) -> Regions:
    """What looks like the animals of the *other* classes, as the model itself sees them.

    A ridge from early cells to where the other classes' evidence for their own class is high or low. A class's cue
    cannot teach its own region, for the region is learned without the class.

    Args:
        model: on its device.
        batches: yields all photos in their order, on that device; called twice, so that memory does not grow.
        labels: the class of each photo.
    """
    teacher = Likeness(len(model.classes))
    start = 0
    for images in batches():
        own = torch.from_numpy(labels[start : start + len(images)])
        teacher.learn(early_cells(model, images), own_evidence(model, images, own), own)
        start += len(images)
    weights, masks, start = teacher.weights(), [], 0
    for images in batches():
        own = torch.from_numpy(labels[start : start + len(images)])
        scores = blurred(teacher.score(early_cells(model, images), own, weights)[:, None], 1.0)[:, 0]
        masks.append(above(scores, LIKE, images.shape[-1], boxed=False).bool())
        start += len(images)
    how = "what looks, to the model, like the animals of the other classes"
    return Regions(torch.cat(masks).float(), False, how)


def own_evidence(model: Classifier, images: Tensor, labels: Tensor) -> Tensor:
    """(n, rows, columns): where each photo's evidence for its own class lies."""
    return batch_maps(model, images, targets=labels)[0]  # type: ignore[arg-type]


def early_cells(model: Classifier, images: Tensor) -> Tensor:
    """The output of the last convolution whose cells are small: (n, channels, rows, columns)."""
    side = images.shape[-1]
    convolutions = [module for module in model.network.modules() if isinstance(module, nn.Conv2d)]
    with recorded(convolutions, keep=lambda call: call.output) as outputs, eval_mode_restored(model), torch.no_grad():
        model(images)
    fine = [output for output in outputs if output.shape[-1] * FINE >= side]
    if not fine:
        raise NothingToExplain("this network has no convolution with small cells.")
    return fine[-1].relu().float().cpu()


class Likeness:
    """A ridge for each class, from the cells of all other classes to where their animals are.

    What is kept are moments: as many numbers for a million photos as for one.
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self._moments: Tensor | None = None  # (classes, channels + 1, channels + 1)
        self._targets: Tensor | None = None  # (classes, channels + 1)

    def learn(self, cells: Tensor, evidence: Tensor, labels: Tensor) -> None:
        """Take in photos: their cells, and their evidence for their own class at any resolution."""
        features = _with_constant(cells)  # (n, cells, channels + 1)
        resized = interpolate(evidence[:, None], cells.shape[2:], mode="bilinear").flatten(1)
        likely = resized >= resized.quantile(LIKELY, dim=1, keepdim=True)
        unlikely = resized <= resized.quantile(UNLIKELY, dim=1, keepdim=True)
        target = likely.float() - unlikely.float()
        weighted = features * (likely | unlikely)[..., None]
        if self._moments is None:
            width = features.shape[-1]
            self._moments = torch.zeros(self.classes, width, width, dtype=torch.float64)
            self._targets = torch.zeros(self.classes, width, dtype=torch.float64)
        assert self._targets is not None
        for label in labels.unique().tolist():
            own = weighted[labels == label].flatten(0, 1).double()
            self._moments[label] += own.T @ own
            self._targets[label] += own.T @ target[labels == label].flatten().double()

    def weights(self) -> Tensor:
        """(classes, channels + 1), each learned without its class."""
        assert self._moments is not None and self._targets is not None
        moments = self._moments.sum(0) - self._moments
        targets = self._targets.sum(0) - self._targets
        diagonal = moments.diagonal(dim1=1, dim2=2).mean(1)
        steady = RIDGE * diagonal[:, None, None] * torch.eye(moments.shape[-1], dtype=torch.float64)
        return torch.linalg.solve(moments + steady, targets).float()

    def score(self, cells: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        """(n, rows, columns): how much each cell looks like an animal of another class."""
        return torch.einsum("npc,nc->np", _with_constant(cells), weights[labels]).unflatten(1, cells.shape[2:])


def _with_constant(cells: Tensor) -> Tensor:
    flat = cells.flatten(2).mT
    return torch.cat([flat, torch.ones(*flat.shape[:2], 1)], dim=2)
