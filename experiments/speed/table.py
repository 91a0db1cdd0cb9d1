"""Rows for the eye and for `results.csv`, with the machine they were measured on."""

import csv
import datetime
import os
import platform
from pathlib import Path

from .pairing import Row

COLUMNS = (
    *("date", "stage", "case", "ratio", "low", "high", "bound", "goal", "met"),
    *("rounds", "ours_ms", "peers_ms", "agreed", "agreement", "commit", "machine"),
)


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def machine() -> str:
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    parts = [processor(), f"{len(os.sched_getaffinity(0))} cores", device, f"torch {torch.__version__}"]
    return ", ".join([*parts, f"Python {platform.python_version()}"])


def show(stage: str, row: Row) -> None:
    if not row.agreed:
        print(f"{stage:8s} {row.name:34s} no ratio: the results differ ({row.agreement})", flush=True)
        return
    bound = "at most" if row.inverse else "at least"
    print(
        f"{stage:8s} {row.name:34s} {row.ratio:8.2f}x [{row.low:.2f}, {row.high:.2f}]  goal {bound} {row.goal:g}"
        f" {'met' if row.met else 'NOT met'}  ours {row.ours_ms:.4g} ms, usual {row.peers_ms:.4g} ms, "
        f"{row.rounds} rounds; {row.agreement}",
        flush=True,
    )


def append(path: Path, stage: str, row: Row, where: str) -> None:
    from fishnet.tracking.runs import git_commit

    new = not path.exists()
    with open(path, "a", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        if new:
            table.writerow(COLUMNS)
        numbers = [f"{value:.4g}" for value in (row.ratio, row.low, row.high)]
        times = [f"{row.ours_ms:.4g}", f"{row.peers_ms:.4g}"]
        day = datetime.date.today().isoformat()
        bound = ["at most" if row.inverse else "at least", row.goal, row.met]
        told = [day, stage, row.name, *numbers, *bound, row.rounds, *times, row.agreed, row.agreement]
        table.writerow([*told, git_commit() or "", where])
