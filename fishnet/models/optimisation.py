"""Optimisers and learning-rate schedules by name; torch and timm are imported where they are needed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from fishnet.errors import BadInput
from fishnet.text import nearest

if TYPE_CHECKING:
    from torch import nn, optim

# Known without asking timm. Where timm's defaults differ from torch's (Nesterov momentum, a faster mean), torch's hold.
TORCH_DEFAULTS: dict[str, dict] = {
    "sgd": {"nesterov": False},
    "adam": {},
    "adamw": {},
    "adamax": {},
    "rmsprop": {"alpha": 0.99},
}
SCHEDULERS = ("plateau", "cosine", "one_cycle", "none")
WARM_UP = 0.25  # of the steps of one_cycle
COLD = 0.04  # of the rate at its first step


def check_optimizer(name: str) -> None:
    """Refuse what is no optimiser of timm, or needs second derivatives, which training does not compute."""
    if name in TORCH_DEFAULTS:
        return
    from timm.optim import get_optimizer_info, list_optimizers

    names = [str(known) for known in list_optimizers()]
    if name not in names:
        raise BadInput(f"model.optimizer={name} is unknown: {nearest(name, names)}")
    if get_optimizer_info(name).second_order:
        raise BadInput(f"model.optimizer={name} needs second derivatives, which training does not compute.")


def make_optimizer(
    parameters: Sequence[nn.Parameter] | Sequence[dict], *, name: str, lr: float, momentum: float, weight_decay: float
) -> optim.Optimizer:
    """Any optimiser of timm: weight decay applies to every parameter, also to biases and norms.

    `momentum` goes to those that have one (SGD, RMSprop); Adam and its kin have their own.
    """
    from timm.optim import create_optimizer_v2

    check_optimizer(name)
    more = TORCH_DEFAULTS.get(name, {})
    try:
        return create_optimizer_v2(parameters, opt=name, lr=lr, momentum=momentum, weight_decay=weight_decay, **more)
    except (ImportError, AssertionError, RuntimeError, TypeError, ValueError) as error:  # each in its own way
        raise BadInput(f"model.optimizer={name} cannot be used here: {error}") from error


def layer_groups(network: nn.Module, *, lr: float, weight_decay: float, decay: float) -> list[dict]:
    """The parameters that learn, by the depth of their layers, the classifier layer first.

    Args:
        network: of timm, or any other.
        lr: of the classifier layer.
        weight_decay: of all but biases and norms.
        decay: each layer's rate is that of the layer above times this.
    """
    from timm.optim import param_groups_layer_decay

    groups = param_groups_layer_decay(network, weight_decay=weight_decay, layer_decay=decay)
    rated = [{"lr": lr * group["lr_scale"], **{k: group[k] for k in ("params", "weight_decay")}} for group in groups]
    return sorted(rated, key=lambda group: -group["lr"])


def make_scheduler(
    optimizer: optim.Optimizer,
    *,
    name: str,
    epochs: int,
    patience: int,
    factor: float,
    steps: Callable[[], int] = lambda: 1,
) -> optim.lr_scheduler.LRScheduler | None:
    """The founding study's plateau rule on val/loss, a cosine over the epochs, one cycle over so many steps, or
    nothing. `steps` is asked behind the first step, when the loaders are known."""
    from torch.optim import lr_scheduler

    if name not in SCHEDULERS:
        raise BadInput(f"model.scheduler={name} is unknown: {nearest(name, list(SCHEDULERS))}")
    if name == "plateau":
        return lr_scheduler.ReduceLROnPlateau(optimizer, mode="min", patience=patience, factor=factor)
    if name == "cosine":
        return lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    if name == "one_cycle":
        return lr_scheduler.LambdaLR(optimizer, lambda step: one_cycle(step, steps() if step else 1))
    return None


def scale_rates(optimizers: Iterable[optim.Optimizer], schedulers: Iterable[Any], share: float) -> None:
    """Multiply all rates before the first step; a run that goes on has them in the state of both."""
    for group in (group for optimizer in optimizers for group in optimizer.param_groups):
        for key in {"lr", "initial_lr"} & set(group):
            group[key] *= share
    for scheduler in schedulers:
        if hasattr(scheduler, "base_lrs"):
            scheduler.base_lrs = [rate * share for rate in scheduler.base_lrs]


def one_cycle(step: int, steps: int) -> float:
    """Up from almost nothing in the first quarter of the steps, down to nothing in the others, both along a cosine
    (Smith and Topin 2019)."""
    done, warm = step / max(1, steps), WARM_UP
    if done < warm:
        return COLD + (1 - COLD) * (1 - math.cos(math.pi * done / warm)) / 2
    return (1 + math.cos(math.pi * min(1.0, (done - warm) / (1 - warm)))) / 2
