"""What a check sees, and what it says."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pandas as pd

Weight = Literal["blocks", "warns", "notes"]
BLOCKS: Literal["blocks"] = "blocks"
WARNS: Literal["warns"] = "warns"
NOTES: Literal["notes"] = "notes"


@dataclass(frozen=True)
class Folder:
    """`table` is the index without any grouping by copies, `folders` are those of the classes, `manifest` lies beside
    the photos, or is empty."""

    root: Path
    table: pd.DataFrame
    refused: pd.DataFrame
    classes: list[str]
    folders: list[str]
    manifest: pd.DataFrame
    settings: dict


@dataclass(frozen=True)
class Finding:
    """`photos` are shown on the sheet, the worst first, each with what is wrong with it."""

    check: str
    weight: Weight
    said: str
    photos: list[tuple[str, str]] = field(default_factory=list)


Check = Callable[[Folder], Iterator[Finding]]
