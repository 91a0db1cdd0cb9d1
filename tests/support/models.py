"""Models as they are after a training, without one."""

from typing import TypeVar

import torch

from fishnet import ImageClassifier
from fishnet.models.backbones import head_names

Model = TypeVar("Model", bound=ImageClassifier)


def with_drawn_heads(model: Model) -> Model:
    """The model, whose classifier layers, all zero at first, now have random weights, the same each time."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name in head_names(model.network):
            for parameter in model.network.get_submodule(name).parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model
