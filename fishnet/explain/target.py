"""Where a network last knows where: the layer whose maps Grad-CAM weighs."""

import torch
from torch import Tensor, nn

from fishnet.models.isolation import unchanged


def last_convolution(network: nn.Module, size: int) -> nn.Module | None:
    """The last layer that answers with maps (channels × height × width, larger than one cell), found by trying it.

    None for networks of tokens (ViT, Swin, mixers): they have no such maps and Grad-CAM would be a guess there.
    """
    found: list[nn.Module] = []

    def note(module: nn.Module, _inputs, output) -> None:
        if isinstance(output, Tensor) and _is_maps(output):
            found.append(module)

    handles = [module.register_forward_hook(note) for module in network.modules() if module is not network]
    try:
        output = _features(network, size)
    finally:
        for handle in handles:
            handle.remove()
    tokens = (
        isinstance(output, Tensor) and hasattr(network, "forward_features") and not _channels_first(network, output)
    )
    return found[-1] if found and not tokens else None


def _features(network: nn.Module, size: int):
    """What the body makes of a blank image: timm models tell body from head, others are run to their answer."""
    weight = next(network.parameters())
    image = torch.zeros(1, 3, size, size, device=weight.device, dtype=weight.dtype)
    run = getattr(network, "forward_features", network)
    with unchanged(network), torch.no_grad(), torch.autocast(weight.device.type, enabled=False):
        return run(image)


def _is_maps(output: Tensor) -> bool:
    return output.ndim == 4 and output.shape[2] > 1 and output.shape[3] > 1


def _channels_first(network: nn.Module, features: Tensor) -> bool:
    """Swin and its kin keep the channels last: four dimensions, but no maps of a convolution."""
    width = getattr(network, "num_features", None)
    last = features.ndim == 4 and features.shape[3] == width and features.shape[1] != width
    return features.ndim == 4 and not last
