"""Where the animal is, for photos of which nobody has said it."""

import torch
from torch import Tensor

WIDE, HIGH = 0.92, 0.62  # half-axes of the central ellipse, in halves of the photo's side


def ellipse(side: int) -> Tensor:
    """The middle of the photo, (side, side): where most photographers put the animal."""
    across = torch.linspace(-1, 1, side)
    return ((across[None] / WIDE) ** 2 + (across[:, None] / HIGH) ** 2 <= 1).float()
