"""The table of faults: a row for each kind of disturbance, with its command, the repeats, the goal and the measured.

Both experiments and their processes share it: `Row` is what a kind of fault has come to, `append` keeps it.
"""

import argparse
import csv
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import psutil

MARK = "FISHNET_SURVIVAL"  # of every process that a disturbed command has started, in its environment


class Row(NamedTuple):
    """How many of the repeats of a fault held; a repeat that had ended before the fault came is none."""

    fault: str
    command: str
    repeats: int
    goal: str
    held: int

    @property
    def whole(self) -> bool:
        return self.held == self.repeats


def tally(fault: str, command: str, goal: str, repeats: Iterable[str | None]) -> Row:
    """Count and print; a repeat is empty where all held, says what did not, or is None where it came too late."""
    why = [each for each in repeats if each is not None]
    row = Row(fault, command, len(why), goal, sum(not each for each in why))
    print(f"{fault}: {row.held} of {row.repeats} {'; '.join(filter(None, why))}", flush=True)
    return row


def parser(about: str | None) -> argparse.ArgumentParser:
    """The options that every experiment with faults takes."""
    options = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--repeats", type=int, default=10)
    options.add_argument("--seed", type=int, default=18)
    options.add_argument("--csv", type=Path, help="append the rows to this table")
    return options


def finish(rows: list[Row], table: Path | None) -> None:
    """Keep the rows, and leave with 1 where one did not hold."""
    if table:
        fresh = not table.exists()
        with table.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([["fault", "command", "repeats", "goal", "measured"]] * fresh)
            writer.writerows([*row[:4], f"{row.held} of {row.repeats}"] for row in rows)
    sys.exit(not all(row.whole for row in rows))


def started_by(name: str, leader: int) -> list[psutil.Process]:
    """Living processes that the command of this name has started, at whatever remove; `leader` of its session."""
    found = []
    for process in psutil.process_iter():
        try:
            ours = process.pid != leader and (os.getsid(process.pid) == leader or process.environ().get(MARK) == name)
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):  # ended meanwhile, or another user's
            continue
    return found


def outliving(name: str, leader: int, seconds: float = 10.0) -> list[str]:
    """Of these processes those that have not ended by themselves in so many seconds; they are killed."""
    alive = psutil.wait_procs(started_by(name, leader), timeout=seconds)[1]
    lines = [" ".join(process.cmdline())[:120] for process in alive]
    for process in alive:
        process.kill()
    return lines
