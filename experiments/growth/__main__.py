"""How time and memory grow with the photos, the runs and the trials: `python -m experiments.growth table compare`.

    python -m experiments.growth table --sizes 1e3 1e4 1e5 1e6     # groups, near copies and split, of a made table
    python -m experiments.growth photos --sizes 1e3 1e4 1e5        # index, again, cache, first batch, of drawn photos
    python -m experiments.growth compare --sizes 50 500 5000       # fishnet compare, of so many runs in a store
    python -m experiments.growth study --sizes 30 100 300 1000     # a study of so many trainings that do nothing

Each stage at each size is a process of its own; a row says its seconds and the peak of its private memory, and by which
power of the size both grew since the size before.
"""

import argparse
import csv
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from experiments.index_scale.__main__ import draw
from experiments.speed.memory import Peak
from experiments.speed.table import machine

SIZES = {
    "table": [1e3, 1e4, 1e5, 1e6], "photos": [1e3, 1e4, 1e5], "compare": [50, 500, 5000], "study": [30, 100, 300, 1000],
}  # fmt: skip
COLUMNS = ("subject", "stage", "size", "seconds", "private_mb", "time_power", "memory_power", "machine")
Stages = Iterator[tuple[str, Callable[[], object]]]


def table_stages(size: int, _home: Path) -> Stages:
    """Of a table as the index has it, without files: subjects and near copies, then the split."""
    import pandas as pd

    from fishnet.data.index import grouped
    from fishnet.data.splits import split

    chance, rows = np.random.default_rng(0), np.arange(size)
    bits = chance.permuted(np.tile(np.arange(64) < 32, (size, 1)), axis=1)  # of a perceptual hash half are set
    table = pd.DataFrame(
        {
            "path": [f"species {row % 100:03}/{row:08}.jpg" for row in rows],
            "class": [f"species {row % 100:03}" for row in rows],
            "label": rows % 100,
            "sha256": [f"{row:064x}" for row in rows],
            "phash": np.packbits(bits, axis=1).view(np.uint64).ravel(),
            "width": 500,
            "height": 375,
            **dict.fromkeys(("exif_time", "exif_camera"), ""),
        }
    )
    kept = []
    yield "subjects and near copies", lambda: kept.append(grouped(table, "auto", "group")[0])
    yield "split", lambda: split(kept[0])


def photo_stages(size: int, home: Path) -> Stages:
    """Of drawn photos of 48 pixels in 100 classes."""
    root = home / "photos"
    root.mkdir()
    draw(root, size, 48)
    from fishnet import ImageFolderData
    from fishnet.data.index import build_index

    yield "index, first", lambda: build_index(root, progress=False)
    yield "index, again", lambda: build_index(root, progress=False)
    data = ImageFolderData(root=str(root), image_size=32, duplicates="ignore")
    yield "decode cache", lambda: data.folder.images(data.preprocessing)
    again = ImageFolderData(root=str(root), image_size=32, duplicates="ignore")
    yield "to the first batch", lambda: next(iter(again.train_dataloader()))


def compare_stages(size: int, home: Path) -> Stages:
    """Of so many finished runs with twenty metrics each."""
    from mlflow.entities import Metric, Param

    from fishnet.tracking.compare import compare
    from fishnet.tracking.store import open_store

    client = open_store(None, home=home).client()
    experiment = client.create_experiment("fishnet")
    for number in range(size):
        run = client.create_run(experiment, run_name=f"run {number}").info.run_id
        metrics = [Metric(f"test/figure_{k}", number / size + k, 0, 0) for k in range(20)]
        client.log_batch(run, metrics=metrics, params=[Param("model.lr", str(number / size)), Param("seed", "0")])
        client.set_terminated(run)
    for last in (20, 0):
        yield f"compare last={last}", lambda last=last: compare(uri=None, home=home, last=last or size)


TRAINING = """
import json, sys, time
from pathlib import Path
settings = dict(word.split("=", 1) for word in sys.argv[1:])
run = Path(settings.get("out") or settings["resume"])
(run / "offline").mkdir(parents=True, exist_ok=True)
now = time.time() * 1000
lines = [
    {"kind": "metrics", "time": now, "step": 0, "values": {"val/accuracy": float(settings["x"])}},
    {"kind": "tags", "values": {"fishnet.best_epoch": "0", "fishnet.parameters": "10"}},
    {"kind": "status", "status": "FINISHED", "time": now},
]
(run / "offline" / "journal.jsonl").write_text("".join(json.dumps(line) + "\\n" for line in lines))
"""


def study_stages(size: int, home: Path) -> Stages:
    """A grid of so many trainings, two at a time."""
    from fishnet.jobs.executors import executor_named
    from fishnet.studies.engine import Engine
    from fishnet.studies.journal import Journal
    from fishnet.studies.pool import Pool
    from fishnet.studies.protocol import parse
    from fishnet.studies.trials import Composed

    def compose(base, before, after) -> Composed:
        settings = {**before, **after}
        plain = {key: value for key, value in settings.items() if "." not in key}
        return Composed([f"{key}={value}" for key, value in settings.items()], {"data": {}, **plain})

    def engine() -> Engine:
        grid = {"search": {"space": {"x": [round(number / size, 6) for number in range(size)]}}}
        protocol = parse("grown", {"score": "val/accuracy", "stages": {"only": grid}}, scores=["val/accuracy"])
        journal = Journal(home / "study")
        executor = executor_named("local", home=home, logs=home / "logs", limit=None, settings={})
        command = [sys.executable, "-S", str(home / "training.py")]
        job = {"command": command, "cwd": str(home), "environment": {"PYTHONPATH": ""}, "limit": None}
        return Engine(protocol, journal, compose=compose, pool=Pool(journal, executor, 2, job))

    (home / "training.py").write_text(TRAINING)
    yield "trainings that do nothing", lambda: engine().run()
    yield "the same again, all done", lambda: engine().run()


SUBJECTS: dict[str, Callable[[int, Path], Stages]] = {
    "table": table_stages, "photos": photo_stages, "compare": compare_stages, "study": study_stages,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.growth", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("subjects", nargs="+", choices=SUBJECTS)
    parser.add_argument("--sizes", nargs="+", type=float, help="by default those of the table in README.md")
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_name("results.csv"))
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        child(chosen.subjects[0], chosen.child)
        return
    for subject in chosen.subjects:
        before: dict[str, tuple[int, float, float]] = {}
        for size in map(int, chosen.sizes or SIZES[subject]):
            command = [sys.executable, "-m", "experiments.growth", subject, "--child", str(size)]
            printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            for line in printed.splitlines():
                if line.startswith("{"):
                    stage, seconds, memory = json.loads(line).values()
                    now = (size, seconds, memory)
                    powers = [power(before[stage], now, k) for k in (1, 2)] if stage in before else ["", ""]
                    before[stage] = now
                    keep(chosen.csv, [subject, stage, size, seconds, memory, *powers, machine()])


def child(subject: str, size: int) -> None:
    """A line of JSON for each stage."""
    with tempfile.TemporaryDirectory(prefix="fishnet-growth-") as home:
        for stage, work in SUBJECTS[subject](size, Path(home)):
            base, peak, begun = Peak.now(), Peak(), time.perf_counter()
            work()
            seconds = time.perf_counter() - begun
            row = {"stage": stage, "seconds": round(seconds, 3), "mb": round((peak.stop() - base) / 2**20, 1)}
            print(f"\n{json.dumps(row)}", flush=True)


def power(before: tuple[int, float, float], now: tuple[int, float, float], column: int) -> str:
    """By which power of the size the figure has grown; nothing where it is too small to say."""
    least = 0.05 if column == 1 else 5.0
    if before[column] < least or now[column] < least:
        return ""
    return f"{math.log(now[column] / before[column]) / math.log(now[0] / before[0]):.2f}"


def keep(file: Path, row: list) -> None:
    new = not file.exists()
    with file.open("a", newline="", encoding="utf-8") as opened:
        table = csv.writer(opened)
        table.writerows([COLUMNS, row] if new else [row])
    print(*row[:-1], sep="  ", flush=True)


if __name__ == "__main__":
    main()
