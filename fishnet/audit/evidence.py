"""Where in each audited photo the answer comes from, cell by cell, split by the animal's region.

Only for networks of convolutions, a mean over places and a linear layer: there the evidence of the cells and a constant
add up to the logit exactly, so that what is said of shares is arithmetic and no estimate. A cell sees more of the photo
than it covers: evidence inside the region may have been read beside it, and the other way round.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import adaptive_avg_pool2d

from fishnet.explain.additive import additive_maps

from .sections import Audited


@dataclass(frozen=True)
class Evidence:
    """Of the photos of `measured.photos`, in their order.

    Args:
        own: (n, rows, columns), what each cell adds to the logit of the photo's own class.
        answered: the same for the class that the model answers.
        predicted: that class.
        logits: (n, classes).
        bias: (classes), the constants.
        inside: (n, rows, columns), the share of each cell that lies inside the animal's region.
    """

    own: np.ndarray
    answered: np.ndarray
    predicted: np.ndarray
    logits: np.ndarray
    bias: np.ndarray
    inside: np.ndarray


def evidence_of(audited: Audited) -> Evidence:
    """Ask the model once about each photo; only for models for which `is_additive` holds."""
    labels = torch.tensor(audited.measured.photos["label"].to_numpy())
    parts: list[tuple[torch.Tensor, ...]] = []
    for positions in torch.arange(len(labels)).split(audited.batch_size):
        views = audited.views_of(positions.tolist())
        maps, logits, bias, _ = (tensor.cpu() for tensor in additive_maps(audited.model, views.pixels))
        each, predicted = torch.arange(len(positions)), logits.argmax(dim=1)
        inside = cell_shares(views.protected[:, 0].cpu(), maps)
        parts.append((maps[each, labels[positions]], maps[each, predicted], predicted, logits, inside))
    own, answered, of_class, values, shares = (torch.cat(tensors).numpy() for tensors in zip(*parts, strict=True))
    return Evidence(own, answered, of_class, values, bias.detach().numpy(), shares)


def cell_shares(regions: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
    """(n, rows, columns) of the maps: the share of each cell that lies inside the photo's region (n, side, side)."""
    rows, columns = maps.shape[-2:]
    return adaptive_avg_pool2d(regions[:, None].float(), (rows, columns))[:, 0]
