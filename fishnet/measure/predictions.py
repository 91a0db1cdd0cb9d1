"""The logits of a model for each photo of one part of the data, gathered over all processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import softmax

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Predictions:
    """One row a photo, sorted by its row number in the index."""

    index: np.ndarray
    label: np.ndarray
    logits: np.ndarray

    def __len__(self) -> int:
        return len(self.index)

    @property
    def predicted(self) -> np.ndarray:
        return self.logits.argmax(axis=1)

    def probabilities(self, temperature: float = 1.0) -> np.ndarray:
        return softmax(self.logits / temperature, axis=1)

    def confidence(self, temperature: float = 1.0) -> np.ndarray:
        """The probability of each photo's predicted class."""
        return self.probabilities(temperature).max(axis=1)


def margins(logits: np.ndarray) -> np.ndarray:
    """By how much each row's highest logit is above the second: it ranks answers whose probabilities all round to 1."""
    highest = np.partition(np.asarray(logits, np.float64), -2, axis=1)
    return highest[:, -1] - highest[:, -2]


def on_cpu(outputs: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """One step's outputs as small arrays, so that an epoch's worth of them holds no device memory."""
    return {
        "index": outputs["index"].cpu().numpy(),
        "label": outputs["label"].cpu().numpy(),
        "logits": outputs["logits"].float().cpu().numpy(),
    }


def gathered(outputs: list[dict[str, np.ndarray]]) -> Predictions:
    """Every photo once, whichever process saw it; all processes must call this together."""
    parts = [part for rank in _all_ranks(outputs) for part in rank if len(part["index"])]
    if not parts:
        return Predictions(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 0)))
    index, label, logits = (np.concatenate([part[key] for part in parts]) for key in ("index", "label", "logits"))
    index, first = np.unique(index, return_index=True)  # samplers that pad repeat photos
    return Predictions(index, label[first], logits[first].astype(np.float64))


def _all_ranks(outputs: list) -> list[list]:
    import torch.distributed as processes

    if not (processes.is_available() and processes.is_initialized()) or processes.get_world_size() == 1:
        return [outputs]
    collected: list = [None] * processes.get_world_size()
    processes.all_gather_object(collected, outputs)
    return collected
