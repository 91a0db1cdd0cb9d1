"""Rows of the index → batches, in an order that follows from (seed, epoch) and can be taken up in mid-epoch."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.distributed import DistributedSampler

from fishnet.environment import usable_cores

from .augment import DRAWS, hashed_noise
from .pieces import gathered
from .store import Stored
from .views import View

REPEATS = "repeats"  # of a batch: whether it holds any
FOR_PARENT = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)  # signals that stop a training in order
MOST_WORKERS = 8  # a process makes about a thousand views of 224 pixels a second


class WorkingImages(Protocol):
    """Height × width × 3 bytes by position: decoded at every look, or mapped from the cache."""

    def __getitem__(self, position: int) -> np.ndarray: ...


@dataclass(eq=False)
class PhotoDataset(Dataset):
    """Whole batches of draws `(row, key)`: the key decides the view, a negative row is a repeat that fills up.

    A batch is image, label and index (-1 for repeats); with augmentation also `noise`, for what the device does of it,
    and `weight` where photos are weighed. With `scale_late` it has `pieces` and their `sizes` in place of `image`.
    """

    images: WorkingImages
    labels: np.ndarray
    view: View
    weights: np.ndarray | None = None  # of the photos in the loss, where a curation weighs them
    scale_late: bool = False  # views that scale leave it to the device

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, draws: Sequence[tuple[int, int]]) -> dict[str, Any]:
        positions, keys, batch = _rows_of(draws, self.labels, self.weights)
        plain = self.view.augment == "none"
        noise = np.zeros((len(keys), 0), np.float32) if plain else hashed_noise(keys, DRAWS)
        batch |= {} if plain else {"noise": torch.from_numpy(noise)}
        looks = zip(positions.tolist(), noise, strict=True)
        if self.scale_late and self.view.scales:
            return {**gathered([self.view.piece(self.images[position], own) for position, own in looks]), **batch}
        images = np.empty((len(keys), self.view.size, self.view.size, 3), np.uint8)
        for number, (position, own) in enumerate(looks):
            self.view.cut(self.images[position], images[number], own)
        return {"image": torch.from_numpy(images).permute(0, 3, 1, 2), **batch}

    def __getitem__(self, draw: tuple[int, int]) -> dict[str, Any]:
        return {name: values[0] for name, values in self.__getitems__([draw]).items()}


class FeatureDataset(Dataset):
    """Stored features of some rows instead of photos; of several fixed views the draw's key chooses one."""

    def __init__(
        self, views: Sequence[Stored], labels: np.ndarray, rows: np.ndarray, weights: np.ndarray | None = None
    ) -> None:
        self.views, self.labels, self.weights = views, labels, weights
        self.position = np.full(len(labels), -1)
        self.position[rows] = np.arange(len(rows))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, draws: Sequence[tuple[int, int]]) -> dict[str, Any]:
        rows, keys, batch = _rows_of(draws, self.labels, self.weights)
        pairs = zip(keys % len(self.views), self.position[rows], strict=True)
        features = [self.views[view][position].reshape(-1) for view, position in pairs]
        return {"features": torch.from_numpy(np.stack(features)), **batch}


class Known(NamedTuple):
    """Features to learn from, a row a photo or one of its views.

    Attributes:
        features: (rows, numbers).
        labels: of each row.
        weights: of each row in the loss.
    """

    features: np.ndarray
    labels: np.ndarray
    weights: np.ndarray

    def joined(self, other: "Known") -> "Known":
        return Known(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))


def _rows_of(
    draws: Sequence[tuple[int, int]], labels: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Rows and keys of draws, and what a batch says of them: labels, weights, and row numbers, those of repeats -1."""
    rows, keys = (np.array(column, dtype=np.int64) for column in zip(*draws, strict=True))
    real = np.where(rows >= 0, rows, -1 - rows)
    batch = {"label": torch.from_numpy(labels[real]), "index": torch.from_numpy(np.maximum(rows, -1))}
    if weights is not None:
        batch["weight"] = torch.from_numpy(weights[real].astype(np.float32))
    return real, keys, batch


def as_it_is(batch: Any) -> Any:
    """The data set makes whole batches: nothing is left to collate."""
    return batch


class SharedOut(DistributedSampler):
    """The draws of one of `world` processes. Lightning would share out once more what it does not know by this name:
    each of two devices would learn from a quarter of the photos."""

    world: int

    @property
    def num_replicas(self) -> int:  # type: ignore[override]
        return self.world


@dataclass(eq=False)
class EpochSampler(SharedOut):
    """Training order: a permutation (or weighted draw) that is a function of seed and epoch, shared out over ranks."""

    rows: np.ndarray
    seed: int
    weights: np.ndarray | None = None
    rank: int = 0
    world: int = 1
    epoch: int = 0
    start: int = 0  # of this process's draws in the epoch; those before are passed over, once

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.rows) // self.world)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        if self.weights is None:
            order = rng.permutation(self.rows)
        else:
            order = rng.choice(self.rows, size=len(self.rows), p=self.weights / self.weights.sum())
        keys = rng.integers(0, 2**62, size=len(order))
        own = np.resize(np.arange(len(order)), len(self) * self.world)[self.rank :: self.world][self.start :]
        self.start = 0
        yield from zip(order[own].tolist(), keys[own].tolist(), strict=True)


@dataclass(eq=False)
class EvaluationSampler(SharedOut):
    """Every row once over all ranks; ranks that come up short get a repeat marked -1 - row, which metrics leave out."""

    rows: np.ndarray
    rank: int = 0
    world: int = 1

    def __len__(self) -> int:
        return -(-len(self.rows) // self.world)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        rows = self.rows.tolist()
        for position in range(self.rank, len(self) * self.world, self.world):
            row = rows[position % len(rows)]
            yield (row if position < len(rows) else -1 - row), row


class PhotoLoader(DataLoader):
    """A DataLoader whose workers leave the signals of a terminal or a scheduler to the training, from their first
    moment on: one that died of them would take the training with it, before there is a checkpoint."""

    def __iter__(self) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        if not self.num_workers:
            return super().__iter__()
        with signals_held():  # a worker is born with them held
            return super().__iter__()


class ResumableLoader(PhotoLoader):
    """A DataLoader whose state says how far the *training* has come (not the workers), and which goes on from there.

    Args:
        device: where batches are moved to; a GPU takes one while it still computes with the one before.
    """

    sampler: EpochSampler
    _served = 0

    def __init__(self, *args: Any, device: torch.device | None = None, **more: Any) -> None:
        self.device = device
        super().__init__(*args, **more)

    def __iter__(self) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        self._served = self.sampler.start // (self.batch_size or 1)
        on_gpu = self.device is not None and self.device.type == "cuda"
        for batch in moved_beside(super().__iter__(), self.device) if on_gpu else super().__iter__():  # type: ignore[arg-type]
            self._served += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self.sampler.epoch, "batches": self._served}

    def load_state_dict(self, state: dict[str, int]) -> None:
        done = state["batches"] >= len(self)
        self.sampler.set_epoch(state["epoch"] + done)
        self.sampler.start = 0 if done else state["batches"] * (self.batch_size or 1)


def moved_beside(batches: Iterator[dict[str, Any]], device: torch.device) -> Iterator[dict[str, Any]]:
    """Batches on a GPU, each copied there in a queue of its own, so that what is being computed is not waited for."""
    queue = torch.cuda.Stream(device)
    for batch in batches:
        with torch.cuda.stream(queue):
            there = {name: values.to(device, non_blocking=True) for name, values in batch.items()}
        computing = torch.cuda.current_stream(device)
        computing.wait_stream(queue)
        for values in there.values():
            values.record_stream(computing)
        yield {**there, REPEATS: has_repeats(batch)}


def has_repeats(batch: dict[str, Any]) -> bool:
    """Looked up while the batch is on the processor: on a GPU that would wait for all that is queued."""
    return bool((batch["index"] < 0).any())


def workers_beside(device: torch.device, asked: int | None, processes: int = 1) -> int:
    """How many processes load photos beside a model: as many as were asked for, else none on a CPU, whose cores they
    would take from it, and up to MOST_WORKERS on a GPU, which leaves them idle."""
    if asked is not None:
        return asked
    return min(MOST_WORKERS, max(0, usable_cores() // processes - 1)) if device.type == "cuda" else 0


@contextmanager
def signals_held() -> Iterator[None]:
    """The signals that stop a training arrive in this thread when the block is over.

    Python's resource tracker, which the first process of some kinds starts, would let go of them: it is started before.
    """
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, FOR_PARENT)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def prepare_worker(worker: int) -> None:
    """What a process that loads photos does first."""
    single_thread(worker)
    leave_signals_to_parent()


def single_thread(_worker: int) -> None:
    """Loader workers share the cores with training; more threads in each only fight."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)


def leave_signals_to_parent() -> None:
    """In a worker: whoever ends the whole group of processes means the parent, which then ends its workers by SIGTERM.

    Who has sent a SIGTERM is known only to those who wait for it, which is what a thread does here. A parent that has
    died is noticed by the worker itself (PyTorch looks for it).
    """
    for number in FOR_PARENT:
        if number != signal.SIGTERM:
            signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()  # who has asked for it, where a server of processes has made it
    if hasattr(signal, "sigwaitinfo") and parent is not None:  # not on macOS, where a worker dies of it
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        threading.Thread(target=_end_with, args=(parent.pid,), name="end", daemon=True).start()
        return
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])


def _end_with(parent: int) -> None:
    """Wait for the SIGTERM of the parent, and end this process."""
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != parent:
        pass
    os._exit(0)
