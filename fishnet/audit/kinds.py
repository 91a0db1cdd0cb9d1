"""What of one photo can be laid into another without its animal: what surrounds it, or how it was taken and coded.

Regions are pieces of the donor's photo outside both protected regions. Properties are measured outside the donor's
protected region and applied to the whole host. Nothing of the donor's animal may travel: a kind belongs here only if
its p-values are uniform on folders without a cue, which `experiments/planted_cues` measures kind by kind.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import pad
from torchvision.transforms.v2.functional import gaussian_blur

REGIONS = ("outer", "ring", "corners")
PROPERTIES = ("colour", "light", "grid", "sharp")
KINDS = (*REGIONS, *PROPERTIES)

RING, CORNER = 0.073, 0.27  # width of the ring and side of a corner, in sides of the photo
EDGE = 1.5  # pixels over which a region fades out
SLOW = 0.146  # of the side: illumination changes more slowly than this
CODING_BLOCK = 8  # JPEG codes photos in blocks of so many pixels
BANDS = (0.7, 1.4, 3.0)  # blurs, in pixels, between which sharpness is measured


@dataclass(frozen=True)
class Views:
    """Photos as a model sees them, with the region of each that belongs to the animal.

    Args:
        pixels: (n, 3, side, side), 0 to 1.
        protected: (n, 1, side, side), 1 where the animal may be and 0 elsewhere.
    """

    pixels: Tensor
    protected: Tensor

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def side(self) -> int:
        return self.pixels.shape[-1]

    @cached_property
    def outside(self) -> Tensor:
        """1 where no animal is."""
        return 1 - self.protected

    @cached_property
    def soft_outside(self) -> Tensor:
        """The same with a soft edge."""
        return blurred(self.outside, EDGE)

    @cached_property
    def area(self) -> Tensor:
        """Pixels outside, at least one."""
        return self.outside.sum(dim=(2, 3), keepdim=True).clamp(min=1)

    @cached_property
    def colour(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each channel outside, (n, 3, 1, 1) each."""
        mean = self._outside_mean(self.pixels)
        return mean, self._outside_mean((self.pixels - mean) ** 2).sqrt() + 0.02

    @cached_property
    def light(self) -> Tensor:
        """Slow illumination as it is outside, carried on into the animal: (n, 3, side, side)."""
        reach = blurred(self.outside, SLOW * self.side) + 1e-3
        return blurred(self.pixels * self.outside, SLOW * self.side) / reach + 0.03

    @cached_property
    def surroundings(self) -> Tensor:
        """The photo with the animal painted over by the light around it, so that no edge of it is measured."""
        return self.pixels * self.outside + self.light * self.protected

    @cached_property
    def detail(self) -> Tensor:
        """What is finer than the coding grid's own steps."""
        return self.pixels - blurred(self.pixels, 0.8)

    @cached_property
    def grid(self) -> tuple[Tensor, Tensor]:
        """Fine detail outside by column and by row of the coding grid, (n, 3, 8) each."""
        strength = (self.surroundings - blurred(self.surroundings, 0.8)).abs() * self.outside
        return _by_phase(strength.sum(2), self.outside.sum(2)), _by_phase(strength.sum(3), self.outside.sum(3))

    @cached_property
    def bands(self) -> tuple[list[Tensor], Tensor]:
        """The photo as three bands of detail, from fine to coarse, and what is left."""
        return in_bands(self.pixels)

    @cached_property
    def sharpness(self) -> Tensor:
        """Mean strength of each band outside, (3, n, 1, 1, 1)."""
        bands = in_bands(self.surroundings)[0]
        means = [self._outside_mean(band.abs()).mean(dim=1, keepdim=True) for band in bands]
        return torch.stack(means) + 2e-3

    def _outside_mean(self, values: Tensor) -> Tensor:
        return (values * self.outside).sum(dim=(2, 3), keepdim=True) / self.area


def exchanged(kind: str, hosts: Views, donors: Views) -> Tensor:
    """Every host with what every donor brings of this kind: (donors, hosts, 3, side, side), 0 to 1."""
    if kind in REGIONS:
        mask = region(kind, hosts.side, hosts.pixels.device) * hosts.soft_outside[None] * donors.soft_outside[:, None]
        return hosts.pixels[None] * (1 - mask) + donors.pixels[:, None] * mask
    return _APPLIED[kind](hosts, donors).clamp(0, 1)


def exchanged_share(kind: str, hosts: Views, donors: Views) -> float:
    """The mean share of a host's pixels that a donor replaces (regions) or that a property is measured on."""
    if kind in PROPERTIES:
        return float(donors.outside.mean())
    mask = region(kind, hosts.side, hosts.pixels.device)
    return float((mask * hosts.outside[None] * donors.outside[:, None]).mean())


def region(kind: str, side: int, device: torch.device) -> Tensor:
    """Where a region lies in the photo if nothing is protected: (side, side), with soft inner edges."""
    mask = torch.ones(side, side, device=device)
    if kind == "ring":
        width = round(RING * side)
        mask[width : side - width, width : side - width] = 0
    elif kind == "corners":
        corner = round(CORNER * side)
        mask[corner : side - corner] = mask[:, corner : side - corner] = 0
    return mask if kind == "outer" else blurred(mask[None, None], 1.0)[0, 0]


def in_bands(pixels: Tensor) -> tuple[list[Tensor], Tensor]:
    """Three bands of detail, from fine to coarse, and what is left; their sum is the photo."""
    levels = [pixels, *(blurred(pixels, sigma) for sigma in BANDS)]
    return [fine - coarse for fine, coarse in pairwise(levels)], levels[-1]


def blurred(values: Tensor, sigma: float) -> Tensor:
    """A Gaussian blur of (n, c, side, side), along and across; it reaches no further than the photo is wide."""
    reach = min(max(1, round(3 * sigma)), min(values.shape[-2:]) - 1)
    return gaussian_blur(gaussian_blur(values, [2 * reach + 1, 1], [sigma]), [1, 2 * reach + 1], [sigma])


def _by_phase(values: Tensor, weights: Tensor) -> Tensor:
    """(n, 3, side) sums and their (n, 1, side) weights → weighted means (n, 3, 8) by the position in a coding block."""
    sums, counts = (
        pad(each, (0, -each.shape[-1] % CODING_BLOCK)).unflatten(-1, (-1, CODING_BLOCK)).sum(dim=-2)
        for each in (values, weights)
    )
    return sums / counts.clamp(min=1) + 1e-3


def _colour(hosts: Views, donors: Views) -> Tensor:
    (host_mean, host_spread), (mean, spread) = hosts.colour, donors.colour
    contrast = (spread[:, None] / host_spread[None]).clamp(0.5, 2)
    return (hosts.pixels - host_mean)[None] * contrast + mean[:, None]


def _light(hosts: Views, donors: Views) -> Tensor:
    return hosts.pixels[None] * (donors.light[:, None] / hosts.light[None]).clamp(0.2, 5)


def _grid(hosts: Views, donors: Views) -> Tensor:
    phase = torch.arange(hosts.side, device=hosts.pixels.device) % CODING_BLOCK
    columns, rows = (theirs[:, None] / own[None] for theirs, own in zip(donors.grid, hosts.grid, strict=True))
    factor = (columns[..., phase][..., None, :] * rows[..., phase][..., :, None]).clamp(0, 9).sqrt()
    return hosts.pixels[None] + hosts.detail[None] * (factor - 1)


def _sharp(hosts: Views, donors: Views) -> Tensor:
    own, base = hosts.bands
    factors = (donors.sharpness[:, :, None] / hosts.sharpness[:, None]).clamp(0.2, 4)
    return base[None] + sum(band[None] * factor for band, factor in zip(own, factors, strict=True))


_APPLIED: dict[str, Callable[[Views, Views], Tensor]] = {
    "colour": _colour, "light": _light, "grid": _grid, "sharp": _sharp,
}  # fmt: skip
