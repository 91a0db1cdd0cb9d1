"""The exchange as augmentation: training photos that are given the surroundings, light or coding of others.

What is exchanged at random says nothing about the class any more, so that a network cannot rest on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fishnet.errors import BadInput
from fishnet.text import nearest

from .kinds import KINDS, Views, exchanged_pairs
from .regions import ellipse

ELLIPSE = "ellipse"  # all but an ellipse in the middle, whose size is random
LAID = (ELLIPSE, *KINDS)
SMALLEST, LARGEST = (0.55, 0.28), (0.95, 0.66)  # half-axes of that ellipse, in halves of the photo's side
OF_CARRIERS = 0.5  # share of the donors
SHARE = 0.55  # of the photos of a batch
BANK = 256  # carriers that are kept in memory, at most


@dataclass(frozen=True)
class Augmentation:
    """Photos of a batch in which a share has been exchanged.

    Args:
        kinds: what is exchanged, one of LAID for each photo that it is done to.
        share: of the photos.
        carriers: (n, 3, side, side) photos known to carry what a class rests on; half of the donors are of these.
    """

    kinds: Sequence[str] = (ELLIPSE,)
    share: float = SHARE
    carriers: Tensor | None = None

    def __post_init__(self) -> None:
        if not self.kinds:
            raise BadInput(f"kinds=[]: name what is exchanged, of {', '.join(LAID)}.")
        for kind in self.kinds:
            if kind not in LAID:
                raise BadInput(f"kinds: {kind!r} is unknown; {nearest(kind, list(LAID))}")

    def __call__(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """New photos (n, 3, side, side), bytes or 0 to 1 as they came; the donors are other photos of the batch."""
        if len(images) < 2:
            return images
        hosts = np.flatnonzero(rng.random(len(images)) < self.share)
        donors = images[(hosts + rng.integers(1, len(images), len(hosts))) % len(images)]
        if self.carriers is not None:
            chosen, numbers = rng.random(len(hosts)) < OF_CARRIERS, rng.integers(len(self.carriers), size=len(hosts))
            donors[torch.from_numpy(chosen)] = self.carriers[numbers[chosen]].to(images)
        kind_of, result = rng.integers(len(self.kinds), size=len(hosts)), images.clone()
        axes = rng.uniform(SMALLEST, LARGEST, size=(len(hosts), 2))
        for number, kind in enumerate(self.kinds):
            if len(own := np.flatnonzero(kind_of == number)):
                result[hosts[own]] = laid(kind, images[hosts[own]], donors[own], axes[own])
        return result


def laid(kind: str, hosts: Tensor, donors: Tensor, axes: np.ndarray) -> Tensor:
    """Each host with what its donor brings; `axes` (n, 2) are those of each ellipse, if that is the kind."""
    whole = not hosts.dtype.is_floating_point
    scale, side = 255 if whole else 1, hosts.shape[-1]
    if kind == ELLIPSE:
        protected = torch.stack([ellipse(side, wide, high) for wide, high in axes.tolist()])
    else:
        protected = ellipse(side).expand(len(hosts), side, side)
    protected = protected[:, None].to(hosts.device)
    views = (Views(images.float() / scale, protected) for images in (hosts, donors))
    result = exchanged_pairs("outer" if kind == ELLIPSE else kind, *views) * scale
    return result.round().to(hosts.dtype) if whole else result.to(hosts.dtype)
