"""A real `fishnet serve` on a small drawn model, as a process of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import psutil
import requests
import torch

from fishnet import ImageClassifier
from fishnet.data.class_names import ClassNames
from fishnet.data.photos import read_photo
from fishnet.models.bundle import write_bundle
from fishnet.models.familiarity import Familiarity
from fishnet.models.features import features_and_logits

from .processes import environment
from .uploads import jpeg

CLASSES = ["perch", "grand brochet", "鲤", "<b>eel</b>"]
SHORTCUT = {
    "class": "perch", "verdict": "shortcut", "kind": "outer", "rests_on": "what surrounds the animal",
    "reliance": 0.12, "p": 1e-9, "photos": 80,
}  # fmt: skip


def drawn_bundle(
    folder: Path, side: int = 64, *, classes: Sequence[str] = CLASSES, gallery: Mapping[str, bytes] | None = None,
    names: tuple[str, str] | None = None,
) -> Path:  # fmt: skip
    """A model whose answers differ from photo to photo; an audit has proven a shortcut of the class perch, which people
    call by these `names`."""
    torch.manual_seed(3)
    model = ImageClassifier(
        classes=[*classes], backbone="cnn", backbone_args={"filters": [8, 16, 32], "dense": 0}, image_size=side
    ).eval()
    for parameter in model.network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    spread_answers(model)
    model.names = ClassNames({"perch": names} if names else {})
    about = {"thresholds": {name: value for name, value in {"perch": 0.7, "鲤": None}.items() if name in classes}}
    write_bundle(model, folder, about=about, audit={"verdicts": [SHORTCUT]}, gallery=gallery)
    return folder


@torch.no_grad()
def spread_answers(model: ImageClassifier) -> None:
    """So that every class is answered for some drawn pictures, and pictures of another kind are strange.

    With so many classes that some are not answered, nothing is known of strange pictures.
    """
    photos = [read_photo(jpeg(seed), model.preprocessing).view for seed in range(120)]
    pixels = model.pixels(torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2))
    head = model.network.head
    features, logits = features_and_logits(model.network, head, pixels)
    spread = logits.std(dim=0)
    head.weight /= spread[:, None]
    head.bias.sub_(logits.mean(dim=0)).div_(spread)
    logits = head(features)
    answers = logits[:80].argmax(dim=1)
    if len(answers.unique()) == len(model.classes):
        model.familiarity = Familiarity.fitted(features[:80], answers, features[80:], logits[80:])


class Service:
    """A running service; ended with the block.

    Args:
        bundle: its folder.
        arguments: further keys, as they are typed.
    """

    def __init__(self, bundle: Path, *arguments: str) -> None:
        self.log = bundle.with_name(f"serve_{time.monotonic_ns()}.log")
        command = [sys.executable, "-m", "fishnet.commands.serve", f"checkpoint='{bundle}'", "port=0", *arguments]
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                command, cwd=bundle.parent, env=environment(), stdout=log, stderr=log, start_new_session=True
            )
        self.url = self._address()

    def _address(self, patience: float = 120.0) -> str:
        until = time.monotonic() + patience
        while time.monotonic() < until and self.process.poll() is None:
            if found := re.search(r"^page +(http://\S+)/$", self.text, re.M):
                return found[1]
            time.sleep(0.05)
        self.process.kill()
        raise AssertionError(f"the service did not start:\n{self.text}")

    @property
    def text(self) -> str:
        """What it has printed."""
        return self.log.read_text(errors="replace")

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def predict(self, *photos: bytes, names: list[str] | None = None, **query) -> requests.Response:
        files = [("photos", (name, data)) for name, data in zip(names or ["a.jpg"] * len(photos), photos, strict=True)]
        return requests.post(f"{self.url}/predict", params=query, files=files, timeout=60)

    def workers(self) -> list[psutil.Process]:
        """The processes that decode."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if child.ppid() != self.process.pid]

    def family(self) -> list[psutil.Process]:
        """The service and all that it has started."""
        main = psutil.Process(self.process.pid)
        return [main, *main.children(recursive=True)]

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            finally:
                self.process.kill()
