"""Exact maps of all classes from one forward pass, for networks of convolutions, a mean over places and a linear layer.

There every logit is its bias plus a sum over positions, and each position's term is known: no gradient is needed, and
the maps are those of Grad-CAM before anything is clipped or normalised (Zhou et al. 2016; Selvaraju et al. 2017).
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from fishnet.models.arithmetic import PLAIN, Setting, in_setting
from fishnet.models.backbones import drawn_head, single_head
from fishnet.models.interface import Classifier
from fishnet.models.isolation import eval_mode_restored


class Parts(NamedTuple):
    """What each position adds to each logit (N × classes × h × w), and the logits: maps summed, plus `bias`.

    `features` (N × channels) are what the linear layer takes in.
    """

    maps: Tensor
    logits: Tensor
    bias: Tensor
    features: Tensor


def additive_maps(model: Classifier, images: Tensor, setting: Setting = PLAIN) -> Parts:
    """On the model's device; only for models for which `is_additive` holds. The network computes in the `setting`, and
    what follows it in float32."""
    head = single_head(model.network)
    assert head is not None
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
        features = last_maps(model, images, setting)
        maps = torch.einsum("nchw,kc->nkhw", features, head.weight.float()) / features[0, 0].numel()
        bias = torch.zeros_like(maps[0, :, 0, 0]) if head.bias is None else head.bias.float()
        return Parts(maps, maps.sum(dim=(2, 3)) + bias, bias, features.mean(dim=(2, 3)))


def last_maps(model: Classifier, images: Tensor, setting: Setting = PLAIN) -> Tensor:
    """What the network's mean over places takes in: N × channels × h × w, as float32."""
    with torch.no_grad(), in_setting(setting, images.device), eval_mode_restored(model):
        network: Any = model.network
        return network.forward_features(model.pixels(images)).float()


def is_additive(model: Classifier) -> bool:
    """Whether maps and bias add up to the logits, tried on two random photos: names of layers promise nothing."""
    head = single_head(model.network)
    if head is None or not hasattr(model.network, "forward_features"):
        return False
    size = model.preprocessing.size
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 3, size, size), generator=generator, dtype=torch.uint8).to(model.device)
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False), eval_mode_restored(model):
        network: Any = model.network
        features = network.forward_features(model.pixels(images))
        if not isinstance(features, Tensor) or features.ndim != 4 or features.shape[1] != head.in_features:
            return False
        with drawn_head(model.network):
            parts = additive_maps(model, images)
            return torch.allclose(parts.logits, model(images), rtol=1e-4, atol=1e-4)
