"""How near generated photos are to real ones, measured while a GAN learns, with features that need no download.

KID and FID are usually computed on features of a network trained on ImageNet. Such weights may not be at hand, and a
classifier of one's own may not exist yet; while a GAN learns, fixed random convolutions take their place. Values on
these features rank the epochs of one run; they compare with no published figure.
"""

import torch
from torch import Tensor, nn

CELLS = 4  # colours and filters are averaged in so many cells a side
FILTERS = (24, 32, 48, 64)
LEAST = 0.3  # of the mean deviation: a feature in which real photos hardly differ must not rule the rest


class DrawnFeatures(nn.Module):
    """Photos (-1 to 1) → N × features: colours by place, and means and spreads of random filters at four scales.

    The filters are the same in every run.
    """

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        widths = (3, *FILTERS)
        self.layers = nn.ModuleList()
        for before, after in zip(widths, FILTERS, strict=False):
            layer = nn.Conv2d(before, after, 3, padding=1, bias=False)
            weight = torch.randn(layer.weight.shape, generator=generator) * (2 / (9 * before)) ** 0.5
            layer.weight = nn.Parameter(weight, requires_grad=False)
            self.layers.append(layer)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        features = [nn.functional.adaptive_avg_pool2d(images, CELLS).flatten(1)]
        maps = images
        for layer in self.layers:
            maps = nn.functional.relu(layer(maps))
            features += [maps.mean(dim=(2, 3)), maps.std(dim=(2, 3))]
            maps = nn.functional.avg_pool2d(maps, 2)
        features.append(nn.functional.adaptive_avg_pool2d(maps, 2).flatten(1))
        return torch.cat(features, dim=1)


def kernel_distance(real: Tensor, generated: Tensor) -> float:
    """The kernel distance (KID) between two sets of features; 0 for equal sources, 16 at most.

    Features are standardised by the real photos and squashed to -1 to 1: far-out photos, as they are drawn in the
    first epochs, would be cubed. The estimate is unbiased: for few photos it scatters, and may lie below zero. Of a
    single photo there is none (nan).
    """
    if min(len(real), len(generated)) < 2:
        return float("nan")
    mean, deviation = real.mean(dim=0), real.std(dim=0)
    deviation = deviation.clamp(min=max(LEAST * float(deviation.mean()), 1e-6))
    first, second = (torch.tanh((features - mean) / deviation) for features in (real, generated))
    within = [(kernel(side, side).sum() - kernel_of_itself(side)) / (len(side) * (len(side) - 1))
              for side in (first, second)]  # fmt: skip
    return float(sum(within) - 2 * kernel(first, second).mean())


def kernel(first: Tensor, second: Tensor) -> Tensor:
    """The cubic kernel of KID. torchmetrics' own sums want as many photos on both sides, which is rarely so here."""
    return (first @ second.T / first.shape[1] + 1) ** 3


def kernel_of_itself(features: Tensor) -> Tensor:
    """The sum over photos of the kernel of each with itself."""
    return ((features.square().sum(dim=1) / features.shape[1] + 1) ** 3).sum()


def mean_distance(features: Tensor) -> float:
    """The mean Euclidean distance between two of the photos; generated ones that are all alike come near to 0."""
    return float(nn.functional.pdist(features).mean())


def taken_for_real(real: Tensor, generated: Tensor, judged: Tensor) -> float:
    """The share of `judged` logits above the middle between what is known as real and what was generated.

    A relativistic discriminator learns differences alone, so that its logits have no zero: the middle between the
    medians of both kinds is where it draws the line.
    """
    line = (real.median() + generated.median()) / 2
    return float((judged > line).float().mean())
