"""Loss of power: whatever nobody has flushed is gone, again and again, and what goes on from there.

    python -m experiments.survival.power --repeats 10 --csv faults.csv
    python -m experiments.survival.power --repeats 10 --control

At a random moment the writer is killed, and every file gets back the bytes of its last flush (`lost_writes.py`); the
same command then goes on there. Writers are a training, a collection (files and ledger), a store of arrays, and a
study's results. With `--control` flushes of what they write do nothing (those of a ledger or a list of what there is
still do): that every writer then leaves half files shows that a missing flush would be seen.
"""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fishnet.collect.collection_folder import recover
from fishnet.collect.ledger import DELETED, KEPT, Ledger
from fishnet.data.store import Store
from fishnet.studies.supervisor import read_result

from . import children
from .__main__ import SETTINGS, draw
from .faults import finish, parser, tally
from .lost_writes import Disk
from .wreck import broken_files, database_is_whole

LONGEST = 4.0  # seconds of work before the loss
WRITTEN = ("/checkpoints/", "/photos/", "/data.bin", "/trials/")  # of each writer
COUNT = 100_000  # of photos, arrays and results: more than are ever written

# Each goes on where it was; how many there are is the last argument.
COLLECT = """
import sys
from pathlib import Path
from fishnet.collect.collection_folder import keep, lay_down, recover
from fishnet.collect.ledger import Ledger
from fishnet.collect.photo import Photo, Taxon
home, photo = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes()
ledger = Ledger(home / "ledger.sqlite")
ledger.add_class("perch", Taxon("1", "perch"))
(home / "photos" / "perch").mkdir(parents=True, exist_ok=True)
recover(home / "photos", ledger)
if not ledger.next("perch", 1):
    ledger.add("perch", [Photo(f"{n}", f"http://localhost/{n}.png") for n in range(int(sys.argv[3]))])
for one in ledger.next("perch", -1):
    data = photo + one.photo_id.encode()
    ledger.kept("perch", one.photo_id, *keep(lay_down(home / "photos" / "perch", one.photo_id, data), data))
"""
STORE = """
import sys, time
import numpy as np
from pathlib import Path
from fishnet.data import store
store._WRITE_DOWN_EVERY = 0.2
keys = [f"{n:064d}" for n in range(int(sys.argv[3]))]
kept = store.Store(Path(sys.argv[1]) / "store", dtype="uint8", about={"of": "power"})
made = lambda missing: ((p, time.sleep(1e-3) or np.full((8, 8, 1), p % 251, np.uint8)) for p in missing)
kept.fill(keys, np.tile((8, 8, 1), (len(keys), 1)), made, label="arrays", progress=False)
"""
RESULT = """
import json, sys
from pathlib import Path
from fishnet.files import write_whole
for n in range(int(sys.argv[3])):
    folder = Path(sys.argv[1]) / "trials" / str(n)
    folder.mkdir(parents=True, exist_ok=True)
    parts = dict.fromkeys(("status", "cause", "seconds", "started", "ended"), "x" * 4000) | {"figures": {"n": n}}
    write_whole(folder / "result.json", json.dumps(parts))
"""


class Writer(NamedTuple):
    """Who writes: `begin(disk, log)` starts it; `trouble(disk)` says what is wrong with what a loss has left."""

    begin: Callable[[Path, Path], int]
    works: Callable[[Path, Path], bool]  # whether it has come so far that there is something to lose
    trouble: Callable[[Path], str]


def python(script: str) -> Callable[[Path, Path], int]:
    def begin(disk: Path, log: Path) -> int:
        arguments = [
            sys.executable,
            "-c",
            script,
            str(disk),
            str(log.parent / "photos" / "dark" / "00.png"),
            str(COUNT),
        ]
        with log.open("wb") as lines:
            return subprocess.Popen(arguments, stdout=lines, stderr=lines, start_new_session=True).pid

    return begin


def training(disk: Path, log: Path) -> int:
    arguments = ["resume=run"]
    if not (disk / "run" / "checkpoints" / "last.ckpt").exists():
        shutil.rmtree(disk / "run", ignore_errors=True)
        settings = [*SETTINGS, "model.backbone_args.dense=512", "trainer.max_epochs=100000", "test=false"]
        arguments = [f"data.root={log.parent / 'photos'}", *settings, "out=run"]
    return children.train(disk, *arguments, temporary=log.parent, log=log).pid


def wrote(pattern: str) -> Callable[[Path, Path], bool]:
    """Whether a writer has written such a file since its start."""

    def works(disk: Path, log: Path) -> bool:
        return any(path.stat().st_mtime > log.stat().st_ctime for path in disk.glob(pattern))

    return works


def training_trouble(disk: Path) -> str:
    broken = broken_files(disk / "run")
    return f"broken: {broken}" if broken or not database_is_whole(disk / "mlflow.db") else ""


def collect_trouble(disk: Path) -> str:
    try:
        ledger = Ledger(disk / "ledger.sqlite")
        recover(disk / "photos", ledger)
        kept = list(ledger.photos(KEPT))
        files = [disk / "photos" / row["folder"] / row["file"] for row in kept]
        short = [file.name for file in files if file.stat().st_size < 100]
        lost = ledger.count("perch", DELETED)
        ledger.close()
    except (sqlite3.DatabaseError, OSError) as error:
        return f"the ledger: {error}"
    return f"half photos {short[:5]}, {lost} taken for deleted" if short or lost else ""


def store_trouble(disk: Path) -> str:
    keys = [f"{number:064d}" for number in range(COUNT)]
    store = Store(disk / "store", dtype="uint8", about={"of": "power"})
    held = np.flatnonzero(store.holds(keys))
    if not len(held):
        return "the arrays that were written down are lost"
    stored = store.read([keys[number] for number in held])
    wrong = [number for number, array in zip(held, stored, strict=True) if (np.asarray(array) != number % 251).any()]
    return f"{len(wrong)} of {len(held)} arrays are others" if wrong else ""


def results_trouble(disk: Path) -> str:
    found = list(disk.glob("trials/*/result.json"))
    half = [file.parent.name for file in found if read_result(file.parent) is None]
    return f"half results: {half[:5]}" if half else ""


WRITERS = {
    "a training's checkpoints": Writer(training, wrote("run/checkpoints/last.ckpt"), training_trouble),
    "a collection's photos and ledger": Writer(python(COLLECT), wrote("photos/perch/*.png"), collect_trouble),
    "a store of arrays": Writer(python(STORE), wrote("store/rows.npy"), store_trouble),
    "a study's results": Writer(python(RESULT), wrote("trials/*/result.json"), results_trouble),
}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--writers", nargs="*", choices=WRITERS, default=list(WRITERS))
    options.add_argument("--control", action="store_true", help="ignore flushes of what is written")
    chosen = options.parse_args()
    command = "python -m experiments.survival.power" + " --control" * chosen.control
    goal = "half files: a loss is seen" if chosen.control else "nothing half, and the same goes on"
    with tempfile.TemporaryDirectory() as folder:
        losses = Losses(Path(folder), control=chosen.control)
        rows = [
            tally(f"loss of power: {name}", command, goal, losses.of(WRITERS[name], chosen.repeats, chosen.seed))
            for name in chosen.writers
        ]
    finish(rows, chosen.csv)


class Losses:
    """Writers on a disk that loses power, again and again."""

    def __init__(self, home: Path, *, control: bool = False) -> None:
        self._control = control
        self._log = home / "lines.log"
        self._disk = Disk(home, ignored=WRITTEN if control else ())
        draw(home / "photos")
        os.environ.update(self._disk.environment)  # before the first process is forked from the prepared one
        children.prepare()

    def of(self, writer: Writer, repeats: int, seed: int) -> Iterator[str]:
        """What was wrong after each loss, nothing where all held; of a control nothing where something was wrong."""
        self._disk.clear()
        chance = np.random.default_rng(seed)
        for _ in range(repeats):
            trouble = self._once(writer, chance)
            if self._control:
                self._disk.clear()
                yield "" if trouble else "no loss was seen"
            else:
                yield trouble

    def _once(self, writer: Writer, chance: np.random.Generator) -> str:
        """Write on what the loss before has left, lose the power, look."""
        disk, log = self._disk.place, self._log
        log.write_text("")
        pid = writer.begin(disk, log)
        deadline = time.monotonic() + 180
        while not writer.works(disk, log):
            if time.monotonic() > deadline or not os.path.exists(f"/proc/{pid}/stat") or _ended(pid):
                _end(pid)
                return f"it does not go on: {log.read_text()[-800:]}"
            time.sleep(0.05)
        time.sleep(chance.uniform(0, LONGEST))
        _end(pid)
        self._disk.lose_power()
        return writer.trouble(disk)


def _ended(pid: int) -> bool:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "Z"


def _end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    time.sleep(0.3)


if __name__ == "__main__":
    main()
