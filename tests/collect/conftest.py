"""A replica of iNaturalist on loopback, and the verb in a process of its own beside it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import fishnet_itself
from replica import Replica, World, running


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
