"""In which arithmetic a network is fastest on this machine, by a rule: on equal hardware a command computes alike.

The rule follows the table in `experiments/speed` (README, stage "train"). With bfloat16 units, networks of dense
layers train 1.1 to 2.3 times as fast in bfloat16 with channels last as in float32. A depthwise convolution does too
little work a value to gain from such units: on a CPU, networks with much of it (MobileNet, EfficientNet) are fastest in
float32 with channels last, 1.3 to 1.4 times as fast as without.
"""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .interface import Classifier
from .isolation import blank_photo, eval_mode_restored
from .taps import Call, recorded

CPU_UNITS = {"avx512_bf16", "amx_bf16", "bf16"}  # Intel and AMD, Intel's matrix unit, ARM: as Linux names them
MOST_DEPTHWISE = 0.06  # of all multiplications: convnext_atto (0.053) gains from bfloat16, mobilenetv2 (0.069) does not


class Setting(NamedTuple):
    """Lightning's name of the precision, and whether a pixel's channels lie side by side in memory."""

    precision: str
    channels_last: bool

    def __str__(self) -> str:
        return self.precision + (" with channels last" if self.channels_last else "")


PLAIN, PLAIN_LAST, MIXED = Setting("32-true", False), Setting("32-true", True), Setting("bf16-mixed", True)


def in_setting(setting: Setting, device: torch.device) -> AbstractContextManager:
    """Inside, a network computes on the device as the setting says, whatever was said outside."""
    return torch.autocast(device.type, torch.bfloat16, enabled=setting == MIXED)


def rule(model: Classifier, *, use_gpu: bool) -> tuple[Setting, str]:
    """The setting for a network on this machine, and the reason in words."""
    if use_gpu:
        return (MIXED, "a GPU with bfloat16 units") if has_bfloat16() else (PLAIN, "a GPU without bfloat16 units")
    if (share := depthwise_share(model)) > MOST_DEPTHWISE:
        return PLAIN_LAST, f"{share:.0%} of the network's work is depthwise convolution"
    if CPU_UNITS & cpu_flags():
        return MIXED, "a CPU with bfloat16 units and a network of dense layers"
    return PLAIN, "a CPU without bfloat16 units"


def has_bfloat16() -> bool:
    """Whether the GPU computes in bfloat16 itself."""
    return torch.cuda.is_bf16_supported(including_emulation=False)


def depthwise_share(model: Classifier) -> float:
    """The share of depthwise convolutions in the multiplications of the network's layers, counted on a blank photo."""

    def multiplications(call: Call) -> tuple[int, bool]:
        depthwise = isinstance(call.layer, nn.Conv2d) and call.layer.groups == call.layer.in_channels > 1
        weight: Tensor = call.layer.weight  # type: ignore[assignment]
        return call.output.numel() * weight[0].numel(), depthwise

    layers = [layer for layer in model.network.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    if not layers:
        return 0.0
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
