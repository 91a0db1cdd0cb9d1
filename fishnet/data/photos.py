"""Photos from anywhere → batches for one model: without an index, a class or a cache.

Whatever answers on loose photos goes this way, so the same photo has the same logits everywhere.
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fishnet.images import CUT, RefusedImage, load_image, read_bytes

from .views import Preprocessing, centre, decoded_side, scaled, working

log = logging.getLogger("fishnet")


class ReadPhoto(NamedTuple):
    """A photo as a network sees it.

    Args:
        view: size × size × 3 bytes.
        sha256: of the file's bytes.
        full_size: width and height of the photo, upright.
        grey_rest: the share of its height that is the grey of missing data, as of a JPEG that was cut and closed again.
    """

    view: np.ndarray
    sha256: str
    full_size: tuple[int, int]
    grey_rest: float = 0.0


def read_photo(photo: Path | bytes, preprocessing: Preprocessing, *, guarded: bool = True) -> ReadPhoto:
    """Decode a file, or its bytes, with the hardened loader, and cut the view out; RefusedImage says why it cannot.

    `guarded` as in `load_image`.
    """
    data, how = photo if isinstance(photo, bytes) else read_bytes(photo), working(preprocessing)
    image = load_image(data, min_side=decoded_side(how.side), guarded=guarded)
    view = centre(scaled(np.array(image), image.info["full_size"], how), preprocessing.size)
    return ReadPhoto(view, hashlib.sha256(data).hexdigest(), image.info["full_size"], image.info["grey_rest"])


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
    batch = PhotoBatch()
    for photo in photos:
        batch.photos.append(photo)
        try:
            read = read_photo(photo, preprocessing)
        except RefusedImage as refusal:
            batch.problems.append(str(refusal))
            continue
        if read.grey_rest >= CUT and isinstance(photo, Path):
            log.warning(
                "%s ends in a grey rest (%.0f %%): data are missing; copy it anew.", photo, 100 * read.grey_rest
            )
        batch.problems.append("")
        batch.digests.append(read.sha256)
        batch.views.append(torch.from_numpy(read.view))
        if len(batch.views) == batch_size:
            yield batch
            batch = PhotoBatch()
    if batch.photos:
        yield batch
