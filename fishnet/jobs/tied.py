"""`python -m fishnet.jobs.tied OUTPUT COMMAND…`: a command that ends with whoever has started it.

What starts it holds the other end of a pipe, the lifeline. When that end closes, by a kill -9 too, the command and all
its processes are asked to stop, and ended if they do not. Only light modules are imported.
"""

import os
import select
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

PATIENCE = 60.0  # seconds to put away in what was begun
POLL = 0.1


class Lifeline:
    """The end of a pipe whose other end the starter holds; without one (None) nothing is ever cut."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def cut(self) -> bool:
        """Whether the starter is gone, or has let go."""
        if self._descriptor is None:
            return False
        return bool(select.select([self._descriptor], [], [], 0)[0]) and os.read(self._descriptor, 1) == b""


def ended_within(process: subprocess.Popen, seconds: float) -> bool:
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    return process.returncode is not None


def signal_group(pid: int, number: int) -> None:
    """A signal to all processes of a group, if there are any."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def end_group(process: subprocess.Popen) -> None:
    """Ask the process and its group to stop, and end them if they do not."""
    signal_group(process.pid, signal.SIGTERM)
    if not ended_within(process, PATIENCE):
        signal_group(process.pid, signal.SIGKILL)
        process.wait()


def run(output: Path, command: list[str], lifeline: Lifeline) -> int:
    """Run the command, whose lines are appended to `output`; its exit status, as a shell gives it."""
    stopping = False

    def stop(number: int, frame: object) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
        signal.signal(number, stop)
    with output.open("ab") as log:
        log.write(f"--- attempt: {shlex.join(command)}\n".encode())
        log.flush()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    while not ended_within(process, POLL):
        if stopping or lifeline.cut():
            end_group(process)
    signal_group(process.pid, signal.SIGKILL)  # what it may have left behind
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


if __name__ == "__main__":
    raise SystemExit(run(Path(sys.argv[1]), sys.argv[2:], Lifeline(0)))
