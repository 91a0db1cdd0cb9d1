"""Rows of the index → batches, in an order that follows from (seed, epoch) and can be taken up in mid-epoch."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from .augment import DRAWS
from .chance import uniforms
from .store import Stored
from .views import View


class WorkingImages(Protocol):
    """Height × width × 3 bytes by position: decoded at every look, or mapped from the cache."""

    def __getitem__(self, position: int) -> np.ndarray: ...


class PhotoDataset(Dataset):
    """Whole batches of draws `(row, key)`: the key decides the view, a negative row is a repeat that fills up."""

    def __init__(self, images: WorkingImages, labels: np.ndarray, view: View) -> None:
        self.images, self.labels, self.view = images, labels, view

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, draws: Sequence[tuple[int, int]]) -> dict[str, Any]:
        rows, keys = (np.array(column, dtype=np.int64) for column in zip(*draws, strict=True))
        positions = np.where(rows >= 0, rows, -1 - rows)
        plain = self.view.augment == "none"
        chance = np.zeros((len(keys), 0), np.float32) if plain else uniforms(keys, DRAWS)
        batch = np.empty((len(rows), self.view.size, self.view.size, 3), np.uint8)
        for place, position in enumerate(positions.tolist()):
            self.view.cut(self.images[position], batch[place], chance[place])
        told = {
            "image": torch.from_numpy(batch).permute(0, 3, 1, 2),
            "label": torch.from_numpy(self.labels[positions]),
            "index": torch.from_numpy(np.where(rows >= 0, rows, -1)),
        }
        return told if plain else {**told, "chance": torch.from_numpy(chance)}

    def __getitem__(self, draw: tuple[int, int]) -> dict[str, Any]:
        return {name: values[0] for name, values in self.__getitems__([draw]).items()}


class FeatureDataset(Dataset):
    """Stored features of some rows in the place of photos; of several fixed views the draw's key chooses one."""

    def __init__(self, views: Sequence[Stored], labels: np.ndarray, rows: np.ndarray) -> None:
        self.views, self.labels = views, labels
        self.place = np.full(len(labels), -1)
        self.place[rows] = np.arange(len(rows))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, draws: Sequence[tuple[int, int]]) -> dict[str, Any]:
        rows, keys = (np.array(column, dtype=np.int64) for column in zip(*draws, strict=True))
        positions = np.where(rows >= 0, rows, -1 - rows)
        views = keys % len(self.views)
        places = self.place[positions]
        features = [self.views[view][place].reshape(-1) for view, place in zip(views, places, strict=True)]
        return {
            "features": torch.from_numpy(np.stack(features)),
            "label": torch.from_numpy(self.labels[positions]),
            "index": torch.from_numpy(np.where(rows >= 0, rows, -1)),
        }


def as_it_is(batch: dict[str, Any]) -> dict[str, Any]:
    """The data set makes whole batches: nothing is left to collate."""
    return batch


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
        yield from zip(order[places[start:]].tolist(), keys[places[start:]].tolist(), strict=True)


class EvaluationSampler(Sampler):
    """Every row once over all ranks; ranks that come up short get a repeat marked -1 - row, which metrics leave out."""

    def __init__(self, rows: np.ndarray, *, rank: int = 0, world: int = 1) -> None:
        self.rows, self.rank, self.world = rows, rank, world

    def __len__(self) -> int:
        return -(-len(self.rows) // self.world)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        rows = self.rows.tolist()
        for place in range(self.rank, len(self) * self.world, self.world):
            row = rows[place % len(rows)]
            yield (row if place < len(rows) else -1 - row), row


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
    cv2.setNumThreads(0)
