"""An event loop that Ctrl-C, SIGTERM and a closed terminal end in order."""

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import TypeVar

from fishnet.errors import Interrupted

T = TypeVar("T")
# the last one is what a terminal says that is closed; Windows does not know it
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def run(work: Coroutine[None, None, T]) -> T:
    """The work is cancelled and may clean up: fates are written, tables too."""

    async def watched() -> T:
        task = asyncio.ensure_future(work)
        said: list[int] = []
        loop = asyncio.get_running_loop()

        def stop(number: int) -> None:
            said.append(number)
            task.cancel()

        with suppress(NotImplementedError, RuntimeError, ValueError):  # Windows, and threads in tests
            for number in SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:  # as nohup sets it
                    loop.add_signal_handler(number, stop, number)
        try:
            return await task
        except asyncio.CancelledError:
            if said:
                raise Interrupted(said[0]) from None
            raise

    return asyncio.run(watched())
