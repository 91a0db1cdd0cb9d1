"""An audit shared out between jobs: each measures its share of the donors, and a run that is none judges.

A store is filled by a single process at a time, so that every job has a store of its own; who reads, reads all of them.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from fishnet.data.store import Store
from fishnet.errors import BadInput, WorkFailed


class Job(NamedTuple):
    """One of several processes, on any machines that share the photos' folder."""

    number: int  # from 1
    of: int

    @classmethod
    def named(cls, text: str) -> Self:
        """From `2/4`."""
        match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise BadInput(f"job={text}: say job=1/4 for the first of four, up to job=4/4.")
        return cls(int(match[1]), int(match[2]))

    def share(self, count: int) -> np.ndarray:
        """Its positions among so many; every position belongs to exactly one of the jobs."""
        return np.arange(self.number - 1, count, self.of)


class EffectStores:
    """The effects of donors on some hosts, kept in one store of the runs and in one of each job.

    Args:
        folder: where they lie.
        about: all that an effect depends on but the donor.
        shape: of the effects of a donor.
    """

    def __init__(self, folder: Path, about: dict, shape: tuple[int, int, int]) -> None:
        name = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]
        self.folder, self.about, self.shape = folder / name, about, shape

    def own(self, job: Job | None) -> Store:
        """The store that a job, or a run that is none, fills."""
        return self._store(self.folder if job is None else self.folder / f"job-{job.number}-of-{job.of}")

    def holds(self, keys: Sequence[str]) -> np.ndarray:
        """Whether the effects of each donor are in any of them."""
        return np.any([store.holds(keys) for store in self._stores()], axis=0)

    def read(self, keys: Sequence[str]) -> np.ndarray:
        """(donors, *shape), of donors that are all held."""
        result, left = np.zeros((len(keys), *self.shape), np.float32), np.ones(len(keys), bool)
        for store in self._stores():
            found = np.flatnonzero(left & store.holds(keys))
            if len(found):
                stored = store.read([keys[number] for number in found.tolist()], self._shapes(len(found)))
                result[found] = [stored[number] for number in range(len(found))]
                left[found] = False
        if left.any():
            raise WorkFailed(f"The effects in {self.folder} have been deleted meanwhile: start again.")
        return result

    def fill(self, keys: Sequence[str], make, *, job: Job | None, progress: bool) -> None:
        """Keep the effects of these donors, none of which is held; see `Store.fill`."""
        self.own(job).fill(keys, self._shapes(len(keys)), make, label="exchanging", progress=progress)

    def _stores(self) -> list[Store]:
        return [self.own(None), *(self._store(folder) for folder in sorted(self.folder.glob("job-*-of-*")))]

    def _store(self, folder: Path) -> Store:
        return Store(folder, dtype="float32", about=self.about)

    def _shapes(self, count: int) -> np.ndarray:
        return np.tile(np.array(self.shape, np.int32), (count, 1))
