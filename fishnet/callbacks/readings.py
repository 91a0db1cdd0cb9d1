"""Numbers of the model's device, read when they have arrived.

Asking a GPU for a number at once makes the processor wait until all that was queued before is computed, and the GPU
then waits for the processor. A number that is copied in the background is there some steps later, and nobody waits.
"""

from collections import deque
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor


class Readings:
    """Numbers in the order in which they were asked for, each with what it belongs to."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Any, Tensor, torch.cuda.Event | None]] = deque()

    def note(self, what: Any, number: Tensor) -> None:
        """Ask for a number; `what` is given back with it."""
        self._waiting.append((what, *in_background(number.detach())))

    def arrived(self) -> Iterator[tuple[Any, float]]:
        """Those that are here, without waiting for the others."""
        while self._waiting and is_here(self._waiting[0][2]):
            what, number, _ = self._waiting.popleft()
            yield what, number.item()

    def all(self) -> Iterator[tuple[Any, float]]:
        """Every one of them, waiting for the last."""
        while self._waiting:
            what, number, event = self._waiting.popleft()
            if event is not None:
                event.synchronize()
            yield what, number.item()


def in_background(number: Tensor) -> tuple[Tensor, torch.cuda.Event | None]:
    """Where the number will be, and the event after which it is there; None where it is there at once."""
    if number.device.type != "cuda":
        return number, None
    copy = torch.empty(number.shape, dtype=number.dtype, pin_memory=True).copy_(number, non_blocking=True)
    event = torch.cuda.Event()
    event.record()
    return copy, event


def is_here(event: torch.cuda.Event | None) -> bool:
    return event is None or event.query()
