"""What is done to a whole batch at once, on the model's device: mirroring, colours, turning and shearing.

Every photo has its own numbers in `chance` (from its key, see `chance.py`), so a view does not depend on the batch,
the device or the number of processes it is made in.
"""

import math

import torch
from torch import Tensor, nn

DRAWS = 12  # numbers a photo; `views.py` takes the first four
_MIRROR, _FLIP, _COLOURS, _AFFINE = 4, 5, slice(6, 10), slice(6, 12)
BRIGHTNESS = CONTRAST = SATURATION = 0.3
HUE = 0.05  # of a full turn
TURN, SHEAR, SHIFT, ZOOM = 45.0, 15.0, 0.15, 0.2  # degrees, degrees, share of the side, share
FILL = 128.0
GREY = (0.299, 0.587, 0.114)


def augmented(images: Tensor, chance: Tensor, preset: str) -> Tensor:
    """uint8 photos (N × 3 × size × size) as the preset shows them."""
    if preset == "none":
        return images
    if preset == "photo":
        images = _recoloured(images, chance[:, _COLOURS])
    if preset == "affine":
        images = _moved(images, chance[:, _AFFINE])
        images = _mirrored(images, chance[:, _FLIP] < 0.5, 2)
    return _mirrored(images, chance[:, _MIRROR] < 0.5, 3)


def _mirrored(images: Tensor, which: Tensor, side: int) -> Tensor:
    return torch.where(which.view(-1, 1, 1, 1), images.flip(side), images)


def _spread(chance: Tensor, width: float) -> Tensor:
    return (2 * chance - 1) * width


def _bytes(images: Tensor) -> Tensor:
    return images.round_().clamp_(0, 255).to(torch.uint8)


def _recoloured(images: Tensor, chance: Tensor) -> Tensor:
    """Brightness, contrast, saturation and hue are each linear in a colour: one matrix a photo does all four."""
    brightness, contrast, saturation = (1 + _spread(chance[:, k], BRIGHTNESS).view(-1, 1, 1) for k in range(3))
    pixels = images.float()
    grey = torch.tensor(GREY, device=images.device)
    one = torch.eye(3, device=images.device)
    to_grey = grey.expand(3, 3)
    matrix = _hue(_spread(chance[:, 3], HUE)) @ (saturation * one + (1 - saturation) * to_grey)
    mean = (pixels.mean(dim=(2, 3)) @ grey).view(-1, 1, 1) * brightness
    offset = matrix @ ((1 - contrast) * mean).expand(-1, 3, 1)
    mixed = torch.baddbmm(offset, contrast * brightness * matrix, pixels.flatten(2))
    return _bytes(mixed.view_as(pixels))


def _hue(turns: Tensor) -> Tensor:
    """A turn of the colour circle around the grey axis (Rodrigues' formula)."""
    cosine, sine = (f(2 * math.pi * turns).view(-1, 1, 1) for f in (torch.cos, torch.sin))
    one = torch.eye(3, device=turns.device)
    across = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], device=turns.device) / math.sqrt(3)
    return cosine * one + (1 - cosine) / 3 + sine * across


def _moved(images: Tensor, chance: Tensor) -> Tensor:
    """Turned, sheared, zoomed and shifted; what comes in from outside is grey."""
    grid = nn.functional.affine_grid(_where_from(chance), list(images.shape), align_corners=False)
    moved = nn.functional.grid_sample(images.float() - FILL, grid, mode="bilinear", align_corners=False)
    return _bytes(moved.add_(FILL))


def _where_from(chance: Tensor) -> Tensor:
    """For each place of the new picture (from -1 to 1) its place in the old one, as a matrix a photo."""
    turn, lean = (torch.deg2rad(_spread(chance[:, k], width)) for k, width in ((0, TURN), (1, SHEAR)))
    zoom = 1 + _spread(chance[:, 2], ZOOM)
    across, along = (2 * _spread(chance[:, k], SHIFT) for k in (3, 4))
    cosine, sine, slant = turn.cos() / zoom, turn.sin() / zoom, lean.tan()
    first = torch.stack([cosine, cosine * slant + sine, across], dim=1)
    second = torch.stack([-sine, cosine - sine * slant, along], dim=1)
    return torch.stack([first, second], dim=1)
