"""The two networks of the GAN: a narrow generator and the discriminator that it learns from.

Re-implemented from the papers. The generator's blocks (gated units, excitation of high resolutions by low ones) are
those of FastGAN (Liu et al. 2021), the spread of a batch as a feature that of Karras et al. (2018), the judgement of
patches that of Isola et al. (2017). Both networks are small, for they are to learn from some hundred photos.
"""

import itertools
import math

import torch
from torch import Tensor, nn

START = 4  # side of the smallest maps
EXCITES = {4: 32, 8: 64, 16: 128}  # side of the maps that excite → side of the maps that are excited
PATCHED = 8  # side of the maps on which patches are judged: one cell sees about half of the photo's width
SPREAD_GROUP = 4  # photos over which the spread is taken, so that it does not depend on the size of the batch
SLOPE = 0.2  # of leaky rectifiers


def widths_of(size: int, width: int) -> dict[int, int]:
    """Channels by side of the maps: `width` at 64 pixels, twice as many at each halving, at most eight times."""
    sides = [START * 2**step for step in range(int(math.log2(size // START)) + 1)]
    return {side: max(8, min(8 * width, width * 64 // side)) for side in sides}


class Gated(nn.Module):
    """Twice the nearest-neighbour size, a convolution, and half of its channels as gates of the other half."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(before, 2 * after, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(2 * after)

    def forward(self, maps: Tensor) -> Tensor:
        maps = nn.functional.interpolate(maps, scale_factor=2, mode="nearest")
        return nn.functional.glu(self.norm(self.convolution(maps)), dim=1)


class Excitation(nn.Module):
    """Low-resolution maps decide how much each channel of high-resolution maps counts."""

    def __init__(self, low: int, high: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(START)
        self.squeeze = nn.Conv2d(low, high, START)
        self.excite = nn.Conv2d(high, high, 1)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        squeezed = nn.functional.leaky_relu(self.squeeze(self.pool(low)), 0.1)
        return high * torch.sigmoid(self.excite(squeezed))


class Generator(nn.Module):
    """Noise (N × latent) → photos (N × 3 × size × size) from -1 to 1.

    Args:
        latent: numbers that a photo is drawn from.
        size: side of the photos, a power of two from 16 on.
        width: channels at 64 pixels.
    """

    def __init__(self, *, latent: int, size: int, width: int) -> None:
        super().__init__()
        self.widths = widths_of(size, width)
        sides = list(self.widths)
        first = self.widths[START]
        self.start = nn.ConvTranspose2d(latent, 2 * first, START, bias=False)
        self.start_norm = nn.BatchNorm2d(2 * first)
        steps = itertools.pairwise(sides)
        self.blocks = nn.ModuleList([Gated(self.widths[low], self.widths[high]) for low, high in steps])
        pairs = [(low, high) for low, high in EXCITES.items() if high in self.widths]
        self.excitations = nn.ModuleDict(
            {str(high): Excitation(self.widths[low], self.widths[high]) for low, high in pairs}
        )
        self.excited_by = {high: low for low, high in pairs}
        self.colours = nn.Conv2d(self.widths[size], 3, 3, padding=1)
        for weight in (p for p in self.parameters() if p.ndim == 4):
            nn.init.orthogonal_(weight)

    def forward(self, noise: Tensor) -> Tensor:
        start = self.start(nn.functional.normalize(noise, dim=1)[:, :, None, None] * noise.shape[1] ** 0.5)
        maps = {START: nn.functional.glu(self.start_norm(start), dim=1)}
        side = START
        for block in self.blocks:
            made = block(maps[side])
            side *= 2
            if side in self.excited_by:
                made = self.excitations[str(side)](maps[self.excited_by[side]], made)
            maps[side] = made
        return torch.tanh(self.colours(maps[side]))


class Halving(nn.Module):
    """Half the side: two convolutions, beside an averaged short cut."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 4, stride=2, padding=1)
        self.second = nn.Conv2d(after, after, 3, padding=1)
        self.short_cut = nn.Conv2d(before, after, 1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        made = self.second(nn.functional.leaky_relu(self.first(maps), SLOPE))
        short = self.short_cut(nn.functional.avg_pool2d(maps, 2))
        return nn.functional.leaky_relu((made + short) / math.sqrt(2), SLOPE)


class Discriminator(nn.Module):
    """Photos (-1 to 1) → logits, N × (1 + cells): of the whole photo, and of each patch. High means real.

    It has no batch norm: R1 and R2 are penalties of single photos.

    Args:
        size: side of the photos.
        width: channels at 64 pixels.
    """

    def __init__(self, *, size: int, width: int) -> None:
        super().__init__()
        widths = widths_of(size, width)
        sides = list(widths)[::-1]
        self.stem = nn.Conv2d(3, widths[size], 3, padding=1)
        pairs = list(itertools.pairwise(sides))
        self.blocks = nn.ModuleList([Halving(widths[high], widths[low]) for high, low in pairs])
        self.patched = [low for _, low in pairs].index(PATCHED)
        self.patches = nn.Conv2d(widths[PATCHED], 1, 1)
        self.whole = nn.Conv2d(widths[START] + 1, widths[START], 3, padding=1)
        self.head = nn.Linear(widths[START] * START**2, 1)

    def forward(self, images: Tensor) -> Tensor:
        maps, patches = nn.functional.leaky_relu(self.stem(images), SLOPE), None
        for number, block in enumerate(self.blocks):
            maps = block(maps)
            if number == self.patched:
                patches = self.patches(maps).flatten(1)
        assert patches is not None
        maps = torch.cat([maps, spread(maps)], dim=1)
        maps = nn.functional.leaky_relu(self.whole(maps), SLOPE)
        return torch.cat([self.head(maps.flatten(1)), patches], dim=1)


def spread(maps: Tensor) -> Tensor:
    """One more map: how much the photos of a group differ. A generator that always draws the same gives itself away."""
    count, _, rows, columns = maps.shape
    size = next(size for size in range(min(SPREAD_GROUP, count), 0, -1) if count % size == 0)
    groups = maps.view(size, count // size, *maps.shape[1:])
    deviation = (groups.var(dim=0, unbiased=False) + 1e-8).sqrt().mean(dim=(1, 2, 3))
    return deviation.repeat(size).view(count, 1, 1, 1).expand(count, 1, rows, columns)
