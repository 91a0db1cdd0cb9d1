"""Which arithmetic is fastest for this network on this machine: measured, because no setting wins everywhere.

On a CPU with bfloat16 units a ResNet trains twice as fast in bfloat16 with the colours last, a MobileNet slower.
"""

import copy
import time
from contextlib import AbstractContextManager, nullcontext
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .isolation import rng_preserved

ROUNDS = 7
SECONDS = 10.0  # about so long in all; every setting is tried twice at least
MOST_PHOTOS = 16  # in a batch of the probe: the ratios of larger ones are the same
WORTH_IT = 1.1  # times as fast as plain float32, or plain float32 stays


class Setting(NamedTuple):
    """Lightning's name of the precision, and whether a pixel's colours lie side by side in memory."""

    precision: str
    channels_last: bool

    def __str__(self) -> str:
        return self.precision + (" with colours last" if self.channels_last else "")


PLAIN = Setting("32-true", False)
SETTINGS = (PLAIN, Setting("32-true", True), Setting("bf16-mixed", True))


def measured(model, batch_size: int, device: torch.device) -> dict[Setting, float]:
    """Images a second of each setting in training steps on made-up photos; the model itself is not touched."""
    photos, size = min(batch_size, MOST_PHOTOS), model.preprocessing.size
    with rng_preserved():
        images = torch.randn(photos, 3, size, size, device=device)
        labels = torch.randint(0, len(model.classes), (photos,), device=device)
        plain = copy.deepcopy(model.network).to(device)
        last = copy.deepcopy(model.network).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        seconds: dict[Setting, list[float]] = {setting: [] for setting in SETTINGS}
        begin = time.perf_counter()
        for turn in range(ROUNDS + 1):
            for setting, taken in seconds.items():
                spent = _step(last if setting.channels_last else plain, images, labels, setting)
                taken.extend([spent] if turn else [])  # the first turn warms up
            if turn and time.perf_counter() - begin > SECONDS:
                break
    return {setting: photos / median(taken) for setting, taken in seconds.items()}


def fastest(speeds: dict[Setting, float]) -> Setting:
    """Plain float32 unless another setting is clearly faster."""
    best = max(speeds, key=speeds.__getitem__)
    return best if speeds[best] >= WORTH_IT * speeds[PLAIN] else PLAIN


def _step(network: nn.Module, images: Tensor, labels: Tensor, setting: Setting) -> float:
    if setting.channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    _wait(images.device)
    begin = time.perf_counter()
    network.zero_grad()
    with _autocast(images.device, setting):
        loss = nn.functional.cross_entropy(network(images).float(), labels)
    loss.backward()
    _wait(images.device)
    return time.perf_counter() - begin


def _autocast(device: torch.device, setting: Setting) -> AbstractContextManager:
    return torch.autocast(device.type, torch.bfloat16) if setting.precision == "bf16-mixed" else nullcontext()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
