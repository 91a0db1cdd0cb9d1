"""A command that ends with whoever has started it."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from fishnet.jobs.executors import executor_named

SLEEPS = """
import os, subprocess
child = subprocess.Popen(["sleep", "600"])
print(os.getpid(), child.pid, flush=True)
child.wait()
"""


def tied(log, code: str) -> list[str]:
    return [sys.executable, "-m", "fishnet.jobs.tied", str(log), sys.executable, "-c", code]


def numbers(log) -> list[int]:
    """The process numbers that the command has written."""
    deadline = time.monotonic() + 60
    while True:
        lines = [line for line in log.read_text().splitlines() if line[:1].isdigit()] if log.exists() else []
        if lines:
            return [int(word) for word in lines[0].split()]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def all_end(pids: list[int]) -> None:
    deadline = time.monotonic() + 60
    while any(lives(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("code", "status"),
    [("pass", 0), ("raise SystemExit(2)", 2), ("import os; os.kill(os.getpid(), 9)", 137)],
)
def test_its_status_is_that_of_the_command(tmp_path, code, status):
    process = subprocess.Popen(tied(tmp_path / "log", code), stdin=subprocess.PIPE)
    assert process.wait(60) == status
    process.stdin.close()


STARTER = """
import sys, time
from pathlib import Path
from fishnet.jobs.executors import executor_named
home = Path(sys.argv[1])
executor_named("local", home=home, logs=home, limit=None, settings={}).start(sys.argv[2:], home / "errors")
time.sleep(600)
"""


def test_it_and_what_it_has_started_end_with_a_starter_that_is_killed(tmp_path):
    log = tmp_path / "log"
    starter = subprocess.Popen([sys.executable, "-c", STARTER, str(tmp_path), *tied(log, SLEEPS)])
    pids = numbers(log)
    starter.kill()
    starter.wait()
    all_end(pids)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR2])
def test_a_signal_ends_both(tmp_path, number):
    log = tmp_path / "log"
    process = subprocess.Popen(tied(log, SLEEPS), stdin=subprocess.PIPE)
    pids = numbers(log)
    os.kill(process.pid, number)
    assert process.wait(60) == 128 + signal.SIGTERM
    process.stdin.close()
    all_end(pids)


def test_stop_ends_what_was_started(tmp_path):
    log = tmp_path / "log"
    executor = executor_named("local", home=tmp_path, logs=tmp_path, limit=None, settings={})
    running = executor.start(tied(log, SLEEPS), tmp_path / "errors")
    pids = numbers(log)
    assert running.status() is None
    running.stop()
    all_end(pids)
