"""What is done to a whole batch at once, on the model's device: mirroring, colours, turning and shearing.

Every photo has its own random numbers, its `noise`, which follow from a key alone, so a view does not depend on the
batch, the device or the number of processes it is made in.
"""

import hashlib
import math

import numpy as np
import torch
from torch import Tensor, nn

DRAWS = 12  # numbers a photo; `views.py` takes the first four
_MIRROR, _FLIP, _COLOURS, _AFFINE = 4, 5, slice(6, 10), slice(6, 12)
BRIGHTNESS = CONTRAST = SATURATION = 0.3
HUE = 0.05  # of a full turn
TURN, SHEAR, SHIFT, ZOOM = 45.0, 15.0, 0.15, 0.2  # degrees, degrees, share of the side, share
FILL = 128.0
GREY = (0.299, 0.587, 0.114)
_STEP, _FIRST, _SECOND = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def hashed_noise(keys: np.ndarray, count: int) -> np.ndarray:
    """`count` even random numbers in [0, 1) for each key, as keys × count, for a whole batch at once.

    A generator for each photo would cost more than cutting its view. This is SplitMix64 (Steele, Lea and Flood
    2014), whose whole state is the key.
    """
    x = keys.astype(np.uint64)[:, None] + np.arange(1, count + 1, dtype=np.uint64) * _STEP
    x = (x ^ (x >> np.uint64(30))) * _FIRST
    x = (x ^ (x >> np.uint64(27))) * _SECOND
    x ^= x >> np.uint64(31)
    return (x >> np.uint64(40)).astype(np.float32) * np.float32(2**-24)


def fixed_key(sha256: str, view: int, seed: int) -> int:
    """The key of a photo's n-th fixed view, wherever the photo lies and whatever lies beside it."""
    return int.from_bytes(hashlib.blake2b(f"{sha256} {view} {seed}".encode(), digest_size=7).digest())


def augmented(images: Tensor, noise: Tensor, preset: str) -> Tensor:
    """uint8 photos (N × 3 × size × size) as the preset shows them; `noise` is N × DRAWS numbers in [0, 1)."""
    if preset == "none":
        return images
    if preset == "photo":
        images = _recoloured(images, noise[:, _COLOURS])
    if preset == "affine":
        images = _moved(images, noise[:, _AFFINE])
    for column, side in [(_FLIP, 2), (_MIRROR, 3)] if preset == "affine" else [(_MIRROR, 3)]:
        images = torch.where((noise[:, column] < 0.5).view(-1, 1, 1, 1), images.flip(side), images)
    return images


def _spread(noise: Tensor, width: float) -> Tensor:
    return (2 * noise - 1) * width


def _bytes(images: Tensor) -> Tensor:
    return images.round_().clamp_(0, 255).to(torch.uint8)


def _recoloured(images: Tensor, noise: Tensor) -> Tensor:
    """Brightness, contrast, saturation and hue are each linear in a colour: one matrix a photo does all four."""
    brightness, contrast, saturation = (1 + _spread(noise[:, k], BRIGHTNESS).view(-1, 1, 1) for k in range(3))
    pixels, grey = images.float(), torch.tensor(GREY, device=images.device)
    identity = torch.eye(3, device=images.device)
    turn = 2 * math.pi * _spread(noise[:, 3], HUE)
    cosine, sine = (f(turn).view(-1, 1, 1) for f in (torch.cos, torch.sin))
    across = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], device=images.device) / math.sqrt(3)
    hue = cosine * identity + (1 - cosine) / 3 + sine * across  # around the grey axis, by Rodrigues' formula
    matrix = hue @ (saturation * identity + (1 - saturation) * grey.expand(3, 3))
    mean = (pixels.mean(dim=(2, 3)) @ grey).view(-1, 1, 1) * brightness
    offset = matrix @ ((1 - contrast) * mean).expand(-1, 3, 1)
    mixed = torch.baddbmm(offset, contrast * brightness * matrix, pixels.flatten(2))
    return _bytes(mixed.view_as(pixels))


def _moved(images: Tensor, noise: Tensor) -> Tensor:
    """Turned, sheared, zoomed and shifted; what comes in from outside is grey."""
    turn, lean = (torch.deg2rad(_spread(noise[:, k], width)) for k, width in ((0, TURN), (1, SHEAR)))
    zoom = 1 + _spread(noise[:, 2], ZOOM)
    across, along = (2 * _spread(noise[:, k], SHIFT) for k in (3, 4))
    cosine, sine, slant = turn.cos() / zoom, turn.sin() / zoom, lean.tan()
    first = torch.stack([cosine, cosine * slant + sine, across], dim=1)
    second = torch.stack([-sine, cosine - sine * slant, along], dim=1)
    sources = torch.stack([first, second], dim=1)  # for each position in the new picture (-1 to 1) that in the old one
    grid = nn.functional.affine_grid(sources, list(images.shape), align_corners=False)
    moved = nn.functional.grid_sample(images.float() - FILL, grid, mode="bilinear", align_corners=False)
    return _bytes(moved.add_(FILL))
