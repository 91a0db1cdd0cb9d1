"""Optimisers and learning-rate schedules by name."""

from collections.abc import Iterable

from torch import nn, optim

from fishnet.errors import BadInput
from fishnet.text import nearest

OPTIMIZERS = {
    "sgd": optim.SGD,
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "adamax": optim.Adamax,
    "rmsprop": optim.RMSprop,
}
SCHEDULERS = ("plateau", "cosine", "none")


def make_optimizer(
    parameters: Iterable[nn.Parameter], *, name: str, lr: float, momentum: float, weight_decay: float
) -> optim.Optimizer:
    """SGD and RMSprop take the momentum; Adam and its kin have their own."""
    if name not in OPTIMIZERS:
        raise BadInput(f"model.optimizer={name} is unknown: {nearest(name, list(OPTIMIZERS))}")
    more = {"momentum": momentum} if name in ("sgd", "rmsprop") else {}
    return OPTIMIZERS[name](parameters, lr=lr, weight_decay=weight_decay, **more)


def make_scheduler(optimizer: optim.Optimizer, *, name: str, epochs: int, patience: int, factor: float):
    """The founding study's plateau rule on val/loss, a cosine over the epochs, or nothing."""
    if name not in SCHEDULERS:
        raise BadInput(f"model.scheduler={name} is unknown: {nearest(name, list(SCHEDULERS))}")
    if name == "plateau":
        return optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="min", patience=patience, factor=factor)
    if name == "cosine":
        return optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    return None
