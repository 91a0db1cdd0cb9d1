"""What `fishnet train trainer=gpu` reaches of a plain loop that has its batch on the card already.

    python -m experiments.speed.gpu                             # three networks, eager and compiled
    python -m experiments.speed.gpu --only resnet18 --rounds 3

One training a row, as typed, from the decode cache with the default augmentation, logged to MLflow; the plain loop (the
same network, precision and optimiser on one batch of random numbers) runs between its epochs. The figure is images a
second of ours over those of the plain loop, with a 95 % interval from drawing the rounds again.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytorch_lightning as L
import torch

from .pairing import Row, interval
from .photos import folder
from .table import append, machine, show

NETWORKS = {"resnet101": 256, "resnet18": 512, "mobilenetv3_large_100": 512}
GOAL = 0.97
PHOTOS, LINKS, WARM = 1024, 24, 8  # drawn, names of each, steps of an epoch that are not timed


class Stopwatch(L.Callback):
    """Times the steps of each epoch behind the first ones, and after the epoch as many of the plain loop.

    Args:
        file: where the rounds are kept, a line each: seconds a step, ours and the plain loop's.
        compiled: whether the plain loop's network is compiled too.
        steps: of the plain loop a round.
    """

    def __init__(self, *, file: str, compiled: bool, steps: int = 30) -> None:
        self.file, self.compiled, self.steps = Path(file), compiled, steps
        self.begun, self.ours = 0.0, 0.0

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.plain = PlainLoop(pl_module, trainer.datamodule.batch_size, compiled=self.compiled)  # type: ignore[attr-defined]
        self.plain.seconds(5)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx: int) -> None:
        if batch_idx + 1 in (WARM, trainer.num_training_batches - 1):  # the last batch is a smaller one
            torch.cuda.synchronize()
            self.ours = (time.perf_counter() - self.begun) / (batch_idx + 1 - WARM) if batch_idx >= WARM else 0.0
            self.begun = time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        plain = self.plain.seconds(self.steps)
        if trainer.current_epoch > 0:  # the first epoch warms up
            with self.file.open("a") as file:
                file.write(f"{self.ours} {plain}\n")


class PlainLoop:
    """Forward, backward and a step of SGD, again and again on the batch that lies on the card."""

    def __init__(self, model, batch_size: int, *, compiled: bool) -> None:
        from fishnet import ImageClassifier

        with torch.random.fork_rng(devices=[model.device]):
            twin = ImageClassifier(classes=model.classes, backbone=model.hparams["backbone"])
            shape = (batch_size, 3, model.preprocessing.size, model.preprocessing.size)
            self.images = torch.randn(shape, device=model.device).to(memory_format=torch.channels_last)
        self.network = twin.network.to(model.device, memory_format=torch.channels_last).train()
        if compiled:
            self.network.compile()
        self.labels = torch.arange(batch_size, device=model.device) % len(model.classes)
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)

    def seconds(self, steps: int) -> float:
        """A step, on the mean."""
        torch.cuda.synchronize()
        begun = time.perf_counter()
        with torch.enable_grad():
            for _ in range(steps):
                self.optimizer.zero_grad()
                with torch.autocast("cuda", torch.bfloat16):
                    loss = torch.nn.functional.cross_entropy(self.network(self.images).float(), self.labels)
                loss.backward()
                self.optimizer.step()
        torch.cuda.synchronize()
        return (time.perf_counter() - begun) / steps


def linked_folder() -> Path:
    """Drawn photos, each under several names: an epoch that is long enough to time, decoded once."""
    drawn = folder(500, PHOTOS)
    root = Path(tempfile.mkdtemp(prefix="fishnet-speed-gpu-"))
    for photo in sorted(drawn.rglob("*.jpg")):
        place = root / photo.parent.name
        place.mkdir(exist_ok=True)
        for number in range(LINKS):
            os.link(photo, place / f"{photo.stem}_{number}.jpg")
    return root


def train(root: Path, network: str, batch: int, *, compiled: bool, rounds: int, typed: list[str]) -> np.ndarray:
    """A training as typed, with the stopwatch beside its callbacks; rounds × (ours, plain) in seconds a step."""
    with tempfile.TemporaryDirectory(prefix="fishnet-speed-run-") as out:
        watch = {"_target_": "experiments.speed.gpu.Stopwatch", "file": f"{out}/rounds.txt", "compiled": compiled}
        overrides = [
            *("data=folder", f"data.root={root}", "data.duplicates=ignore", "data.group=none", "data.val=0.02"),
            *("data.test=0.02", f"data.batch_size={batch}", "trainer=gpu", f"trainer.compile={compiled}"),
            *(f"trainer.max_epochs={rounds + 1}", f"model.backbone={network}", "model.pretrained=false", "test=false"),
            *(f"+callbacks.stopwatch.{key}={value}" for key, value in watch.items()),
            *(f"out={out}/run", f"tracking.uri=sqlite:///{out}/mlflow.db", *typed),
        ]
        subprocess.run([sys.executable, "-m", "fishnet", "train", *overrides], check=True)
        return np.loadtxt(f"{out}/rounds.txt", ndmin=2)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.speed.gpu", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="only rows whose name holds this")
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_name("results.csv"))
    parser.add_argument("typed", nargs="*", help="more settings of the training, key=value")
    chosen = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("There is no GPU here: these rows are measured on a machine that has one.")
    root, where = linked_folder(), machine()
    try:
        for compiled in (False, True):
            for network, batch in NETWORKS.items():
                name = f"{network} batch {batch}, {'compiled' if compiled else 'eager'}"
                if chosen.only not in name:
                    continue
                how = {"compiled": compiled, "rounds": chosen.rounds, "typed": chosen.typed}
                ours, plain = train(root, network, batch, **how).T
                low, high = interval(plain / ours)
                rates = f"{batch / np.median(ours):,.0f} and {batch / np.median(plain):,.0f} images/s"
                row = Row(
                    name, float(np.median(plain / ours)), low, high, GOAL, False, len(ours),
                    float(np.median(ours) * 1e3), float(np.median(plain) * 1e3), True, rates,
                )  # fmt: skip
                show("gpu", row)
                append(chosen.csv, "gpu", row, where)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
