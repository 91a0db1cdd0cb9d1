"""`trainer.precision=auto` → a setting that Lightning knows, by a rule: on equal hardware a command computes alike.

The rule itself is in `models/arithmetic.py`.
"""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytorch_lightning as L
import torch
from omegaconf import DictConfig
from pytorch_lightning.plugins.precision import Precision

from fishnet.environment import PRECISION
from fishnet.errors import BadInput
from fishnet.models.arithmetic import MIXED, PLAIN, Setting, has_bfloat16, rule
from fishnet.models.compiling import compile_network
from fishnet.models.interface import Classifier

log = logging.getLogger("fishnet")


def choose_precision(config: DictConfig, model: Classifier) -> str:
    """Write the setting into `config.trainer`, prepare the network for it, and return the setting with its reason.

    A precision that was given is left alone, and the text is empty; but bfloat16 needs units that have it.
    """
    text, trainer = "", config.trainer
    if trainer.precision == "auto":
        setting, text = _shared_choice(config, model)
        trainer.precision = setting.precision
        trainer.channels_last = setting.channels_last if trainer.channels_last is None else trainer.channels_last
    elif trainer.precision == MIXED.precision and use_gpu(config) and not has_bfloat16():
        trainer.precision, text = PLAIN.precision, f"{PLAIN.precision} (a GPU without bfloat16 units)"
        log.info("This GPU has no bfloat16 units: training in float32 instead of %s.", MIXED.precision)
    if trainer.channels_last:
        model.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if trainer.compile:
        compile_network(model.network)
    return text


@contextmanager
def float32(trainer: L.Trainer, model: L.LightningModule) -> Iterator[None]:
    """Inside, the trainer measures in plain float32, whatever it trains in.

    So a checkpoint's metrics, its temperature and each answer are the same in train, evaluate, predict and explain.
    """
    trained_in, trainer.strategy.precision_plugin = trainer.strategy.precision_plugin, Precision()
    model.float()
    model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    try:
        with torch.compiler.set_stance("force_eager"):
            yield
    finally:
        trainer.strategy.precision_plugin = trained_in


def require_float32(config: DictConfig, what: str = "a finished model is measured") -> None:
    """Let `what` be done in float32; another precision is refused, for it would change answers or, of a GAN, penalties
    that are gradients of gradients."""
    if config.trainer.precision not in ("auto", *PLAIN[:1]):
        raise BadInput(f"trainer.precision={config.trainer.precision}: {what} in float32 alone.")
    config.trainer.precision, config.trainer.channels_last, config.trainer.compile = *PLAIN, False


def use_gpu(config: DictConfig) -> bool:
    """Whether the trainer computes on a GPU."""
    return torch.cuda.is_available() and config.trainer.accelerator in ("auto", "gpu", "cuda")


def _shared_choice(config: DictConfig, model: Classifier) -> tuple[Setting, str]:
    """The first process of a node applies the rule; those that it starts take its choice from the environment."""
    if os.environ.get(PRECISION) and "LOCAL_RANK" in os.environ:
        return Setting(*json.loads(os.environ[PRECISION])), ""
    setting, reason = rule(model, use_gpu=use_gpu(config))
    os.environ[PRECISION] = json.dumps(setting)
    otherwise = "; trainer.precision=32-true keeps float32" if setting == MIXED else ""
    log.info("Training in %s: %s%s.", setting, reason, otherwise)
    return setting, f"{setting} ({reason})"
