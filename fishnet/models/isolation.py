"""Looking at a model without leaving a trace: its modes and the random state are put back as they were."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Everything in evaluation mode inside, each module in its own mode again after.

    The flags are set directly: train() may do more than set flags (ours keeps frozen layers in evaluation mode).
    Compiled parts run as they were written: hooks inside a compiled network may go unheard.
    """
    before = {module: (module.training, module._compiled_call_impl) for module in model.modules()}
    for module in before:
        module.training, module._compiled_call_impl = False, None
    try:
        yield
    finally:
        for module, (mode, compiled) in before.items():
            module.training, module._compiled_call_impl = mode, compiled


@contextmanager
def same_chance() -> Iterator[None]:
    """Whatever is drawn inside, the draws after are those that would have come without it."""
    own, numpys = random.getstate(), np.random.get_state()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() and torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(own)
        np.random.set_state(numpys)
