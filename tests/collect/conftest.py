"""A replica of iNaturalist on loopback, and the verb in a process of its own beside it."""

import csv
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import fishnet_itself
from replica import Replica, World, running

ALL = ["per_observation=all", "licences=any", "quality=any", "limit=null"]


@pytest.fixture
def replica() -> Iterator[Replica]:
    with running(Replica(World(observations=24))) as replica:
        yield replica


@pytest.fixture
def collect(tmp_path, monkeypatch) -> Callable:
    """`collect(replica, "taxa=…", …)` → the ended process; its home is tmp_path."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(replica: Replica, *arguments: str, home: Path = tmp_path):
        home.mkdir(exist_ok=True)
        named = [] if any(one.startswith("name=") for one in arguments) else ["name=lake"]
        return fishnet_itself(home, "collect", *named, *replica.settings(), *arguments)

    return run


def rows_of(home: Path, name: str = "lake") -> list[dict[str, str]]:
    with open(home / "data" / name / "manifest.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def photos_in(home: Path, name: str = "lake") -> set[str]:
    root = home / "data" / name
    return {str(path.relative_to(root)) for path in root.glob("*/*")} if root.exists() else set()


def everything_below(home: Path) -> list[str]:
    return sorted(name for name in os.listdir(home) if name != "cache")
