"""Which process writes a run, said so that another command can tell whether it still lives.

A process number alone fools: it is reused, and it means nothing on another host, after a reboot or in another
container.
"""

import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Writer:
    """The four things that must agree before a process number says anything, and the number."""

    host: str
    boot: str
    namespace: str
    pid: int
    started: str

    def to_tag(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_tag(cls, text: str) -> "Writer | None":
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError):
            return None

    def alive(self) -> bool | None:
        """None where this process cannot know: the writer ran on another host, or in another container."""
        here = this_process()
        if self.host != here.host:
            return None
        if self.boot != here.boot:
            return False
        if self.namespace != here.namespace or not self.started:
            return None
        return start_time(self.pid) == self.started


def this_process() -> Writer:
    pid = os.getpid()
    return Writer(host=socket.gethostname(), boot=_boot(), namespace=_namespace(), pid=pid, started=start_time(pid))


def start_time(pid: int) -> str:
    """Empty when there is no such living process, or when this system cannot tell."""
    if Path("/proc/self/stat").exists():
        return _start_time_linux(pid)
    if sys.platform == "win32":
        return ""
    asked = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return asked.stdout.strip()


def _start_time_linux(pid: int) -> str:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]


def _boot() -> str:
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else ""


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
