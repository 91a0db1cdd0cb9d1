"""Verbs that write tables, maps and pages, ended at random moments by signals to their group, and started again.

    python -m experiments.survival.verbs --repeats 10 --csv faults.csv

A row a verb and signal: how many of the repeats ended with the right exit status, without a traceback and without a
broken file under a final name, and, started again by the same command, made what an undisturbed command makes.
"""

import argparse
import hashlib
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from fishnet.models.checkpoint import write_checkpoint
from fishnet.models.classifier import ImageClassifier

from . import children
from .signals import append
from .wreck import broken_files

SIGNALS = {"SIGTERM": (signal.SIGTERM, 143), "Ctrl-C": (signal.SIGINT, 130), "SIGKILL": (signal.SIGKILL, 137)}
MODEL = "checkpoint=model.ckpt"
VERBS = {
    "predict": [MODEL, "images=photos", "out=OUT.csv", "batch_size=2"],
    "explain": [MODEL, "images=photos", "out=OUT", "pictures=40", "contents=true"],
}
PHOTOS = 240


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--csv", type=Path, help="append the rows to this table")
    parser.add_argument("--verbs", nargs="*", choices=VERBS, default=list(VERBS))
    chosen = parser.parse_args()
    children.prepare()
    chance, rows, bad = np.random.default_rng(18), [], 0
    for verb in chosen.verbs:
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            draw(home)
            seconds, made = undisturbed(home, verb)
            print(f"{verb}: {seconds:.1f} s undisturbed", flush=True)
            for name, (number, status) in SIGNALS.items():
                why = [one(home, verb, number, status, seconds, made, chance) for _ in range(chosen.repeats)]
                ended = [each for each in why if each is not None]  # the others had finished before the signal
                held = sum(not each for each in ended)
                bad += len(ended) - held
                goal = f"exit {status}, no broken file, the same command makes the same"
                command = f"kill -{signal.Signals(number).name.removeprefix('SIG')} -- -PGID"
                rows.append([f"{verb}: {name}", command, len(ended), goal, f"{held} of {len(ended)}"])
                print(f"{verb}, {name}: {held} of {len(ended)} {'; '.join(filter(None, why))}", flush=True)
    if chosen.csv:
        append(chosen.csv, rows)
    return int(bad > 0)


def draw(home: Path) -> None:
    """Photos of noise in two classes, and a model that has learned nothing."""
    for number in range(PHOTOS):
        file = home / "photos" / ("dark", "bright")[number % 2] / f"{number:03d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(file)
    model = ImageClassifier(classes=["bright", "dark"], backbone="cnn", image_size=64)
    write_checkpoint({"hyper_parameters": dict(model.hparams), "state_dict": model.state_dict()}, home / "model.ckpt")


def begin(home: Path, verb: str, out: str):
    arguments = [each.replace("OUT", out) for each in VERBS[verb]]
    return children.begin(verb, home, *arguments, temporary=home, log=home / f"{out}.log")


def undisturbed(home: Path, verb: str) -> tuple[float, dict[str, str]]:
    """How long it takes once the photos are known, and what it makes."""
    for out in ("first", "whole"):  # the second finds the index of the first, as all that follow do
        began = time.monotonic()
        process = begin(home, verb, out)
        process.join()
        if process.exitcode:
            raise SystemExit((home / f"{out}.log").read_text())
    return time.monotonic() - began, digests(home, "whole")


def digests(home: Path, out: str) -> dict[str, str]:
    """Of all files that it made, hidden ones too, by their names without `out`; a page and tables name `out`."""
    files = [file for file in home.rglob("*") if file.is_file() and out in str(file.relative_to(home))]
    kept = [file for file in files if file.suffix not in (".log", ".lock", ".html")]
    return {
        str(file.relative_to(home)).replace(out, ""): hashlib.sha256(file.read_bytes()).hexdigest() for file in kept
    }


def one(
    home: Path, verb: str, number: int, status: int, seconds: float, made: dict[str, str], chance: np.random.Generator
) -> str | None:
    """End it somewhere, look, start it again; what did not hold, in words; None where it had finished before."""
    out = f"run{chance.integers(2**32):08x}"
    process = begin(home, verb, out)
    time.sleep(chance.uniform(0.3, 0.95) * seconds)
    if process.is_alive():
        os.killpg(process.pid, number)
    process.join(60)
    log = (home / f"{out}.log").read_text(errors="replace")
    code = process.exitcode
    if code is None:
        os.killpg(process.pid, signal.SIGKILL)
        return "it did not end"
    if code == 0:
        return None
    if (128 - code if code < 0 else code) != status or "Traceback" in log:
        return f"exit {code}: {log[-500:]}"
    broken = broken_files(home / out) if (home / out).is_dir() else []
    broken += [str(file) for file in home.rglob("*.jpg") if not is_whole(file)]
    if number != signal.SIGKILL:
        broken += [file.name for file in home.rglob(".*.part")]
    if broken:
        return f"broken: {broken}"
    again = begin(home, verb, out)
    again.join()
    log = (home / f"{out}.log").read_text(errors="replace")
    if again.exitcode:
        return f"again: exit {again.exitcode}: {log[-500:]}"
    after = digests(home, out)
    return "" if after == made else f"other files: {sorted(set(after.items()) ^ set(made.items()))[:6]}"


def is_whole(picture: Path) -> bool:
    try:
        with Image.open(picture) as opened:
            opened.load()
    except OSError:
        return picture.name.startswith(".")
    return True


if __name__ == "__main__":
    sys.exit(main())
