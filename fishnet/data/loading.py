"""Rows of the index → batches, in an order that follows from (seed, epoch) and can be taken up in mid-epoch."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from fishnet.images import load_image

from .transforms import Transform, seeded


class PhotoDataset(Dataset):
    """Photos by draw `(row, key)`: the key seeds the random view, a negative row is a repeat that fills up."""

    def __init__(self, root: Path, paths: list[str], labels: list[int], transform: Transform, *, min_side: int) -> None:
        self.root, self.paths, self.labels = root, np.asarray(paths), np.asarray(labels)
        self.transform, self.min_side = transform, min_side

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, draw: tuple[int, int]) -> dict[str, Any]:
        row, key = draw
        position = row if row >= 0 else -1 - row
        image = load_image(self.root / self.paths[position], min_side=self.min_side)
        return {
            "image": seeded(self.transform, image, key),
            "label": int(self.labels[position]),
            "index": int(row if row >= 0 else -1),
        }


class EpochSampler(Sampler):
    """Training order: a permutation (or weighted draw) that is a function of seed and epoch, shared out over ranks."""

    def __init__(
        self, rows: np.ndarray, *, seed: int, weights: np.ndarray | None = None, rank: int = 0, world: int = 1
    ) -> None:
        self.rows, self.seed, self.weights, self.rank, self.world = rows, seed, weights, rank, world
        self.epoch = 0
        self.start = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.rows) // self.world)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        chance = np.random.default_rng((self.seed, self.epoch))
        if self.weights is None:
            order = chance.permutation(self.rows)
        else:
            order = chance.choice(self.rows, size=len(self.rows), p=self.weights / self.weights.sum())
        keys = chance.integers(0, 2**62, size=len(order))
        places = np.resize(np.arange(len(order)), len(self) * self.world)[self.rank :: self.world]
        start, self.start = self.start, 0
        for place in places[start:]:
            yield int(order[place]), int(keys[place])


class EvaluationSampler(Sampler):
    """Every row once over all ranks; ranks that come up short get a repeat marked -1 - row, which metrics leave out."""

    def __init__(self, rows: np.ndarray, *, rank: int = 0, world: int = 1) -> None:
        self.rows, self.rank, self.world = rows, rank, world

    def __len__(self) -> int:
        return -(-len(self.rows) // self.world)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for place in range(self.rank, len(self) * self.world, self.world):
            row = int(self.rows[place % len(self.rows)])
            yield (row if place < len(self.rows) else -1 - row), row


class ResumableLoader(DataLoader):
    """A DataLoader that tells how far the *training* has come (not the workers) and starts again from there."""

    sampler: EpochSampler
    _seen = 0

    def __iter__(self):
        self._seen = self.sampler.start // (self.batch_size or 1)
        for batch in super().__iter__():
            self._seen += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self.sampler.epoch, "batches": self._seen}

    def load_state_dict(self, state: dict[str, int]) -> None:
        done = state["batches"] >= len(self)
        self.sampler.set_epoch(state["epoch"] + done)
        self.sampler.start = 0 if done else state["batches"] * (self.batch_size or 1)


def single_thread(_worker: int) -> None:
    """Loader workers share the cores with training; more threads in each only fight."""
    torch.set_num_threads(1)
