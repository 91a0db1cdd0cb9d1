"""A service under 32 clients, beside FastAPI with a forward pass a request, and beside LitServe with batches."""

import atexit
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import requests
import torch

from fishnet import ImageClassifier
from fishnet.models.bundle import write_bundle

from .pairing import Case, Options
from .photos import picture

CLIENTS, REQUESTS, LONE = 32, 320, 60
CLASSES = [f"class {number}" for number in range(10)]
SERVERS = Path(__file__).with_name("servers.py")


class Running:
    """A server as a process of its own, and a client for each of its connections.

    Args:
        command: that starts it.
        ready: a pattern of the line that says where it listens; the address is its group.
    """

    def __init__(self, command: list[str], ready: str) -> None:
        environment = os.environ | {"PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        atexit.register(self.process.kill)
        assert self.process.stdout is not None
        printed = []
        for line in self.process.stdout:
            printed.append(line)
            if found := re.search(ready, line):
                self.url = found[1]
                break
        else:
            raise RuntimeError("".join(printed))
        self._await_connections()
        self.session = requests.Session()
        self.session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=CLIENTS))

    def _await_connections(self, patience: float = 60.0) -> None:
        """Some print their address before they listen."""
        host, port = self.url.removeprefix("http://").split(":")
        until = time.monotonic() + patience
        while True:
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)

    def ask(self, photo: bytes, path: str = "predict", field: str = "photos") -> list[float]:
        """Probabilities in the order of the classes."""
        answer = self.session.post(f"{self.url}/{path}", files={field: ("a.jpg", photo)}, timeout=60)
        answer.raise_for_status()
        values = answer.json()
        if "photos" in values:
            known = {each["name"]: each["probability"] for each in values["photos"][0]["classes"]}
            return [known[name] for name in CLASSES]
        return values["probabilities"]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def cases(options: Options) -> Iterator[Case]:
    photos = [jpeg(number) for number in range(40)]
    for side in (224, 128):
        folder = Path(tempfile.mkdtemp(prefix="fishnet-serve-")) / "bundle"
        torch.manual_seed(0)
        write_bundle(ImageClassifier(classes=CLASSES, backbone="resnet18", image_size=side).eval(), folder, about={})
        yield from _of_size(side, folder, photos)


def _of_size(side: int, folder: Path, photos: list[bytes]) -> Iterator[Case]:
    fishnet = [sys.executable, "-m", "fishnet.commands.serve", f"checkpoint='{folder}'", "port=0"]
    where = r"page +(http://\S+)/"
    plain = Running([sys.executable, str(SERVERS), "plain", str(folder)], r"(http://\S+?)/?\s")
    fp32 = Running(fishnet, where)
    yield crowd_case(f"resnet18 {side} px, 32 clients, fp32", fp32, plain, photos, 1.5)
    lone = f"resnet18 {side} px, a lone request"
    yield Case(
        lone, lambda: in_turn(fp32, photos), lambda: in_turn(plain, photos), agree, 1.15,
        ours_work=LONE, peers_work=LONE, inverse=True,
    )  # fmt: skip
    maps = "predict?top=10&" + "&".join(f"heatmap={name}" for name in CLASSES[:1])
    mapped = f"resnet18 {side} px, with a heat-map"
    yield Case(
        mapped, lambda: crowd(fp32, photos, maps), lambda: crowd(fp32, photos), agree, 1.3,
        ours_work=REQUESTS, peers_work=REQUESTS, inverse=True,
    )  # fmt: skip
    if litserve_is_there():
        lit = Running([sys.executable, str(SERVERS), "litserve", str(folder)], r"(http://\S+?)/?\s")
        yield crowd_case(f"resnet18 {side} px, 32 clients, fp32, LitServe", fp32, lit, photos, 1.0)
        lit.stop()
    fp32.stop()
    bf16 = Running([*fishnet, "precision=bf16"], where)
    yield crowd_case(f"resnet18 {side} px, 32 clients, bf16", bf16, plain, photos, 2.2)
    bf16.stop()
    plain.stop()


def crowd_case(name: str, ours: Running, peers: Running, photos: list[bytes], goal: float) -> Case:
    return Case(
        name, lambda: crowd(ours, photos), lambda: crowd(peers, photos), agree, goal, ours_work=REQUESTS,
        peers_work=REQUESTS,
    )  # fmt: skip


def crowd(server: Running, photos: list[bytes], path: str = "predict?top=10") -> np.ndarray:
    """Of all clients at once."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        return np.array(list(pool.map(lambda n: server.ask(photos[n % len(photos)], path), range(REQUESTS))))


def in_turn(server: Running, photos: list[bytes]) -> np.ndarray:
    """Of one client."""
    return np.array([server.ask(photos[number % len(photos)], "predict?top=10") for number in range(LONE)])


def agree(ours: object, peers: object) -> tuple[bool, str]:
    mine, theirs = np.asarray(ours), np.asarray(peers)
    worst = float(np.abs(mine - theirs).max())
    same = float((mine.argmax(axis=1) == theirs.argmax(axis=1)).mean())
    return worst < 0.02 and same > 0.95, f"probabilities within {worst:.1g}, same top class {same:.0%}"


def litserve_is_there() -> bool:
    found = subprocess.run([sys.executable, "-c", "import litserve"], capture_output=True, check=False)
    return found.returncode == 0


def jpeg(number: int) -> bytes:
    stream = BytesIO()
    picture(640, 480, number).save(stream, "JPEG", quality=88)
    return stream.getvalue()
