"""Photos from anywhere → batches for one model: without an index, a class or a cache.

Whatever answers on loose photos goes this way, so the same photo has the same logits everywhere.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from fishnet.images import RefusedImage

from .views import Preprocessing, centre, working_image, working_side


@dataclass
class PhotoBatch:
    """Consecutive photos as they were given; `digests` and `views` are of those that can be read."""

    photos: list[Path | bytes] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # why a photo cannot be read; empty for one that can
    digests: list[str] = field(default_factory=list)  # SHA-256 of their bytes
    views: list[Tensor] = field(default_factory=list)  # size × size × 3 bytes each

    @property
    def images(self) -> Tensor:
        """uint8, N × 3 × size × size; there must be one that can be read."""
        return torch.stack(self.views).permute(0, 3, 1, 2)


def photo_batches(
    photos: Sequence[Path | bytes], preprocessing: Preprocessing, *, batch_size: int
) -> Iterator[PhotoBatch]:
    """All photos in their order, `batch_size` readable ones in each batch but the last; read by the hardened loader."""
    batch, side = PhotoBatch(), working_side(preprocessing)
    for photo in photos:
        batch.photos.append(photo)
        try:
            image = working_image(photo, sha256="", side=side, interpolation=preprocessing.interpolation)
        except RefusedImage as refusal:
            batch.problems.append(str(refusal))
            continue
        batch.problems.append("")
        batch.digests.append(hashlib.sha256(photo if isinstance(photo, bytes) else photo.read_bytes()).hexdigest())
        batch.views.append(torch.from_numpy(centre(image, preprocessing.size)))
        if len(batch.views) == batch_size:
            yield batch
            batch = PhotoBatch()
    if batch.photos:
        yield batch
