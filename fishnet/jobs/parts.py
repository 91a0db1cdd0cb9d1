"""A command as several: each makes a part, on this machine, under Slurm (as an array) or on a Ray cluster."""

import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from fishnet.errors import WorkFailed
from fishnet.progress import working
from fishnet.text import counted, few_of

from .cause import cause_of
from .executors import Executor, Running
from .tied import PATIENCE

POLL = 0.2
TIED = [sys.executable, "-m", "fishnet.jobs.tied"]


class Part(NamedTuple):
    """One of the commands."""

    name: str  # such as 2/4
    command: list[str]
    log: Path  # a file for its lines


def run_parts(executor: Executor, parts: Sequence[Part], at_once: int, label: str) -> None:
    """Start the parts, so many at a time, and wait until each has ended.

    A part that fails does not end the others: what they make need not be made again. When this process is asked to
    stop, or dies, so do all parts that it can reach.

    Raises:
        WorkFailed: parts have failed; it names them, and says why the first of them did.
    """
    waiting, running, statuses = list(parts), dict[str, Running](), dict[str, int]()
    try:
        with working(label, len(parts)) as work:
            while len(statuses) < len(parts):
                room = at_once - (len(running) - len(statuses))
                begin, waiting = waiting[:room], waiting[room:]
                with executor.together() if begin else nullcontext():
                    for part in begin:
                        errors = part.log.with_suffix(".err")
                        running[part.name] = executor.start([*TIED, str(part.log), *part.command], errors)
                time.sleep(POLL)
                for name in running.keys() - statuses.keys():
                    if (status := running[name].status()) is not None:
                        statuses[name] = status
                work.update(len(statuses), note=f"{counted(len(running) - len(statuses), 'part')} at work")
    finally:
        _stop([running[name] for name in running.keys() - statuses.keys()])
        executor.close()
    if failed := [part for part in parts if statuses[part.name]]:
        first = failed[0]
        status = statuses[first.name]
        why = cause_of(128 - status if status > 128 else status, first.log).cause.rstrip(".")
        names = f"part {first.name}" if len(failed) == 1 else f"{counted(len(failed), 'part')}"
        names += "" if len(failed) == 1 else f" ({few_of([part.name for part in failed], 8)})"
        whose = "" if len(failed) == 1 else f"part {first.name}: "
        raise WorkFailed(
            f"{names} of {len(parts)} failed ({whose}{why}; its lines are in {first.log}). The same command makes what "
            "is missing."
        )


def _stop(left: Sequence[Running]) -> None:
    for each in left:
        each.stop()
    deadline = time.monotonic() + PATIENCE + 10
    while any(each.status() is None for each in left) and time.monotonic() < deadline:
        time.sleep(POLL)
