"""Two hosts on one shared folder whose advisory locks lie: the same command on both at once. Needs root.

    python -m experiments.survival.hosts --repeats 3 --csv faults.csv

Each command runs in mount and host name namespaces of its own; its locks hold within its host and are not seen on the
other, as on many shared folders. Of two trainings with one out=, and of two studies in one folder, one must run and the
other be refused in a sentence.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from .__main__ import draw
from .clocks import STUDY
from .faults import finish, parser, tally
from .signals import SETTINGS

LIES = """
import fcntl, hashlib, os, socket
held, real = {}, fcntl.flock
def flock(file, how):
    number = file if isinstance(file, int) else file.fileno()
    if how & fcntl.LOCK_UN:
        os.close(held.pop(number))
        return
    name = hashlib.sha256(os.readlink(f"/proc/self/fd/{number}").encode()).hexdigest()
    own = os.open(f"{os.environ['LOCKS']}/{socket.gethostname()}-{name}", os.O_CREAT | os.O_RDWR)
    try:
        real(own, how)
    except OSError:
        os.close(own)
        raise
    held[number] = own
fcntl.flock = flock
"""
SMALL = ["data.root=photos", *(each for each in SETTINGS if each != "test=false"), "trainer.max_epochs=20"]
APART = 'hostname "$1"; shift; exec "$@"'  # in namespaces of its own


def main() -> None:
    options = parser(__doc__)
    chosen = options.parse_args()
    asked = [
        ("train with one out=", "one run, whole, and one sentence", trainings),
        ("one study", "each training once, and its figures", studies),
    ]
    rows = [
        tally(
            f"two hosts, locks that hold within each: {name}",
            "python -m experiments.survival.hosts",
            goal,
            (once() for _ in range(chosen.repeats)),
        )
        for name, goal, once in asked
    ]
    finish(rows, chosen.csv)


def both(home: Path, *arguments: str) -> list[tuple[int, str]]:
    """Exit status and lines of the command on each host."""
    draw(home / "photos")
    (home / "lies").mkdir()
    (home / "lies" / "sitecustomize.py").write_text(LIES)
    path = os.pathsep.join([str(home / "lies"), str(Path(__file__).parents[2])])
    processes = [
        subprocess.Popen(
            ["unshare", "-m", "-u", "sh", "-c", APART, "sh", host, sys.executable, "-m", "fishnet", *arguments],
            cwd=home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "PYTHONPATH": path, "LOCKS": str(home / "lies")},
        )
        for host in ("one", "other")
    ]  # fmt: skip
    lines = [process.communicate(timeout=300)[0] for process in processes]
    return [(process.returncode, text) for process, text in zip(processes, lines, strict=True)]


def trainings() -> str:
    with tempfile.TemporaryDirectory() as folder:
        ended = both(Path(folder), "train", *SMALL, "out=run")
        statuses = sorted(status for status, _ in ended)
        lines = "".join(text for _, text in ended)
        if statuses != [0, 2] or "Traceback" in lines:
            return f"exit {statuses}: {[text[-500:] for _, text in ended]}"
        return "" if (Path(folder) / "run" / "checkpoints" / "last.ckpt").exists() else "no checkpoint"


def studies() -> str:
    with tempfile.TemporaryDirectory() as folder:
        conf = Path(folder) / "conf" / "study"
        conf.mkdir(parents=True)
        (conf / "two.yaml").write_text(STUDY)
        ended = both(Path(folder), "study", "study=two", "--config-dir", "conf", "jobs=1", *SMALL)
        results = [json.loads(file.read_text()) for file in Path(folder).glob("outputs/*/trials/*/result.json")]
        attempts = [result["attempts"] for result in results]
        states = [result["status"] for result in results]
        if [status for status, _ in ended] != [0, 0] or attempts != [1, 1]:
            tails = [text[-300:] for _, text in ended]
            return f"exit {[status for status, _ in ended]}, attempts {attempts}, {states}: {tails}"
        return ""


if __name__ == "__main__":
    main()
