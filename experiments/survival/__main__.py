"""kill -9 again and again: is anything broken, does every resume start, and is the end the same as without?

python -m experiments.survival --kills 25
"""

import argparse
import csv
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from . import children
from .witness import history
from .wreck import broken_files, database_is_whole, litter

# A wide dense layer costs little to train and much to write: most of a run's time is a checkpoint being written.
SETTINGS = [
    "data=folder",
    "data.image_size=32",
    "data.batch_size=8",
    "model.backbone=cnn",
    "model.backbone_args.filters=[8,16,1024]",
    "model.dropout=0.3",
    "model.patience=0",
    "trainer.accelerator=cpu",
    "trainer.precision=32-true",
    "callbacks.last.every_n_steps=2",
    "callbacks.early_stopping=null",
    "callbacks.heatmaps=null",
    "callbacks.report.resamples=50",
]
SHARE_AT_START = 0.1  # of the kills: at any moment from the start of the process on
SHARE_ANYWHERE = 0.2  # at any moment of training; the others aim at a checkpoint that is being written
LONGEST = 1.0  # seconds of training before a kill
LONGEST_START = 4.0  # and of a start
WRITING = "writing a checkpoint"


def main() -> int:
    arguments = parsed()
    children.prepare()
    home = Path(arguments.home or tempfile.mkdtemp(prefix="fishnet-survival-")).absolute()
    temporary = Path(arguments.tmpdir or home / "temporary").absolute()
    temporary.mkdir(parents=True, exist_ok=True)
    photos = draw(home / "photos")
    settings = [f"data.root={photos}", *SETTINGS, f"model.backbone_args.dense={arguments.dense}"]
    settings += [f"trainer.max_epochs={16 * arguments.kills + 8}"]
    undisturbed(home, settings, temporary)
    kills = killed(home, settings, temporary, count=arguments.kills, seed=arguments.seed)
    same = compared(home)
    if arguments.csv:
        write(Path(arguments.csv), kills, other=temporary.stat().st_dev != home.stat().st_dev)
    told(kills, same, temporary, home)
    if not arguments.home:
        shutil.rmtree(home)
    met = sum(kill["phase"] == WRITING for kill in kills)
    return int(met < arguments.kills or any(kill["broken"] for kill in kills) or not all(same.values()))


class Finished(Exception):
    """The run ended before it could be killed again."""


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m experiments.survival", description=__doc__)
    parser.add_argument("--kills", type=int, default=25, help="that meet a checkpoint being written")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dense", type=int, default=8192, help="width of the layer that makes checkpoints large")
    parser.add_argument("--tmpdir", help="the killed process's TMPDIR, for instance on another file system")
    parser.add_argument("--home", help="work and leave everything here; a temporary folder if not given")
    parser.add_argument("--csv", help="append one row a kill to this table")
    return parser.parse_args()


def draw(root: Path) -> Path:
    """Two classes of noise, one of them brighter: 40 photos."""
    for label, name in enumerate(("dark", "bright")):
        (root / name).mkdir(parents=True)
        for number in range(20):
            pixels = np.random.default_rng((label, number)).integers(60 * label, 190 + 60 * label, (40, 40, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{number:02d}.png")
    return root


def undisturbed(home: Path, settings: list[str], temporary: Path) -> None:
    start(home, "whole", settings, temporary).join()
    if not (home / "whole" / "checkpoints" / "last.ckpt").exists():
        raise SystemExit((home / "whole.log").read_text())


def start(home: Path, name: str, settings: list[str], temporary: Path):
    """`fishnet train out=…` until there is a checkpoint, then `fishnet train resume=…`."""
    arguments = [f"resume={home / name}", "packages=[experiments]"]
    if not (home / name / "checkpoints" / "last.ckpt").exists():
        shutil.rmtree(home / name, ignore_errors=True)
        witness = "+callbacks.witness._target_=experiments.survival.witness.Witness"
        arguments = [*settings, witness, f"+callbacks.witness.path={home / name}.jsonl", f"out={name}"]
    return children.train(home, *arguments, temporary=temporary, log=home / f"{name}.log")


def killed(home: Path, settings: list[str], temporary: Path, *, count: int, seed: int) -> list[dict]:
    """Until `count` kills have met a checkpoint that was being written; the others are counted too."""
    chance = np.random.default_rng(seed)
    kills: list[dict] = []
    while sum(kill["phase"] == WRITING for kill in kills) < count:
        try:
            kills.append(one_kill(home, settings, temporary, chance))
        except Finished:
            print(f"the run reached its end after {len(kills)} kills", flush=True)
            return kills
        print(f"kill {len(kills)}: {kills[-1]}", flush=True)
    last = start(home, "parts", settings, temporary)
    last.join()
    if last.exitcode != 0:
        raise SystemExit(f"the last resume ended with {last.exitcode}:\n{(home / 'parts.log').read_text()}")
    return kills


def one_kill(home: Path, settings: list[str], temporary: Path, chance: np.random.Generator) -> dict:
    """Start or resume, wait for a random moment, kill, look at what is left."""
    began, steps = time.time(), lines(home / "parts.jsonl")
    process = start(home, "parts", settings, temporary)
    await_moment(process, home, steps, chance)
    process.kill()
    process.join()
    if process.exitcode == 0:
        raise Finished
    if process.exitcode != -signal.SIGKILL:
        raise SystemExit(f"it ended with {process.exitcode} before the kill:\n{(home / 'parts.log').read_text()}")
    folder = home / "parts"
    sizes = [path.stat().st_size for path in folder.glob("checkpoints/*.ckpt")]
    left = litter(folder / "checkpoints", since=began)
    broken = broken_files(folder) + ([] if database_is_whole(home / "mlflow.db") else ["mlflow.db"])
    return {
        "moment": round(time.time() - began, 2),
        "phase": WRITING if left else "training" if lines(home / "parts.jsonl") > steps else "starting",
        "steps": lines(home / "parts.jsonl") - steps,
        "checkpoint_mb": round(max(sizes, default=0) / 1e6),
        "broken": " ".join(broken),
    }


def await_moment(process, home: Path, steps: int, chance: np.random.Generator) -> None:
    """Somewhere in the start, somewhere in training, or in the midst of a write."""
    aim = chance.random()
    if aim >= SHARE_AT_START:
        await_that(process, home, lambda: lines(home / "parts.jsonl") > steps)
    time.sleep(chance.uniform(0, LONGEST if aim >= SHARE_AT_START else LONGEST_START))
    if aim >= SHARE_AT_START + SHARE_ANYWHERE:
        folder = home / "parts" / "checkpoints"
        before = time.time()
        await_that(process, home, lambda: litter(folder, since=before))
        time.sleep(chance.exponential(0.02))


def await_that(process, home: Path, condition: Callable[[], bool]) -> None:
    while not condition():
        if not process.is_alive() and process.exitcode == 0:
            raise Finished
        if not process.is_alive():
            raise SystemExit(f"it ended by itself with {process.exitcode}:\n{(home / 'parts.log').read_text()}")
        time.sleep(0.001)


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def compared(home: Path) -> dict[str, bool]:
    """The finished run beside the undisturbed one."""
    one, two = (torch.load(home / name / "checkpoints" / "last.ckpt", weights_only=True) for name in ("whole", "parts"))
    return {
        "batches and learning rates": history(home / "whole.jsonl") == history(home / "parts.jsonl"),
        "weights, bit for bit": all(
            torch.equal(value, two["state_dict"][key]) for key, value in one["state_dict"].items()
        ),
        "momentum, bit for bit": _equal_states(one["optimizer_states"][0], two["optimizer_states"][0]),
        "test metrics": _metrics(home / "whole") == _metrics(home / "parts"),
    }


def _equal_states(one: dict, two: dict) -> bool:
    pairs = [(one["state"][key]["momentum_buffer"], two["state"][key]["momentum_buffer"]) for key in one["state"]]
    return all(torch.equal(first, second) for first, second in pairs)


def _metrics(folder: Path) -> dict:
    return json.loads((folder / "report" / "metrics.json").read_text())


def write(path: Path, kills: list[dict], *, other: bool) -> None:
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        table = csv.DictWriter(file, ["tmpdir", "kill", *kills[0]], lineterminator="\n")
        if fresh:
            table.writeheader()
        place = "another file system" if other else "the same file system"
        table.writerows({"tmpdir": place, "kill": number, **kill} for number, kill in enumerate(kills, 1))


def told(kills: list[dict], same: dict[str, bool], temporary: Path, home: Path) -> None:
    phases = [kill["phase"] for kill in kills]
    print(f"{len(kills)} kills: {', '.join(f'{phases.count(p)} {p}' for p in sorted(set(phases)))}")
    print(f"TMPDIR on {'another' if temporary.stat().st_dev != home.stat().st_dev else 'the same'} file system")
    print(f"broken files under a final name: {sum(bool(kill['broken']) for kill in kills)}")
    for what, equal in same.items():
        print(f"{what}: {'the same as undisturbed' if equal else 'DIFFERENT'}")


if __name__ == "__main__":
    sys.exit(main())
