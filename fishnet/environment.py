"""What a process is given: the variables by which one command passes facts on to the next, and its cores."""

import ctypes
import os
import shlex
import sys
from contextlib import suppress

TYPED_COMMAND = "FISHNET_COMMAND"  # as the user typed it, before it is quoted for Hydra
RUN_FOLDER = "FISHNET_RUN_FOLDER"  # the run's folder, for the ranks that Lightning starts
PARENT_RUN = "FISHNET_PARENT_RUN"  # MLflow's id of the sweep to which a job belongs
SWEPT_KEYS = "FISHNET_SWEPT_KEYS"  # the keys whose values differ from job to job, separated by commas
SWEEP_FOLDER = "FISHNET_SWEEP_FOLDER"  # where a sweep's jobs have their numbered folders
PRECISION = "FISHNET_PRECISION"  # the arithmetic that rank 0 has chosen

MOST_MEGAPIXELS = "FISHNET_MOST_MEGAPIXELS"  # the largest photo that this process and its children decode
USUAL_MEGAPIXELS = 100

THREADS = "OMP_NUM_THREADS"  # how many threads a process computes with

OF_A_RUN = (TYPED_COMMAND, RUN_FOLDER, PARENT_RUN, SWEPT_KEYS, SWEEP_FOLDER)  # not for a run of its own inside another


def as_typed(verb: str) -> str:
    """The command as the user typed it, or as this process was started where that is not known."""
    return os.environ.get(TYPED_COMMAND, shlex.join(["fishnet", verb, *sys.argv[1:]]))


def most_megapixels() -> int:
    """The largest photo that is decoded, in millions of pixels."""
    return int(os.environ.get(MOST_MEGAPIXELS, USUAL_MEGAPIXELS))


def limit_photos(megapixels: int) -> None:
    """Decode no larger photos from now on, in this process and in those that it starts."""
    os.environ[MOST_MEGAPIXELS] = str(megapixels)


def usable_cores() -> int:
    """The cores for this process: a cluster or a container may lend it fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def shared_cores(jobs: int) -> dict[str, str]:
    """Variables for processes of which so many run here at a time: the cores are divided among their threads.

    Threads of a process wait for each other by spinning; with more of them than cores, each waits for one that is not
    running, and everything takes several times as long. What the user has set is left alone.
    """
    return {} if THREADS in os.environ else {THREADS: str(max(1, usable_cores() // jobs))}


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
OWN_PIECES, KEPT = 2**30, 2**31 - 1  # bytes


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, where its C library is glibc.

    A layer's output is tens of megabytes. glibc gives such a piece back to the system and asks for it again with the
    next photos, and clearing its pages costs as much as the network's arithmetic on a CPU. The process holds a few such
    pieces more than it needs at its peak. What the user has set for malloc is left alone.
    """
    if sys.platform != "linux" or any(name.startswith("MALLOC_") for name in os.environ):
        return
    with suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_TRIM_THRESHOLD, KEPT)
        mallopt(M_MMAP_THRESHOLD, OWN_PIECES)
