"""Pieces of photos that a GPU scales, a whole batch at once.

A processor scales about a thousand pieces a second, which is less than a GPU learns from. Here it only copies them into
one array, and the GPU scales all of them by two matrix products: one for the rows, one for the columns.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def gathered(pieces: Sequence[np.ndarray]) -> dict[str, Tensor]:
    """Pieces of unequal sizes as one array, each in its upper left corner, and the sizes.

    Args:
        pieces: each rows × columns × 3 bytes.

    Returns:
        `pieces`: N × most rows × most columns × 3 bytes; `sizes`: N × 2, the rows and columns of each.
    """
    sizes = np.array([piece.shape[:2] for piece in pieces], np.int64)
    together = np.zeros((len(pieces), *sizes.max(axis=0), 3), np.uint8)
    for place, piece in zip(together, pieces, strict=True):
        place[: piece.shape[0], : piece.shape[1]] = piece
    return {"pieces": torch.from_numpy(together), "sizes": torch.from_numpy(sizes)}


def scaled_pieces(pieces: Tensor, sizes: Tensor, size: int) -> Tensor:
    """Each piece scaled to a square, on the device where they are.

    Args:
        pieces: N × most rows × most columns × 3 bytes.
        sizes: N × 2, rows and columns of each piece.
        size: side of the square.

    Returns:
        N × 3 × size × size bytes: a side that shrinks is averaged over areas, one that grows is interpolated, as
        OpenCV does it for `View.cut`. On a GPU in half precision, which holds bytes exactly and eighths of them.
    """
    dtype = torch.float16 if pieces.device.type == "cuda" else torch.float32
    count, most_rows, most_columns, colours = pieces.shape
    rows, columns = (scaling(sizes[:, side], most, size, dtype) for side, most in ((0, most_rows), (1, most_columns)))
    lower = torch.bmm(rows, pieces.to(dtype).flatten(2)).view(count, size, most_columns, colours)
    squares = torch.bmm(columns, lower.transpose(1, 2).flatten(2)).view(count, size, size, colours)
    squares = squares.round_().clamp_(0, 255).permute(0, 3, 2, 1)
    return squares.to(torch.uint8, memory_format=torch.channels_last)


def scaling(lengths: Tensor, most: int, size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """What each of `size` new pixels takes of the old ones, a matrix a photo.

    Args:
        lengths: N numbers of old pixels, none above `most`.
        most: columns of the matrices.
        size: new pixels.
        dtype: of the matrices; those for a whole batch are large, and half as large in half precision.

    Returns:
        N × size × most; each row sums to 1, and columns beyond a photo's length are 0.
    """
    step = (lengths / size).view(-1, 1, 1)  # old pixels a new one
    half = step.clamp(min=1) / 2  # of the stretch that a new pixel is the mean of
    middles = (torch.arange(size, device=lengths.device).view(1, -1, 1) + 0.5) * step
    middles = torch.minimum(middles.maximum(half), lengths.view(-1, 1, 1) - half)
    old = torch.arange(most, device=lengths.device).view(1, 1, -1) + 0.5
    weights = torch.empty(len(lengths), size, most, dtype=dtype, device=lengths.device)
    torch.sub(middles, old, out=weights)  # exact where it is small, and where it is large the weight is 0
    return weights.abs_().neg_().add_(half + 0.5).clamp_(0, 1).div_(2 * half)  # how far the two stretches overlap
