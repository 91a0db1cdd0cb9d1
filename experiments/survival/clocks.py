"""Clocks that jump an hour back and forth every other second, under a training and a study of two jobs.

    python -m experiments.survival.clocks --repeats 3 --csv faults.csv

Every process of the command finds a `sitecustomize` that lets `time.time()` jump. Held is a repeat that ended well,
within a few minutes, and has shown no negative time; a study's table must also have every training once.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .__main__ import draw
from .faults import finish, parser, tally
from .signals import SETTINGS

JUMPS = """
import time
_true = time.time
time.time = lambda: _true() + (0, 3600, 0, -3600)[int(time.monotonic() / 2) % 4]
"""
SMALL = ["data.root=photos", *(each for each in SETTINGS if each != "test=false"), "trainer.max_epochs=20"]
STUDY = "stages: {rate: {search: {space: {model: {lr: [0.01, 0.03]}}}}}\nscore: val/accuracy\n"
COMMANDS = {
    "train": ["train", *SMALL],
    "study": ["study", "study=two", "--config-dir", "conf", "jobs=2", *SMALL],
}
BOUND = 240.0  # seconds
NEGATIVE = re.compile(r"(?<![\w.-])-\d+(\.\d+)? ?(s|min|h)\b|-1 day")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--commands", nargs="*", choices=COMMANDS, default=list(COMMANDS))
    chosen = options.parse_args()
    rows = []
    for name in chosen.commands:
        why = (once(name) for _ in range(chosen.repeats))
        goal = f"exit 0 within {BOUND:.0f} s, no negative time"
        rows.append(tally(f"{name}: clocks jump by an hour", "python -m experiments.survival.clocks", goal, why))
    finish(rows, chosen.csv)


def once(name: str) -> str:
    """Run it; what did not hold, in words."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        draw(home / "photos")
        (home / "jumps").mkdir()
        (home / "jumps" / "sitecustomize.py").write_text(JUMPS)
        (home / "conf" / "study").mkdir(parents=True)
        (home / "conf" / "study" / "two.yaml").write_text(STUDY)
        path = os.pathsep.join([str(home / "jumps"), str(Path(__file__).parents[2])])
        began = time.monotonic()
        try:
            ended = subprocess.run(
                [sys.executable, "-m", "fishnet", *COMMANDS[name]], cwd=home, capture_output=True, text=True,
                env={**os.environ, "PYTHONPATH": path}, timeout=BOUND, check=False,
            )  # fmt: skip
            table = subprocess.run(
                [sys.executable, "-m", "fishnet", "compare"], cwd=home, capture_output=True, text=True,
                env={**os.environ, "PYTHONPATH": path}, timeout=BOUND, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as late:
            return f"it did not end within {BOUND:.0f} s: {str(late.stderr)[-600:]}"
        lines = ended.stdout + ended.stderr + table.stdout + table.stderr
        print(f"  {name} and compare: {time.monotonic() - began:.0f} s", flush=True)
        if ended.returncode or table.returncode:
            return f"exit {ended.returncode}, {table.returncode}: {lines[-800:]}"
        if found := NEGATIVE.search(lines):
            return f"{found[0]} in {lines[max(0, found.start() - 200) : found.end() + 100]}"
        results = list(home.glob("outputs/*/trials/*/result.json"))
        return f"{len(results)} results" if name == "study" and len(results) != 2 else ""


if __name__ == "__main__":
    main()
