"""What a check sees, and what it says."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pandas as pd

BLOCKS, WARNS, NOTES = "blocks", "warns", "notes"


@dataclass(frozen=True)
class Folder:
    """`table` is the index without any grouping by copies, `manifest` what lies beside the photos (empty without one)."""

    root: Path
    table: pd.DataFrame
    refused: pd.DataFrame
    classes: list[str]
    manifest: pd.DataFrame
    settings: dict


@dataclass(frozen=True)
class Finding:
    """`photos` are shown on the sheet, the worst first, each with what is wrong with it."""

    check: str
    weight: Literal["blocks", "warns", "notes"]
    said: str
    photos: list[tuple[str, str]] = field(default_factory=list)


Check = Callable[[Folder], Iterator[Finding]]
