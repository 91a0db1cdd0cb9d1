"""Files that appear whole or not at all, whatever kills the process meanwhile."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(target: Path, *, alone: bool = False) -> Iterator[Path]:
    """A temporary path beside `target`; what is written there takes the target's place at the end.

    `alone`: nobody else writes this file meanwhile, so what a kill leaves behind is what the next one writes over.
    """
    writer = "" if alone else f"{os.getpid()}.{threading.get_ident()}."
    temporary = target.with_name(f".{target.name}.{writer}part")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_whole(target: Path, text: str, *, alone: bool = False) -> None:
    with replacing(target, alone=alone) as temporary:
        temporary.write_text(text, encoding="utf-8")


def flush(place: Path) -> None:
    """A file's bytes, or the names in a folder, to the disk: a rename must not come before the bytes, nor be lost."""
    if os.name == "nt" and place.is_dir():
        return
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
