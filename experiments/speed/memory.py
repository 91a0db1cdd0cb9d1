"""Private memory of training from the cache and of data-set maps: `python -m experiments.speed.memory`.

Neither may grow with the folder. Each figure is the peak of `Anonymous` in /proc/self/smaps_rollup of a process of its
own; pages of mapped files, which the system may drop, do not count.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from .photos import picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=500)
    parser.add_argument("--large", type=int, default=5000)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        child(*chosen.child)
        return
    for count in (chosen.small, chosen.large):
        with tempfile.TemporaryDirectory(prefix="fishnet-memory-") as folder:
            draw(Path(folder), count)
            for what in ("synthetic", "cached", "maps"):
                command = [sys.executable, "-m", __spec__.name, "--child", what, folder]
                said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                print(f"{count} photos, {what}: {said.strip().splitlines()[-1]}", flush=True)


def draw(root: Path, count: int) -> None:
    for number in range(count):
        place = root / f"class_{number % 2}" / f"{number:05d}.jpg"
        place.parent.mkdir(exist_ok=True)
        picture(320, 240, number).save(place, quality=88)


def child(what: str, folder: str) -> None:
    import pytorch_lightning as L
    from torch.utils.data import DataLoader

    from fishnet import ImageClassifier, ImageFolderData
    from fishnet.explain.maps import write_maps

    from .loader import Ready

    data = ImageFolderData(root=folder, image_size=128, batch_size=32, duplicates="ignore")
    model = ImageClassifier(classes=data.classes, backbone="resnet18", image_size=128)
    batch = next(iter(data.evaluation_loader("all")))  # the folder is indexed and cached before memory is watched
    peak = Peak()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = L.Trainer(max_epochs=1, enable_model_summary=False, limit_val_batches=0, **quiet)
    if what == "maps":
        with tempfile.TemporaryDirectory() as out:
            write_maps(model, data.evaluation_loader("all"), data.table, Path(out))
    elif what == "cached":
        trainer.fit(model, datamodule=data)
    else:
        trainer.fit(model, DataLoader(Ready(batch), batch_size=None))
    print(f"{peak.stop() / 2**20:.0f} MB")


class Peak(threading.Thread):
    """The most anonymous memory this process has held."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._most, self._done = 0, threading.Event()
        self.start()

    def run(self) -> None:
        while not self._done.wait(0.05):
            self._most = max(self._most, self.now())

    def stop(self) -> int:
        self._done.set()
        self.join()
        return max(self._most, self.now())

    @staticmethod
    def now() -> int:
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:")) * 1024


if __name__ == "__main__":
    main()
