"""Which process writes a run, kept as tags of the run, so that another command can tell whether it still lives.

A process number alone proves nothing: it is used again, and it means nothing on another host, after a reboot or in
another container.
"""

import getpass
import json
import os
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .names import COMMAND, GIT_COMMIT, HEARTBEAT, PROCESS, SOURCE_COMMIT, SOURCE_NAME, SOURCE_TYPE, USER

SILENT_FOR = 600.0  # seconds without a sign of life after which a writer on another host counts as dead


@dataclass(frozen=True)
class Writer:
    """A process, with the four things that must agree before its number says anything.

    Args:
        host: the name of the machine.
        boot: the kernel's id of the time since its last boot; empty where the system has none.
        namespace: of process numbers: another one in each container.
        pid: the number.
        started: when the process started, as the system gives it; empty where it cannot tell.
    """

    host: str
    boot: str
    namespace: str
    pid: int
    started: str

    def to_tag(self) -> str:
        """As the text of a tag."""
        return json.dumps(asdict(self))

    @classmethod
    def from_tag(cls, text: str) -> "Writer | None":
        """None where the text is no writer."""
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
    """The process that calls."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return Writer(
        host=socket.gethostname(),
        boot=boot.read_text().strip() if boot.exists() else "",
        namespace=namespace,
        pid=os.getpid(),
        started=start_time(os.getpid()),
    )


def start_time(pid: int) -> str:
    """When the process started; empty when there is no such living process."""
    if not Path("/proc/self/stat").exists():
        listed = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return listed.stdout.strip()
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]  # a zombie is dead


def process_tags() -> dict[str, Any]:
    """This process, and the present time as its sign of life."""
    return {PROCESS: this_process().to_tag(), HEARTBEAT: int(time.time())}


def writer_tags(tags: Mapping[str, Any]) -> dict[str, Any]:
    """`tags` with the process that writes, and with what fills the User and Source columns of MLflow."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "unknown"
    all_tags = {USER: user, SOURCE_TYPE: "LOCAL", **process_tags(), **tags}
    if COMMAND in tags:
        all_tags[SOURCE_NAME] = f"fishnet {tags[COMMAND]}"
    if GIT_COMMIT in tags:
        all_tags[SOURCE_COMMIT] = tags[GIT_COMMIT]
    return all_tags
