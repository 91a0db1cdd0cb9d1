"""Why a training ended, in one sentence, from its exit status and its last words."""

import re
import signal
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

TAIL = 20_000  # bytes of a log that are looked at
MEMORY = re.compile(
    r"MemoryError|can't allocate memory|not enough memory|out of memory|bad_alloc|Cannot allocate memory"
)


class Death(NamedTuple):
    status: str  # finished | refused | raised | exited | killed | memory
    cause: str


def cause_of(code: int, log: Path) -> Death:
    lines = last_lines(log)
    text = "\n".join(lines)
    if code == 0:
        return Death("finished", "")
    said = next((line.removeprefix("fishnet: ") for line in reversed(lines) if line.startswith("fishnet: ")), "")
    error = next((line for line in reversed(lines) if re.match(r"[\w.]*(Error|Exception|Interrupt)\b", line)), "")
    if ran_out := MEMORY.search(text):
        return Death("memory", f"memory ran out: {said or error or ran_out[0]}"[:500])
    if code < 0:
        return Death("killed", f"it was ended by signal {-code} ({_name(-code)}){_last(lines)}")
    if said:
        return Death("refused" if code == 2 else "raised", said)
    if error:
        return Death("raised", error[:500])
    return Death("exited", f"it ended with status {code} and gave no reason{_last(lines)}")


def _last(lines: list[str]) -> str:
    return f"; its last line: {lines[-1][:200]}" if lines and not lines[-1].startswith("---") else ""


def _name(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return "unknown"


def last_lines(log: Path, most: int = 60) -> list[str]:
    """Of the last attempt."""
    if not log.is_file():
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL))
        lines = file.read().decode("utf-8", "replace").splitlines()
    begin = max((place for place, line in enumerate(lines) if line.startswith("--- attempt")), default=0)
    return [line.rstrip() for line in lines[begin:] if line.strip()][-most:]


def system_kills() -> int:
    """How many processes of this container the system has ended for want of memory."""
    for path in (Path("/sys/fs/cgroup/memory.events"), Path("/sys/fs/cgroup/memory/memory.oom_control")):
        with suppress(OSError, ValueError):
            for line in path.read_text().splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    return 0
