"""How many photos a network is asked about at once, where nobody says it: by the device, and fewer when it is full."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from fishnet.errors import WorkFailed

log = logging.getLogger("fishnet")
MOST = 256  # larger batches are no faster
SHARE = 0.5  # of a GPU's free memory
ANSWERED = 1_000  # bytes that a pixel of a photo takes, in float32
EXPLAINED = 5_000  # where all activations are kept, too

Made = TypeVar("Made")


def photos_at_once(
    asked: int | None, device: torch.device, side: int, *, on_cpu: int = 32, a_pixel: int = ANSWERED
) -> int:
    """The photos of a batch: as many as were asked for, else a fixed number on a CPU, where more are no faster, and on
    a GPU as many as it has room for, a power of two so that equal hardware computes in equal batches.

    Args:
        asked: what the user says.
        device: where the network is.
        side: of the square that it is shown.
        on_cpu: the number there.
        a_pixel: bytes of memory that a pixel takes.
    """
    if asked is not None:
        return asked
    if device.type != "cuda":
        return on_cpu
    free = torch.cuda.mem_get_info(device)[0]
    room = int(SHARE * free / (a_pixel * side * side))
    return min(MOST, 1 << max(0, room.bit_length() - 1))


@dataclass
class Halving:
    """Batches that a full GPU is given in halves, from the first that it has no room for.

    Args:
        halved: whether there was such a batch.
    """

    halved: bool = False

    def __call__(self, compute: Callable[[Tensor], Made], images: Tensor) -> list[Made]:
        """What `compute` makes of a batch, or of its halves."""
        if not self.halved:
            try:
                return [compute(images)]
            except torch.OutOfMemoryError:
                log.warning("The GPU has no room for %d photos at once: it is given half as many.", len(images))
                self.halved = True
            torch.cuda.empty_cache()  # outside of the handler: what the error holds on to is let go of
        try:
            return [compute(half) for half in images.chunk(2)]
        except torch.OutOfMemoryError:
            few = max(1, len(images) // 8)
            raise WorkFailed(
                f"the GPU has no room for {-(-len(images) // 2)} photos at once: say batch_size={few}, or wait until "
                "other programs have ended there."
            ) from None
