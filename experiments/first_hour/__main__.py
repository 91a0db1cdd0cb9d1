"""The newcomer's walk: every command of README.md on a terminal, in its order, on a small folder of drawn photos.

python -m experiments.first_hour --out walk.csv
"""

import argparse
import csv
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from .commands import Step, script, steps
from .terminal import Watched, watch

SPECIES, PHOTOS, SIDE = 4, 100, 128
COLUMNS = ["section", "command", "run as", "status", "seconds", "silence", "last line"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the table, a CSV")
    parser.add_argument("--home", type=Path, help="where the commands are typed; a new temporary folder if left out")
    parser.add_argument("--screens", type=Path, help="a folder for what stood on each terminal, as text")
    parser.add_argument("--weights", type=Path, help="published weights of mobilenetv2_100, in a file")
    parser.add_argument("--only", default="", help="a pattern: only commands that it is found in")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds for one command")
    options = parser.parse_args()
    home = (options.home or Path(tempfile.mkdtemp(prefix="first-hour-"))).absolute()
    weights = options.weights.absolute() if options.weights else None
    placeholders = prepare(home)
    rows = []
    for number, step in enumerate(steps(placeholders, weights), 1):
        if not re.search(options.only, step.typed):
            continue
        seen = None if step.reason else watch(step.run, home, environment(), until=step.until, limit=options.limit)
        rows.append(row_of(step, seen, home))
        print(*rows[-1].values(), sep=" | ", flush=True)
        if seen and options.screens:
            options.screens.mkdir(parents=True, exist_ok=True)
            text = "\n".join([f"$ {step.run}", *seen.lines]).rstrip()
            (options.screens / f"{number:02d}.txt").write_text(text + "\n", encoding="utf-8")
        with open(options.out, "w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            table.writeheader()
            table.writerows(rows)


def environment() -> dict[str, str]:
    """The fishnet of this interpreter comes first on the path."""
    return {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def row_of(step: Step, seen: Watched | None, home: Path) -> dict[str, str]:
    """A line of the table; paths of this machine are cut out of it."""
    run = "" if step.run == step.typed else step.run
    row = {"section": step.section, "command": step.typed, "run as": run}
    if seen is None:
        row |= {"status": "", "seconds": "", "silence": "", "last line": f"not run: {step.reason}", "run as": ""}
    else:
        figures = {"status": str(seen.status), "seconds": f"{seen.seconds:.1f}", "silence": f"{seen.silence:.1f}"}
        row |= figures | {"last line": seen.last_line}
    return {name: re.sub(r"(?<=pretrained=)/\S+/", "", text.replace(f"{home}/", "")) for name, text in row.items()}


def prepare(home: Path) -> dict[str, str]:
    """Photos, boxes and tables under the names that the README speaks of; returns what its placeholders stand for."""
    from fishnet.reef import Settings
    from fishnet.reef.make import make_reef

    drawing: dict[str, Any] = {"species": SPECIES, "photos": PHOTOS, "size": SIDE, "plant": {"share": 0.8}}
    lake = home / "photos" / "lake"
    if not lake.exists():
        make_reef(lake, **drawing)
        write_boxes(lake, home / "photos" / "boxes.csv")
        write_tables(home)
        (home / "script.py").write_text(script(), encoding="utf-8")
    names = list(Settings(**drawing).counts)
    return {"perch": names[0], "pike": names[1], "roach": names[2], "_frame": r"\d"}


def write_boxes(lake: Path, file: Path) -> None:
    """Where the drawn fish are, from their masks."""
    import numpy as np
    import pandas as pd

    from fishnet.reef.make import read_mask

    rows = []
    for path in pd.read_csv(lake / "manifest.csv")["path"]:
        down, across = np.nonzero(read_mask(lake, path) == 1)
        rows.append((path, across.min(), down.min(), across.max() + 1, down.max() + 1))
    pd.DataFrame(rows, columns=["path", "xmin", "ymin", "xmax", "ymax"]).to_csv(file, index=False)


def write_tables(home: Path) -> None:
    """A folder of tables, and a table of one stock whose headers need a word of explanation."""
    from fishnet.fisheries.simulating import sample

    table, _ = sample(stocks=8)
    (home / "tables").mkdir()
    table.to_csv(home / "tables" / "stocks.csv", index=False)
    cod = table[table["stockid"] == table["stockid"].iloc[-1]]
    catches = cod[["year", "catch (tonnes)", "survey index"]].set_axis(["year", "TL", "SSB"], axis=1)
    catches.insert(0, "stock", "North Sea cod")
    catches.to_csv(home / "catches.csv", index=False)


if __name__ == "__main__":
    main()
