"""`trainer.precision=auto` → a setting that Lightning knows, by a rule: on equal hardware a command computes alike.

The rule follows the table in `experiments/speed` (README, stage "train"). With bfloat16 units, networks of dense
layers train 1.1 to 2.3 times as fast in bfloat16 with channels last as in float32. A depthwise convolution does too
little work a value to gain from such units: on a CPU, networks with much of it (MobileNet, EfficientNet) are fastest in
float32 with channels last, 1.3 to 1.4 times as fast as without.
"""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytorch_lightning as L
import torch
from omegaconf import DictConfig
from pytorch_lightning.plugins.precision import Precision
from torch import Tensor, nn

from fishnet.environment import PRECISION
from fishnet.errors import BadInput
from fishnet.models.interface import Classifier
from fishnet.models.isolation import blank_photo, eval_mode_restored
from fishnet.models.taps import Call, recorded

log = logging.getLogger("fishnet")

CPU_UNITS = {"avx512_bf16", "amx_bf16", "bf16"}  # Intel and AMD, Intel's matrix unit, ARM: as Linux names them
MOST_DEPTHWISE = 0.06  # of all multiplications: convnext_atto (0.053) gains from bfloat16, mobilenetv2 (0.069) does not


class Setting(NamedTuple):
    """Lightning's name of the precision, and whether a pixel's channels lie side by side in memory."""

    precision: str
    channels_last: bool

    def __str__(self) -> str:
        return self.precision + (" with channels last" if self.channels_last else "")


PLAIN, PLAIN_LAST, MIXED = Setting("32-true", False), Setting("32-true", True), Setting("bf16-mixed", True)


def choose_precision(config: DictConfig, model: Classifier) -> str:
    """Write the setting into `config.trainer`, prepare the network for it, and return the setting with its reason.

    A precision that was given is left alone, and the text is empty.
    """
    text, trainer = "", config.trainer
    if trainer.precision == "auto":
        setting, text = _shared_choice(config, model)
        trainer.precision = setting.precision
        trainer.channels_last = setting.channels_last if trainer.channels_last is None else trainer.channels_last
    if trainer.channels_last:
        model.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if trainer.compile:
        model.network.compile()
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


def require_float32(config: DictConfig) -> None:
    """Let a finished model be measured in float32; another precision is refused, for it would change its answers."""
    if config.trainer.precision not in ("auto", *PLAIN[:1]):
        raise BadInput(f"trainer.precision={config.trainer.precision}: a finished model is measured in float32 alone.")
    config.trainer.precision, config.trainer.channels_last, config.trainer.compile = *PLAIN, False


def _shared_choice(config: DictConfig, model: Classifier) -> tuple[Setting, str]:
    """The first process of a node applies the rule; those that it starts take its choice from the environment."""
    if os.environ.get(PRECISION) and "LOCAL_RANK" in os.environ:
        return Setting(*json.loads(os.environ[PRECISION])), ""
    use_gpu = torch.cuda.is_available() and config.trainer.accelerator in ("auto", "gpu", "cuda")
    setting, reason = rule(model, use_gpu=use_gpu)
    os.environ[PRECISION] = json.dumps(setting)
    log.info("Training in %s: %s; trainer.precision=32-true keeps plain float32.", setting, reason)
    return setting, f"{setting} ({reason})"


def rule(model: Classifier, *, use_gpu: bool) -> tuple[Setting, str]:
    """The setting for a network on this machine, and the reason in words."""
    if use_gpu:
        units = torch.cuda.is_bf16_supported(including_emulation=False)
        return (MIXED, "a GPU with bfloat16 units") if units else (PLAIN, "a GPU without bfloat16 units")
    if (share := depthwise_share(model)) > MOST_DEPTHWISE:
        return PLAIN_LAST, f"{share:.0%} of the network's work is depthwise convolution"
    if CPU_UNITS & cpu_flags():
        return MIXED, "a CPU with bfloat16 units and a network of dense layers"
    return PLAIN, "a CPU without bfloat16 units"


def depthwise_share(model: Classifier) -> float:
    """The share of depthwise convolutions in the multiplications of the network's layers, counted on a blank photo."""

    def multiplications(call: Call) -> tuple[int, bool]:
        depthwise = isinstance(call.layer, nn.Conv2d) and call.layer.groups == call.layer.in_channels > 1
        weight: Tensor = call.layer.weight  # type: ignore[assignment]
        return call.output.numel() * weight[0].numel(), depthwise

    layers = [layer for layer in model.network.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    with recorded(layers, keep=multiplications) as counts, eval_mode_restored(model), torch.no_grad():
        model(blank_photo(model, model.preprocessing.size))
    return sum(count for count, depthwise in counts if depthwise) / max(1, sum(count for count, _ in counts))


def cpu_flags() -> set[str]:
    """What Linux says that the processor can do; nothing where it does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return {word for line in lines if line.startswith(("flags", "Features")) for word in line.split(":", 1)[1].split()}
