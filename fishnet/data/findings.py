"""What a check of a folder sees, and what it says: the words between checks, the verb and the sheet."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from fishnet.data.cache import stored_features
from fishnet.data.index import grouped
from fishnet.data.same_photo import Pair, compared, nearest_pairs
from fishnet.progress import with_progress

Weight = Literal["blocks", "warns", "notes"]
WEIGHTS: tuple[Weight, ...] = ("blocks", "warns", "notes")  # the gravest first


@dataclass(frozen=True)
class Folder:
    """What a check sees."""

    root: Path
    table: pd.DataFrame  # the index without any grouping by copies
    refused: pd.DataFrame  # path and reason of photos that cannot be used
    classes: list[str]  # in the order of their labels
    folders: list[str]  # those that are looked at
    manifest: pd.DataFrame  # the rows on these photos; empty where there is no manifest
    settings: dict[str, Any]  # those of the data module
    left_out: list[str] = field(default_factory=list)  # what the listing says of files that are no photos
    progress: bool = True

    @cached_property
    def groups(self) -> np.ndarray:
        """A group for each row: as training would group, but for pairs that earlier checks have written down."""
        keep = "group" if self.settings["duplicates"] == "drop" else self.settings["duplicates"]
        return grouped(self.table, self.settings["group"], keep)[0]["group"].to_numpy()

    @cached_property
    def features(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Rows and their features, where a training with a frozen backbone has left some in the cache."""
        return stored_features(self.root, self.settings.get("cache", "auto"), self.table)

    @cached_property
    def pairs(self) -> list[Pair]:
        """Photos of different groups whose features are alike, compared point by point; none without features."""
        if self.features is None:
            return []
        rows, features = self.features
        near = [
            Pair(int(rows[p.left]), int(rows[p.right]), p.cosine) for p in nearest_pairs(features, self.groups[rows])
        ]
        photos = [self.root / path for path in self.table["path"]]
        return list(with_progress(compared(near, photos), len(near), "comparing photos", shown=self.progress))


@dataclass(frozen=True)
class Finding:
    """What a check has found; `photos` are shown on the sheet, the worst first, each with what is wrong with it."""

    check: str
    weight: Weight
    text: str
    photos: list[tuple[str, str]] = field(default_factory=list)


Check = Callable[[Folder], Iterator[Finding]]
