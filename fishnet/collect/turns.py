"""One process at a time, waited for without standing in the way of the event loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from filelock import FileLock, Timeout

LOOK = 0.05


@asynccontextmanager
async def alone(file: Path) -> AsyncIterator[None]:
    """Whoever holds the lock of this file; a process that dies gives it back."""
    lock = FileLock(file)
    while True:
        try:
            lock.acquire(timeout=0)
            break
        except Timeout:
            await asyncio.sleep(LOOK)
    try:
        yield
    finally:
        lock.release()
