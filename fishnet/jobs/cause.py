"""Why a process has ended, from its exit status and the last lines that it wrote."""

import re
import signal
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

TAIL = 20_000  # bytes of a log that are looked at
MEMORY = re.compile(r"MemoryError|(can't|Cannot) allocate memory|not enough memory|out of memory|bad_alloc")


class Death(NamedTuple):
    """How a process ended, and why."""

    status: str  # finished | refused | raised | exited | killed | memory
    cause: str


def cause_of(code: int, log: Path) -> Death:
    """How a process ended and, in one sentence, why: from its exit status and the last lines of its log."""
    if code == 0:
        return Death("finished", "")
    lines = last_lines(log)
    ours = next((line.removeprefix("fishnet: ") for line in reversed(lines) if line.startswith("fishnet: ")), "")
    error = next((line for line in reversed(lines) if re.match(r"[\w.]*(Error|Exception|Interrupt)\b", line)), "")
    last = f"; its last line: {lines[-1][:200]}" if lines and not lines[-1].startswith("---") else ""
    if out_of_memory := MEMORY.search("\n".join(lines)):
        return Death("memory", f"memory ran out: {ours or error or out_of_memory[0]}"[:500])
    if code < 0:
        name = signal.Signals(-code).name if -code in list(signal.Signals) else "unknown"
        return Death("killed", f"it was ended by signal {-code} ({name}){last}")
    if ours:
        return Death("refused" if code == 2 else "raised", ours)
    if error:
        return Death("raised", error[:500])
    return Death("exited", f"it ended with status {code} and gave no reason{last}")


def last_lines(log: Path, most: int = 60) -> list[str]:
    """The end of the log, as far as it is of the last attempt."""
    if not log.is_file():
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL))
        lines = file.read().decode("utf-8", "replace").splitlines()
    begin = max((number for number, line in enumerate(lines) if line.startswith("--- attempt")), default=0)
    return [line.rstrip() for line in lines[begin:] if line.strip()][-most:]


def system_kills() -> int:
    """How many processes of this container the system has ended for want of memory."""
    for path in (Path("/sys/fs/cgroup/memory.events"), Path("/sys/fs/cgroup/memory/memory.oom_control")):
        with suppress(OSError, ValueError):
            for line in path.read_text().splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    return 0
