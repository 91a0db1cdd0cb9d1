"""Figures of generated photos beside real ones: kernel and Fréchet distances, and the nearest training photo of each.

KID and FID are those of torchmetrics, on features that the caller has computed: a classifier's own, since the usual
weights of an Inception network may not be at hand. Such values compare with each other and with no published figure.
"""

import warnings
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

HALVINGS = 50  # random halves of the real photos
SMALL = 32  # pixels a side on which photos are compared
WINDOW, REACH = 24, 4  # side of the compared middle, and pixels by which a copy may be shifted, both of SMALL


class Given(nn.Module):
    """Stands for the feature network where features are given already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features  # torchmetrics asks for it

    def forward(self, features: Tensor) -> Tensor:
        return features


def kid(real: Tensor, generated: Tensor) -> float:
    """The unbiased kernel distance of two sets of features; near 0, or below it, where they come from one source."""
    from torchmetrics.image.kid import KernelInceptionDistance

    size = min(len(real), len(generated))
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore", UserWarning)  # of the memory for large folders
        torch.manual_seed(0)
        subsets = 1 if len(real) == len(generated) else HALVINGS
        metric = KernelInceptionDistance(feature=Given(real.shape[1]), subsets=subsets, subset_size=size)
        metric.update(real, real=True)
        metric.update(generated, real=False)
        return float(metric.compute()[0])


def fid(real: Tensor, generated: Tensor) -> float:
    """The Fréchet distance of two sets of features; the fewer photos, the larger it is, even for one source."""
    from torchmetrics.image.fid import FrechetInceptionDistance

    real, generated = in_their_span(real, generated)
    metric = FrechetInceptionDistance(feature=Given(real.shape[1]))
    metric.update(real, real=True)
    metric.update(generated, real=False)
    return float(metric.compute())


def in_their_span(real: Tensor, generated: Tensor) -> tuple[Tensor, Tensor]:
    """The same points in as few numbers as they span, with the same distances: fewer than there are photos.

    The Fréchet distance takes roots of a matrix with as many rows as there are features: of 2,048, seconds each time.
    """
    both = torch.cat([real, generated]).double()
    if len(both) >= both.shape[1]:
        return real, generated
    mean = both.mean(dim=0)
    axes = torch.linalg.svd(both - mean, full_matrices=False).Vh
    return (real.double() - mean) @ axes.T, (generated.double() - mean) @ axes.T


class OfHalves(NamedTuple):
    """KID and FID between random halves of one set, and the KID that one halving in twenty exceeds."""

    kid: float
    kid_high: float
    fid: float


def between_halves(real: Tensor) -> OfHalves:
    """What two sets of real photos differ by, over HALVINGS random halvings: the measure of all other distances."""
    rng = np.random.default_rng(0)
    kids, fids, half = [], [], len(real) // 2
    for _ in range(HALVINGS):
        order = torch.from_numpy(rng.permutation(len(real)))
        first, second = real[order[:half]], real[order[half : 2 * half]]
        kids.append(kid(first, second))
        fids.append(fid(first, second))
    return OfHalves(float(np.mean(kids)), float(np.quantile(kids, 0.95)), float(np.mean(fids)))


class Nearest(NamedTuple):
    """Of each photo: the row of the training photo that is nearest, and how far it is (root mean square of colours,
    0 to 1)."""

    rows: np.ndarray
    distances: np.ndarray


def nearest_training(photos: Tensor, training: Tensor) -> Nearest:
    """The nearest of the training photos, each of them also mirrored and shifted; a copy lies at a distance of 0.

    The middle of a photo is held against every window of a training photo that lies up to an eighth of the side away.

    Args:
        photos: uint8, N × 3 × size × size.
        training: uint8, M × 3 × size × size.
    """
    wanted, candidates = _small(photos), _small(training)
    edge = (SMALL - WINDOW) // 2
    middle = wanted[:, :, edge : edge + WINDOW, edge : edge + WINDOW].flatten(1)
    best = torch.full((len(wanted),), float("inf"))
    rows = torch.zeros(len(wanted), dtype=torch.long)
    for mirrored in (candidates, candidates.flip(3)):
        for top in range(edge - REACH, edge + REACH + 1):
            for left in range(edge - REACH, edge + REACH + 1):
                windows = mirrored[:, :, top : top + WINDOW, left : left + WINDOW].flatten(1)
                found, row = torch.cdist(middle, windows).min(dim=1)
                rows = torch.where(found < best, row, rows)
                best = torch.minimum(best, found)
    return Nearest(rows.numpy(), best.numpy() / middle.shape[1] ** 0.5)


def _small(photos: Tensor) -> Tensor:
    return nn.functional.interpolate(photos.float() / 255, size=(SMALL, SMALL), mode="area")
