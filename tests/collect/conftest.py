"""A replica of iNaturalist on loopback, and the verb beside it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from experiments.replica import Replica, World, running
from tests.support.verbs import in_this_process


@pytest.fixture
def replica() -> Iterator[Replica]:
    with running(Replica(World(observations=24))) as replica:
        yield replica


@pytest.fixture
def collect(tmp_path, monkeypatch, capfd) -> Callable:
    """`collect(replica, "taxa=…", …)` → how it ended, and what it said on both streams; its home is tmp_path."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(replica: Replica, *arguments: str, home: Path = tmp_path) -> CompletedProcess:
        home.mkdir(exist_ok=True)
        monkeypatch.chdir(home)
        named = [] if any(one.startswith("name=") for one in arguments) else ["name=lake"]
        status = in_this_process("collect", *named, *replica.settings(), *arguments)
        said = capfd.readouterr()
        return CompletedProcess(arguments, status, said.err + said.out)

    return run
