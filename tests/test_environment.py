"""Processes that run beside each other share the cores out."""

import os
import subprocess
import sys

import pytest

from fishnet import environment


@pytest.mark.parametrize(("cores", "jobs", "threads"), [(8, 2, "4"), (8, 3, "2"), (2, 2, "1"), (2, 5, "1")])
def test_jobs_share_the_cores(monkeypatch, cores, jobs, threads):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(environment, "usable_cores", lambda: cores)
    assert environment.shared_cores(jobs) == {"OMP_NUM_THREADS": threads}


def test_what_the_user_has_set_is_kept(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert environment.shared_cores(2) == {}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone gives memory back")
def test_freed_memory_is_kept_and_used_again():
    """A piece of a layer's size, taken and freed again and again, costs page faults a few times and then no more.

    The first pieces are laid beside each other: where an aligned piece was freed, the next may be too long to fit.
    """
    code = """
import resource, sys
import torch
from fishnet.environment import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(30):
    torch.ones(10_000_000)
before = faults()
for _ in range(20):
    torch.ones(10_000_000)
print(faults() - before)
"""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    kept, given_back = (
        int(subprocess.run([sys.executable, "-c", code, how], env=environ, capture_output=True, check=True).stdout)
        for how in ("keep", "plain")
    )
    assert kept < given_back / 4 or given_back < 1000  # another allocator keeps it by itself
