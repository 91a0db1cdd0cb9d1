"""How many cores there are for this process: a cluster or a container may lend it fewer than the machine has."""

import os


def usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
