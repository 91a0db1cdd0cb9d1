"""What real and generated photos go through before they are judged, so that none can be learned by heart.

After Zhao et al. (2020), differentiable augmentation: both kinds are changed in the same ways, and gradients flow back
through the changes. Changes of colour leak: the generator may draw them. Where colour is the mark of a class they are
turned down by `colour`.
"""

import torch
from torch import Tensor

SHIFT = 0.125  # share of the side
CUT = 0.35  # side of the square that is blanked, as a share of the photo's


def disturbed(images: Tensor, *, colour: float) -> Tensor:
    """Photos (N × 3 × size × size, from -1 to 1), each with other light and colours, shifted, and partly blanked.

    Args:
        images: of which gradients may be asked.
        colour: 0 leaves colours as they are, 1 is the strength of the paper.
    """
    if colour > 0:
        images = recoloured(images, colour)
    return blanked(shifted(images))


def recoloured(images: Tensor, strength: float) -> Tensor:
    """Brighter or darker, more or less saturated, more or less contrast."""
    noise = torch.rand(3, len(images), 1, 1, 1, device=images.device) - 0.5
    images = images + strength * noise[0]
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * (1 + 2 * strength * noise[1])
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (images - mean) * (1 + strength * noise[2])


def shifted(images: Tensor) -> Tensor:
    """Moved by up to an eighth of the side; what comes in is grey."""
    count, _, rows, columns = images.shape
    most = round(SHIFT * rows)
    padded = torch.nn.functional.pad(images, [most] * 4)
    down, right = torch.randint(0, 2 * most + 1, (2, count, 1), device=images.device)
    row = (torch.arange(rows, device=images.device) + down)[:, None, :, None]
    column = (torch.arange(columns, device=images.device) + right)[:, None, None, :]
    photo = torch.arange(count, device=images.device)[:, None, None, None]
    channel = torch.arange(images.shape[1], device=images.device)[None, :, None, None]
    return padded[photo, channel, row, column]


def blanked(images: Tensor) -> Tensor:
    """A square of each photo, somewhere, is grey."""
    count, _, rows, columns = images.shape
    side = round(CUT * rows)
    top, left = (torch.randint(-side // 2, length - side // 2, (count, 1, 1, 1), device=images.device)
                 for length in (rows, columns))  # fmt: skip
    row = torch.arange(rows, device=images.device)[None, None, :, None]
    column = torch.arange(columns, device=images.device)[None, None, None, :]
    inside = (row >= top) & (row < top + side) & (column >= left) & (column < left + side)
    return images * ~inside
