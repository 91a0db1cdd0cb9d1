"""Looking at a model without leaving a trace: its mode is put back, module by module."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Everything in evaluation mode inside, each module in its own mode again after.

    The flags are set directly: train() may do more than set flags (ours keeps frozen layers in evaluation mode).
    """
    modes = {module: module.training for module in model.modules()}
    for module in modes:
        module.training = False
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
