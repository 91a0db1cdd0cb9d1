"""What collecting 10,000 photos holds in memory."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from experiments.replica import Replica, World, running

from .processes import ALL, manifest, started

MOST_MB = 500


def proof(scale: float) -> Iterator[tuple]:
    world = World(observations=max(20, round(3340 * scale)), most_photos=1, side=240)
    with tempfile.TemporaryDirectory() as folder, running(Replica(world)) as replica:
        home = Path(folder)
        begin, peak = time.perf_counter(), 0
        process = started(home, *ALL, *replica.settings(), "connections=16")
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                peak = max(peak, watched.memory_info().rss)
            except psutil.NoSuchProcess:
                break
            time.sleep(0.05)
        process.communicate()
        count = len(manifest(home))
        yield "photos collected", count, round(10_000 * scale), count >= 10_000 * scale
        yield "seconds", f"{time.perf_counter() - begin:.0f}", "", True
        yield "peak memory (resident), MB", peak // 2**20, f"<= {MOST_MB}", peak <= MOST_MB * 2**20
