"""Using a model without leaving a trace: modes, random state and statistics are put back as they were.

The only file that touches torch's private attribute of compiled modules.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from .interface import Classifier


@contextmanager
def eval_mode_restored(model: nn.Module | Classifier) -> Iterator[None]:
    """Everything in evaluation mode inside, each module in its own mode again after.

    The flags are set directly: train() may do more than set flags (ours keeps frozen layers in evaluation mode).
    Compiled parts run as they were written: a compiled network may skip hooks.
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
def rng_preserved() -> Iterator[None]:
    """Random numbers drawn after the block are those that would have come without it (Python's, numpy's, torch's)."""
    pythons, numpys = random.getstate(), np.random.get_state()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() and torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(pythons)
        np.random.set_state(numpys)


@contextmanager
def training_state_restored(model: nn.Module) -> Iterator[None]:
    """A few steps of learning inside leave no trace: modes, buffers such as batch norm's statistics, and gradients are
    as before. Weights may not be changed."""
    modes = {module: module.training for module in model.modules()}
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    try:
        yield
    finally:
        for name, value in model.named_buffers():
            value.copy_(buffers[name])
        for module, mode in modes.items():
            module.training = mode
        model.zero_grad(set_to_none=True)


@torch.no_grad()
def accepts_size(model: Classifier, size: int) -> None:
    """Try the model on a blank photo of this size; raises whatever the network raises."""
    with eval_mode_restored(model):
        model(blank_photo(model, size))


@torch.no_grad()
def learns_from_one_photo(model: Classifier, size: int) -> bool:
    """Whether a batch of one photo can be trained on: batch norm needs more than one value a channel.

    The statistics that batch norm changes in the attempt are put back.
    """
    before = {name: value.clone() for name, value in model.network.named_buffers()}
    try:
        model(blank_photo(model, size))
    except ValueError as error:
        return "more than 1 value per channel" not in str(error)
    finally:
        for name, value in model.network.named_buffers():
            value.copy_(before[name])
    return True


def blank_photo(model: Classifier, size: int) -> torch.Tensor:
    return torch.zeros(1, 3, size, size, dtype=torch.uint8, device=model.device)
