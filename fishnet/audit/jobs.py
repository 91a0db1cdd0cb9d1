"""An audit shared out between jobs: each measures its share of the donors, and a run that is none judges."""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from fishnet.data.store import SharedStore
from fishnet.errors import BadInput


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
        self.stores, self.shape = SharedStore(folder / name, dtype="float32", about=about), shape

    def holds(self, keys: Sequence[str]) -> np.ndarray:
        """Whether the effects of each donor are in any of them."""
        return self.stores.holds(keys)

    def read(self, keys: Sequence[str]) -> np.ndarray:
        """(donors, *shape), of donors that are all held."""
        return np.array(self.stores.read(keys), np.float32).reshape(len(keys), *self.shape)

    def fill(self, keys: Sequence[str], make, *, job: Job | None, progress: bool) -> None:
        """Keep the effects of these donors, none of which is held; see `Store.fill`."""
        store = self.stores.own("" if job is None else f"job-{job.number}-of-{job.of}")
        shapes = np.tile(np.array(self.shape, np.int32), (len(keys), 1))
        store.fill(keys, shapes, make, label="exchanging", progress=progress)
