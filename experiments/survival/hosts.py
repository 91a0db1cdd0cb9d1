"""Two hosts on one shared folder whose advisory locks lie: the same command on both at once. Needs root.

    python -m experiments.survival.hosts --repeats 3 --csv faults.csv

Each command runs in mount and host name namespaces of its own, with a `flock` that always succeeds. Two trainings with
one out= must give one run and one sentence. Two studies in one folder are not held apart without locks; it is printed
what becomes of them.
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
import fcntl
fcntl.flock = lambda file, how: None
"""
SMALL = ["data.root=photos", *(each for each in SETTINGS if each != "test=false"), "trainer.max_epochs=20"]
APART = 'hostname "$1"; shift; exec "$@"'  # in namespaces of its own


def main() -> None:
    options = parser(__doc__)
    chosen = options.parse_args()
    why = (trainings() for _ in range(chosen.repeats))
    goal = "one run, whole, and one sentence"
    rows = [tally("two hosts, locks that lie: train with one out=", "python -m experiments.survival.hosts", goal, why)]
    why = (studies() for _ in range(chosen.repeats))
    goal = "each training once, and its figures (a limit: see the README)"
    rows += [tally("two hosts, locks that lie: one study", "python -m experiments.survival.hosts", goal, why)]
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
            env={**os.environ, "PYTHONPATH": path},
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
