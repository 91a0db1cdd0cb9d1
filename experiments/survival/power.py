"""Loss of power: a disk whose last writes never arrived, again and again, and what goes on from there. Needs root.

    python -m experiments.survival.power --repeats 10 --csv faults.csv

The disk is an image in memory, mounted by a loop device with a file system that helps nobody: ext4 with data=writeback
and noauto_da_alloc, whose journal is committed each second, so that a name reaches the disk long before the bytes of
its file unless somebody has flushed them (`--unflushed` flushes nothing). At a
random moment the writer is stopped and the image copied; that copy (which must be the same twice, so that it is a state
which the disk has had) is mounted in place of the disk, and the same command goes on there. Writers are a training, the
files and the ledger of a collection, a store of arrays, and a study's results.
"""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
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
from .wreck import broken_files, database_is_whole

MEGABYTES = 192
OPTIONS = "loop,data=writeback,noauto_da_alloc,commit=1"
LONGEST = 4.0  # seconds of work before the loss: some commits of the journal
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
print("goes on", flush=True)
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
print("goes on", flush=True)
made = lambda missing: ((p, time.sleep(1e-3) or np.full((8, 8), p % 251, np.uint8)) for p in missing)
kept.fill(keys, np.full((len(keys), 2), 8), made, label="arrays", progress=False)
"""
RESULT = """
import json, sys
from pathlib import Path
from fishnet.files import write_whole
print("goes on", flush=True)
for n in range(int(sys.argv[3])):
    folder = Path(sys.argv[1]) / "trials" / str(n)
    folder.mkdir(parents=True, exist_ok=True)
    parts = dict.fromkeys(("status", "cause", "seconds", "started", "ended"), "x" * 4000) | {"figures": {"n": n}}
    write_whole(folder / "result.json", json.dumps(parts))
"""


class Disk:
    """The disk, its mount point, and its state at the moment when the power is lost."""

    def __init__(self, home: Path) -> None:
        self.place, self._image, self._copy = home / "disk", home / "disk.img", home / "copy.img"
        self.place.mkdir()
        with self._image.open("wb") as file:
            file.truncate(MEGABYTES * 2**20)
        subprocess.run(["mkfs.ext4", "-q", self._image], check=True)
        self._mount()

    def _mount(self) -> None:
        subprocess.run(["mount", "-o", OPTIONS, self._image, self.place], check=True)

    def remember(self) -> None:
        """Copy the image, again where it has changed meanwhile."""
        while True:
            states = []
            for _ in range(2):
                shutil.copyfile(self._image, self._copy)
                states.append(subprocess.run(["sha256sum", self._copy], capture_output=True, check=True).stdout)
            if states[0] == states[1]:
                return

    def lose_power(self) -> None:
        """Go back to what was remembered; nobody may have a file open."""
        self.unmount()
        os.replace(self._copy, self._image)
        self._mount()

    def unmount(self) -> None:
        while subprocess.run(["umount", self.place], check=False).returncode:
            time.sleep(0.2)


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


def trained(disk: Path, log: Path) -> bool:
    """Whether it has written a checkpoint since its start."""
    last = disk / "run" / "checkpoints" / "last.ckpt"
    return last.exists() and last.stat().st_mtime > log.stat().st_ctime


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
    stored = store.read([keys[number] for number in held]) if len(held) else []
    wrong = [number for number, array in zip(held, stored, strict=True) if (np.asarray(array) != number % 251).any()]
    return f"{len(wrong)} of {len(held)} arrays are others" if wrong else ""


def results_trouble(disk: Path) -> str:
    found = list(disk.glob("trials/*/result.json"))
    half = [file.parent.name for file in found if read_result(file.parent) is None]
    return f"half results: {half[:5]}" if half else ""


def goes_on(disk: Path, log: Path) -> bool:
    return "goes on" in log.read_text()


WRITERS = {
    "a training's checkpoints": Writer(training, trained, training_trouble),
    "a collection's photos and ledger": Writer(python(COLLECT), goes_on, collect_trouble),
    "a store of arrays": Writer(python(STORE), goes_on, store_trouble),
    "a study's results": Writer(python(RESULT), goes_on, results_trouble),
}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--writers", nargs="*", choices=WRITERS, default=list(WRITERS))
    options.add_argument("--unflushed", action="store_true", help="flush nothing, but for a training: a control")
    chosen = options.parse_args()
    children.prepare()
    chance, rows = np.random.default_rng(chosen.seed), []
    for name in chosen.writers:
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:  # in memory: a copy takes no time
            home = Path(folder)
            draw(home / "photos")
            disk = Disk(home)
            try:
                why = (once(disk, home / "lines.log", WRITERS[name], chance) for _ in range(chosen.repeats + 1))
                rows.append(
                    tally(
                        f"loss of power: {name}",
                        "python -m experiments.survival.power",
                        "nothing half, and the same goes on",
                        why,
                    )
                )
            finally:
                disk.unmount()
    finish(rows, chosen.csv)


def once(disk: Disk, log: Path, writer: Writer, chance: np.random.Generator) -> str:
    """Write on what the loss before has left, lose the power, look."""
    log.write_text("")
    pid = writer.begin(disk.place, log)
    deadline = time.monotonic() + 180
    while not writer.works(disk.place, log):
        if time.monotonic() > deadline or not os.path.exists(f"/proc/{pid}/stat") or _ended(pid):
            end(pid)
            return f"it does not go on: {log.read_text()[-800:]}"
        time.sleep(0.05)
    time.sleep(chance.uniform(0, LONGEST))
    os.killpg(pid, signal.SIGSTOP)
    disk.remember()
    end(pid)
    disk.lose_power()
    return writer.trouble(disk.place)


def _ended(pid: int) -> bool:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "Z"


def end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    time.sleep(0.3)


if __name__ == "__main__":
    main()
