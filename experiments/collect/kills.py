"""kill -9 at random moments, and the same command again: is the end the same as if nobody had disturbed it?"""

import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.replica import Replica, World, running

from .processes import ALL, broken, collected, manifest, started, tree

KILLS, CONNECTIONS = 50, 4
START = 0.5  # seconds until the first photo can be on its way


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
            process = started(torn, *settings)
            time.sleep(START + chance.uniform(0, 1.4))
            if process.poll() is None:
                process.kill()
                done += 1
            process.communicate()
            time.sleep(0.15)  # what the server has on its way
            again.append(sum(count > before[one] for one, count in replica.served.items() if before.get(one)))
            halves += (
                len([one for one in tree(torn) if "/." not in one and one in broken(torn)])
                if (torn / "data").exists()
                else 0
            )
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
