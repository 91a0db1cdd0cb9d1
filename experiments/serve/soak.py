"""Private memory of a service over many requests: photos of many sizes and kinds, some broken, some with heat-maps.

python -m experiments.serve.soak --bundle BUNDLE --requests 10000
"""

import argparse
import random
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import psutil
import requests
from PIL import Image

from .running import running

FIRST = 500  # requests, after which memory is first read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=8)
    chosen = parser.parse_args()
    with running(chosen.bundle) as (url, number):
        soak(url, psutil.Process(number), chosen.requests, chosen.clients)


def soak(url: str, service: psutil.Process, count: int, clients: int) -> None:
    """Print memory after the first requests, after each tenth of them and at the end."""
    photos, names = (
        drawn_photos(),
        [each["name"] for each in requests.get(f"{url}/classes", timeout=9).json()["classes"]],
    )
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=clients))

    def ask(number: int) -> int:
        data = photos[number % len(photos)]
        query = {"heatmap": names[:10]} if number % 3 == 0 else {}
        while True:
            answer = session.post(f"{url}/predict", params=query, files={"photos": ("a.jpg", data)}, timeout=60)
            if answer.status_code != 503:
                return answer.status_code
            time.sleep(0.05)

    started, first = time.monotonic(), 0.0
    with ThreadPoolExecutor(clients) as pool:
        for done in (FIRST, *range(max(FIRST, count // 10), count + 1, count // 10)):
            so_far = 0 if done == FIRST else max(FIRST, done - count // 10)
            codes = list(pool.map(ask, range(so_far, done)))
            assert set(codes) == {200}, set(codes)
            memory = private(service)
            first = first or memory
            print(f"{done:6d} requests: {memory:.0f} MB, {memory / first:.3f} of that after {FIRST}", flush=True)
    print(f"{count / (time.monotonic() - started):.0f} requests a second")


def private(service: psutil.Process) -> float:
    """Of the service and all its processes, in MB."""
    family = [service, *service.children(recursive=True)]
    return sum(process.memory_full_info().uss for process in family) / 2**20


def drawn_photos(count: int = 60) -> list[bytes]:
    """Noise of many sizes as JPEG, PNG and WebP, and a few that are cut short."""
    rng, found = np.random.default_rng(0), []
    for number in range(count):
        height, width = rng.integers(60, 1600, 2)
        small = rng.integers(0, 256, (height // 20 + 1, width // 20 + 1, 3), np.uint8)
        image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
        stream = BytesIO()
        image.save(stream, ("JPEG", "JPEG", "PNG", "WEBP")[number % 4])
        data = stream.getvalue()
        found.append(data[: len(data) // 2] if number % 15 == 14 else data)
    random.Random(0).shuffle(found)
    return found


if __name__ == "__main__":
    main()
