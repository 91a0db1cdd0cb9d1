"""Photos that another process rewrites, in place and again and again, while a verb reads them.

    python -m experiments.survival.changing --repeats 10 --csv faults.csv

Each photo is one of two versions of different sizes, and for a moment half of one. Held is a repeat that ended with 0,
or with 1 and a sentence where too many photos were half when they were read, without a traceback, and whose table names
for each photo the digest of one of the two versions, or a refusal.
"""

import csv
import hashlib
import tempfile
import threading
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from fishnet.models.checkpoint import write_checkpoint
from fishnet.models.classifier import ImageClassifier

from . import children
from .faults import finish, parser, tally
from .signals import SETTINGS

MODEL = "checkpoint=model.ckpt"
VERBS = {
    "check": ["data.root=photos"],
    "predict": [MODEL, "images=photos", "out=OUT.csv"],
    "explain": [MODEL, "images=photos", "out=OUT"],
    "train": ["data.root=photos", *SETTINGS, "trainer.max_epochs=3", "test=true", "out=OUT"],
}
PHOTOS, CHANGING = 60, 20


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--verbs", nargs="*", choices=VERBS, default=list(VERBS))
    chosen = options.parse_args()
    children.prepare()
    chance, rows = np.random.default_rng(chosen.seed), []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        versions = draw(home)
        model = ImageClassifier(classes=["bright", "dark"], backbone="cnn", image_size=64)
        state = {"hyper_parameters": dict(model.hparams), "state_dict": model.state_dict()}
        write_checkpoint(state, home / "model.ckpt")
        for verb in chosen.verbs:
            goal = "exit 0 or a sentence, one of the two versions or a refusal"
            why = (once(home, verb, versions, f"run{chance.integers(2**32):08x}") for _ in range(chosen.repeats))
            rows.append(tally(f"{verb}: photos are rewritten", "python -m experiments.survival.changing", goal, why))
    finish(rows, chosen.csv)


def draw(home: Path) -> dict[Path, tuple[bytes, bytes]]:
    """Photos of noise, and two versions of those that change."""
    versions = {}
    for number in range(PHOTOS):
        file = home / "photos" / ("dark", "bright")[number % 2] / f"{number:03d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        pair = tuple(jpeg(number + seed, side) for seed, side in ((0, 320), (1000, 480)))
        file.write_bytes(pair[0])
        if number < CHANGING:
            versions[file] = pair
    return versions


def jpeg(seed: int, side: int) -> bytes:
    stream = BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def once(home: Path, verb: str, versions: dict[Path, tuple[bytes, bytes]], out: str) -> str:
    """Run the verb while a thread rewrites; what did not hold, in words."""
    log, ended = home / f"{out}.log", threading.Event()
    writer = threading.Thread(target=rewrite, args=(versions, ended), daemon=True)
    writer.start()
    try:
        arguments = [each.replace("OUT", out) for each in VERBS[verb]]
        process = children.begin(verb, home, *arguments, temporary=home, log=log)
        process.join(240)
    finally:
        ended.set()
        writer.join()
    lines = log.read_text(errors="replace")
    if process.exitcode not in (0, 1) or "Traceback" in lines or (process.exitcode and "fishnet: " not in lines):
        process.kill()
        return f"exit {process.exitcode}: {lines[-800:]}"
    tables = [table for table in (home / f"{out}.csv", home / out / "maps.csv") if table.exists()]
    return next(filter(None, (mixed(table, versions) for table in tables)), "")


def rewrite(versions: dict[Path, tuple[bytes, bytes]], ended: threading.Event) -> None:
    turn = 0
    while not ended.is_set():
        for file, pair in versions.items():
            data = pair[turn % 2]
            with file.open("wb", buffering=0) as opened:
                opened.write(data[: len(data) // 2])
                opened.write(data[len(data) // 2 :])
        turn += 1
        ended.wait(0.01)


def mixed(table: Path, versions: dict[Path, tuple[bytes, bytes]]) -> str:
    """The first row with a digest that neither version has."""
    known = {file.name: {hashlib.sha256(data).hexdigest() for data in pair} for file, pair in versions.items()}
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            name, digest = Path(row.get("path") or row.get("photo") or "").name, row.get("sha256", "")
            if name in known and digest and digest not in known[name]:
                return f"{table.name}: {row}"
    return ""


if __name__ == "__main__":
    main()
