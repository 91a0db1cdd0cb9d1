"""Whether a network can work on photos of a size, found out on a blank one before any photo is read."""

import torch

from .isolation import unchanged


@torch.no_grad()
def takes_photos(model, size: int) -> None:
    """Raises whatever the network raises."""
    with unchanged(model):
        model(torch.zeros(1, 3, size, size, dtype=torch.uint8, device=model.device))


@torch.no_grad()
def learns_from_one_photo(model, size: int) -> bool:
    """Batch norm needs more than one value a channel; its statistics are put back after the attempt."""
    before = {name: value.clone() for name, value in model.network.named_buffers()}
    try:
        model(torch.zeros(1, 3, size, size, dtype=torch.uint8, device=model.device))
    except ValueError as error:
        return "more than 1 value per channel" not in str(error)
    finally:
        for name, value in model.network.named_buffers():
            value.copy_(before[name])
    return True
