"""Verbs that answer on photos, ended at random moments by signals to their group, and started again.

    python -m experiments.survival.verbs --repeats 10 --csv faults.csv

A row a verb and signal: how many of the repeats ended with the right exit status, without a traceback, without a
process that lives on and without a broken file under a final name, and, started again by the same command, made what
an undisturbed command makes. Where a kill -9 has left the folder of a run, the same command refuses it in a sentence,
and makes the same in another folder.
"""

import hashlib
import os
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from fishnet.data.seen import SeenPhotos
from fishnet.models.checkpoint import write_checkpoint
from fishnet.models.classifier import ImageClassifier
from fishnet.models.gan import ImageGAN

from . import children
from .faults import Row, finish, outliving, parser, tally
from .wreck import broken_files

SIGNALS = {
    "SIGTERM": (signal.SIGTERM, 143), "Ctrl-C": (signal.SIGINT, 130), "SIGHUP": (signal.SIGHUP, 129),
    "SIGKILL": (signal.SIGKILL, 137),
}  # fmt: skip
MODEL, ROOT = "checkpoint=model.ckpt", "data.root=photos"
VERBS = {
    "predict": [MODEL, "images=photos", "out=OUT.csv", "batch_size=2"],
    "explain": [MODEL, "images=photos", "out=OUT", "pictures=40", "contents=true"],
    "embed": [MODEL, ROOT, "out=OUT", "tracking.offline=true"],
    "audit": [MODEL, ROOT, "out=OUT", "tracking.offline=true", "region=ellipse", "donors=20", "hosts=4"],
    "generate": ["checkpoint=gan.ckpt", "judge=model.ckpt", ROOT, "n=64", "out=OUT"],
    "check": [ROOT, "out=OUT.jpg"],
}
PHOTOS = 240
# Pages and records name the folder and the moment; what the other files hold follows from the photos and the model.
OF_THE_RUN = ("command.txt", ".log", ".lock", ".html", ".yaml", ".jsonl", "run.json", "checks.json", "freeze.txt")
IN_USE = ("is in use", "was reserved", "exists: give")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--verbs", nargs="*", choices=VERBS, default=list(VERBS))
    options.add_argument("--signals", nargs="*", choices=SIGNALS, default=list(SIGNALS))
    options.add_argument("--fresh", action="store_true", help="forget what is known of the photos before each start")
    chosen = options.parse_args()
    children.prepare()
    rows: list[Row] = []
    for verb in chosen.verbs:
        with tempfile.TemporaryDirectory() as folder:
            struck = Struck(Path(folder), verb, fresh=chosen.fresh, seed=chosen.seed)
            print(f"{verb}: {struck.seconds:.1f} s undisturbed", flush=True)
            for name in chosen.signals:
                number, status = SIGNALS[name]
                command = f"kill -{signal.Signals(number).name.removeprefix('SIG')} -- -PGID"
                goal = f"exit {status}, no broken file, no process left, the same command makes the same"
                why = (struck.once(number, status) for _ in range(chosen.repeats))
                rows.append(tally(f"{verb}: {name}", command, goal, why))
    finish(rows, chosen.csv)


def draw(home: Path) -> None:
    """Photos of noise in two classes, and a classifier and a GAN that have learned nothing."""
    for number in range(PHOTOS):
        file = home / "photos" / ("dark", "bright")[number % 2] / f"{number:03d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(file)
    model = ImageClassifier(classes=["bright", "dark"], backbone="cnn", image_size=64)
    gan = ImageGAN(classes=["dark"], latent=8, width=4, discriminator_width=4)
    photos = pd.Series(sorted((home / "photos" / "dark").glob("*.png")))
    digests = photos.map(lambda file: hashlib.sha256(file.read_bytes()).hexdigest())
    gan.seen = SeenPhotos.of(digests, pd.Series(["train", "test"] * (len(photos) // 2)), "none")
    for network, name in ((model, "model.ckpt"), (gan, "gan.ckpt")):
        state = {"hyper_parameters": dict(network.hparams), "state_dict": network.state_dict()}
        network.on_save_checkpoint(state)
        write_checkpoint(state, home / name)


class Struck:
    """A verb that is ended again and again, beside what it makes undisturbed.

    Args:
        home: a folder to work in.
        verb: of `VERBS`.
        fresh: whether each start reads and measures all photos anew.
        seed: of the moments.
    """

    def __init__(self, home: Path, verb: str, *, fresh: bool, seed: int) -> None:
        self.home, self.verb, self.fresh = home, verb, fresh
        self._chance = np.random.default_rng(seed)
        draw(home)
        for out in ("first", "whole"):  # the second finds the index of the first, as all that follow do
            began = time.monotonic()
            process = self._begin(out)
            process.join()
            if process.exitcode:
                raise SystemExit(self._log(out))
        self.seconds, self._made = time.monotonic() - began, self._digests("whole")

    def once(self, number: int, status: int) -> str | None:
        """End it somewhere, look, start it again; what did not hold, in words; None where it had finished before."""
        out = f"run{self._chance.integers(2**32):08x}"
        process = self._begin(out)
        time.sleep(self._chance.uniform(0.1, 0.95) * self.seconds)
        with suppress(ProcessLookupError):  # it has finished
            os.killpg(process.pid, number)
        process.join(60)
        if process.exitcode is None:
            os.killpg(process.pid, signal.SIGKILL)
            return f"it did not end: {self._log(out)}"
        if process.exitcode == 0:
            return None
        return self._trouble(out, process, number, status) or self._again(out)

    def _begin(self, out: str):
        if self.fresh:
            shutil.rmtree(self.home / ".photos.fishnet", ignore_errors=True)
        arguments = [each.replace("OUT", out) for each in VERBS[self.verb]]
        return children.begin(self.verb, self.home, *arguments, temporary=self.home, log=self.home / f"{out}.log")

    def _log(self, out: str) -> str:
        return (self.home / f"{out}.log").read_text(errors="replace")[-600:]

    def _trouble(self, out: str, process, number: int, status: int) -> str:
        """What is wrong with the way that it has ended, and with what it has left."""
        code = 128 - process.exitcode if process.exitcode < 0 else process.exitcode
        if left := outliving(out, process.pid):
            return f"left behind: {left}"
        if code != status or any(word in self._log(out) for word in ("Traceback", "Error:", "Exception")):
            return f"exit {code}: {self._log(out)}"
        broken = broken_files(self.home / out) if (self.home / out).is_dir() else []
        broken += [str(file) for kind in ("jpg", "png") for file in self.home.rglob(f"*.{kind}") if not is_whole(file)]
        if number != signal.SIGKILL:
            broken += [file.name for file in self.home.rglob(".*.part")]
        return f"broken: {broken}" if broken else ""

    def _again(self, out: str) -> str:
        """The same command; where it is refused because the folder is a run's, the same with another folder."""
        again = self._begin(out)
        again.join()
        if again.exitcode == 2 and any(words in self._log(out) for words in IN_USE):
            out = f"{out}b"
            again = self._begin(out)
            again.join()
        if again.exitcode:
            return f"again: exit {again.exitcode}: {self._log(out)}"
        after = self._digests(out)
        return "" if after == self._made else f"other files: {sorted(set(after.items()) ^ set(self._made.items()))[:6]}"

    def _digests(self, out: str) -> dict[str, str]:
        """Of all files that it made, hidden ones too, by their names without `out`; a page and tables name `out`."""
        files = [file for file in self.home.rglob("*") if file.is_file() and self._is_of(file, out)]
        kept = [file for file in files if not file.name.endswith(OF_THE_RUN)]
        return {
            str(file.relative_to(self.home)).replace(out, ""): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in kept
        }

    def _is_of(self, file: Path, out: str) -> bool:
        first = file.relative_to(self.home).parts[0]
        return out in first and f"{out}b" not in first


def is_whole(picture: Path) -> bool:
    try:
        with Image.open(picture) as opened:
            opened.load()
    except OSError:
        return picture.name.startswith(".")
    return True


if __name__ == "__main__":
    main()
