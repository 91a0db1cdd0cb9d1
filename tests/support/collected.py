"""What a `fishnet collect` has left on disk."""

import csv
import os
from pathlib import Path

ALL = ["per_observation=all", "licences=any", "quality=any", "limit=null"]


def rows_of(home: Path, name: str = "lake") -> list[dict[str, str]]:
    with open(home / "data" / name / "manifest.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def photos_in(home: Path, name: str = "lake") -> set[str]:
    root = home / "data" / name
    return {str(path.relative_to(root)) for path in root.glob("*/*")} if root.exists() else set()


def everything_below(home: Path) -> list[str]:
    return sorted(name for name in os.listdir(home) if name != "cache")
