"""Which photos a model has seen: the digests of those it was trained, validated and tested on, kept in its checkpoint.

A figure that was measured on training photos says little about new ones. Whoever answers on a folder asks here, by the
bytes of the photos: names and folders may have changed since the training.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch

from .splits import PARTS

NEW = "new"  # the part of a photo that the model has not seen
UNSEEN = ("test", NEW)  # parts that a model neither learns from nor is chosen by


@dataclass(frozen=True)
class SeenPhotos:
    """The photos of a training by part, and how they were grouped.

    Args:
        digests: the first 64 bits of each photo's SHA-256, sorted, by part.
        group: `data.group` of the training.
    """

    digests: Mapping[str, np.ndarray]
    group: str | None = None

    @classmethod
    def of(cls, sha256: pd.Series, parts: pd.Series, group: str | None) -> Self:
        """From the digest and the part of each photo."""
        numbers = _numbers(sha256)
        return cls({part: np.unique(numbers[(parts == part).to_numpy()]) for part in PARTS}, group)

    @classmethod
    def of_split(cls, file: Path) -> Self | None:
        """From the split that a run has saved, for checkpoints without a record of their own; None without one."""
        if not file.is_file():
            return None
        saved = pd.read_csv(file, dtype=str, keep_default_na=False)
        return cls.of(saved["sha256"], saved["split"], None)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls({part: state[part].numpy() for part in PARTS}, state["group"])

    def state(self) -> dict[str, Any]:
        """Tensors and plain values for a checkpoint."""
        return {"group": self.group, **{part: torch.from_numpy(self.digests[part]) for part in PARTS}}

    def with_validation(self) -> Self:
        """Of a model that has learned from the validation photos too."""
        learned = np.union1d(self.digests["train"], self.digests["val"])
        return replace(self, digests={**self.digests, "train": learned, "val": self.digests["val"][:0]})

    def parts(self, sha256: Iterable[str]) -> np.ndarray:
        """train, val, test or new for each digest; bytes that were in several parts count as the first of these."""
        numbers = _numbers(sha256)
        known = [np.isin(numbers, self.digests[part]) for part in PARTS]
        return np.select(known, PARTS, default=NEW).astype(object)


def _numbers(sha256: Iterable[str]) -> np.ndarray:
    return np.array([int(digest[:16], 16) for digest in sha256], np.uint64).view(np.int64)
