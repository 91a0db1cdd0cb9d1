"""kill -9 at random moments, and the same command again: is the end the same as if nobody had disturbed it?"""

import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from experiments.replica import Replica, World, running

from .processes import ALL, broken, collected, manifest, started, tree

KILLS, CONNECTIONS = 50, 4
SHARE_AT_START = 0.1  # of the kills: while the process starts or lists; the others meet photos on their way
LONGEST_START, LONGEST = 1.0, 0.8  # seconds until the kill


def proof(scale: float) -> Iterator[tuple]:
    kills = max(2, round(KILLS * scale))
    world = World(observations=max(8, round(6 * kills)))
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as folder, running(Replica(world, latency=0.1)) as replica:
        settings = [*ALL, *replica.settings(), f"connections={CONNECTIONS}"]
        whole, torn = Path(folder) / "whole", Path(folder) / "torn"
        collected(whole, *settings, "connections=32")
        replica.served.clear()
        again, halves = [], 0
        done = 0
        while done < kills:
            before = dict(replica.served)
            await_moment(replica, process := started(torn, *settings), chance)
            if process.poll() is None:
                process.kill()
                done += 1
            process.communicate()
            time.sleep(0.15)  # what the server has on its way
            again.append(sum(count > before[one] for one, count in replica.served.items() if before.get(one)))
            halves += sum("/." not in one for one in broken(torn))
            if process.returncode == 0:
                break
        before = dict(replica.served)
        collected(torn, *settings)
        again.append(sum(count > before[one] for one, count in replica.served.items() if before.get(one)))
        hidden = [place for place in tree(torn) if "/." in place]
        yield "kills before it was finished", done, kills, done == kills
        yield (
            "photos in the end",
            len(manifest(torn)),
            len(manifest(whole)),
            len(manifest(torn)) == len(manifest(whole)),
        )
        yield (
            "tree and manifest as undisturbed",
            tree(torn) == tree(whole),
            True,
            tree(torn) == tree(whole) and manifest(torn) == manifest(whole),
        )
        yield "half files under a final name, after any kill", halves, 0, halves == 0
        yield "temporary files left in the end", len(hidden), 0, not hidden
        yield "most photos fetched twice after one kill", max(again), f"<= {CONNECTIONS}", max(again) <= CONNECTIONS
        yield (
            "photos fetched twice, all kills",
            sum(again),
            f"<= {CONNECTIONS * kills}",
            sum(again) <= CONNECTIONS * kills,
        )


def await_moment(replica: Replica, process: subprocess.Popen, chance: random.Random) -> None:
    """Waits for the moment of the kill: while it starts or lists, or while photos are on their way."""
    asked = len(replica.log)
    if chance.random() < SHARE_AT_START:
        time.sleep(chance.uniform(0, LONGEST_START))
        return
    deadline = time.monotonic() + 60
    while not any(path.startswith("/photos/") for _, path in replica.log[asked:]):
        if process.poll() is not None or time.monotonic() > deadline:
            return
        time.sleep(0.01)
    time.sleep(chance.uniform(0, LONGEST))
