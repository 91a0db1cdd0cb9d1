"""Files that appear whole or not at all, whatever kills the process meanwhile; and locks between processes."""

import glob
import logging
import os
import re
import shutil
import socket
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_log = logging.getLogger("fishnet")


@contextmanager
def replacing(target: Path, *, alone: bool = False) -> Iterator[Path]:
    """A temporary path beside `target`; what is written there takes the target's place at the end.

    `alone`: nobody else writes this file meanwhile, so what a kill leaves behind is what the next one writes over.
    """
    writer = "" if alone else f"{_processes()}.{os.getpid()}.{threading.get_ident()}."
    temporary = target.with_name(f".{target.name}.{writer}part")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        with suppress(OSError):
            temporary.unlink()


def remove_leftovers(target: Path) -> None:
    """Take away what killed processes of this machine have left of `target`; others that write it are left alone."""
    number = re.compile(rf"\.{re.escape(target.name)}\.{_processes()}\.(\d+)\.\d+\.part")
    for file in target.parent.glob(f".{glob.escape(target.name)}.*.part"):
        found = number.fullmatch(file.name)
        if found and not _is_alive(int(found[1])):
            file.unlink(missing_ok=True)


def _processes() -> str:
    """A name for the numbers of processes that are known here: another machine or container has others."""
    namespace = "/proc/self/ns/pid"
    within = os.readlink(namespace) if os.path.islink(namespace) else ""
    return f"{zlib.crc32(f'{socket.gethostname()} {within}'.encode()):08x}"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """An empty folder beside `target`, which does not exist yet; what is written there has its name at the end, whole.

    What a kill leaves behind is what the next one writes over: nobody else writes this folder meanwhile.
    """
    temporary = target.with_name(f".{target.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        for path in (*temporary.rglob("*"), temporary):  # the rename must not reach the disk before the bytes
            flush(path)
        os.replace(temporary, target)
    finally:  # nothing is left there unless it failed
        shutil.rmtree(temporary, ignore_errors=True)
    flush(target.parent)


def write_whole(target: Path, text: str, *, alone: bool = False) -> None:
    with replacing(target, alone=alone) as temporary:
        temporary.write_text(text, encoding="utf-8")


def flush(path: Path) -> None:
    """A file's bytes, or the names in a folder, to the disk: a rename must not come before the bytes, nor be lost."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class LockHeld(Exception):
    """Another process holds the lock, and still did when the time to wait was over."""


@contextmanager
def locked(file: Path, *, timeout: float = -1, waiting: str = "") -> Iterator[None]:
    """Hold a lock that only one process on this machine can hold; a process that dies gives it back.

    The lock file stays where it is: a process that waits for an unlinked file would later hold a lock of its own,
    while a third one makes and locks a new file of that name.

    Args:
        file: The lock file; it is made if it is missing.
        timeout: Seconds to wait for another process before `LockHeld` is raised; below 0, as long as it takes.
        waiting: What to log, once, if another process holds the lock and this one waits.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(file, thread_local=False)
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if timeout == 0:
                raise
            if waiting:
                _log.info(waiting)
            lock.acquire(timeout=timeout)
    except Timeout:
        raise LockHeld(f"another process holds {file}") from None
    try:
        yield
    finally:
        lock.release()
