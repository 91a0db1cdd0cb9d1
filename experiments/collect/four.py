"""Four processes of one user at once: does the API ever see more than it asks for? Its own log is the judge."""

import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from experiments.replica import Replica, World, running

from .processes import ALL, started


def proof(scale: float) -> Iterator[tuple]:
    world = World(observations=max(20, round(1000 * scale)), most_photos=1, side=32)
    with tempfile.TemporaryDirectory() as folder, running(Replica(world)) as replica:
        home = Path(folder)
        settings = [one for one in replica.settings() if not one.startswith("pause=")]
        taxa = "taxa=Perca fluviatilis,47163,47164"
        processes = [started(home, *ALL, *settings, name=f"lake{k}", taxa=taxa) for k in range(4)]
        said = [process.communicate()[1] for process in processes]
        ended = [process.returncode for process in processes]
        calls = sorted(replica.calls())
    gaps = [after - before for before, after in pairwise(calls)]
    minute = max(sum(start <= one < start + 60 for one in calls) for start in calls)
    yield "processes that ended well", ended.count(0), 4, ended == [0] * 4 or print("\n".join(said)) is not None
    yield "calls", len(calls), "any", True
    yield "shortest time between two calls, s", f"{min(gaps):.3f}", ">= 1", min(gaps) >= 1
    yield "most calls in any 60 s", minute, "<= 60", minute <= 60
    yield "mean time between two calls, s", f"{sum(gaps) / len(gaps):.3f}", "no more than needed", True
