"""The HTTP server: connections that are too slow are closed, and a signal ends it after the last answer."""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from fishnet.errors import BadInput
from fishnet.progress import leave_terminal

log = logging.getLogger("fishnet")

HEAD_WITHIN = 5.0  # seconds from a connection's first moment, or its last answer's first next byte, to a whole head
FIRST_WITHIN = 0.5  # seconds for the first request of a connection that is new when a signal comes
DRAIN_WITHIN = 30  # seconds for answers that are on their way when a signal comes
BACKLOG = 512
PIECE = 2**14  # bytes that are looked at together
FEW_LINES, LINE = 64, 128  # line ends that a piece of a chunked body may have: so many, and one in so many bytes
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class PatientProtocol(H11Protocol):
    """HTTP/1.1 by h11; whoever does not send a request's head in time is disconnected."""

    _head_timer: asyncio.TimerHandle | None = None
    _ending = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE):
            if self.transport.is_closing():
                return
            self._receive(data[start : start + PIECE])
        if self._ending and self.cycle is not None:
            self.cycle.keep_alive = False
        self._watch_head()

    def _receive(self, data: bytes) -> None:
        """A body in chunks of a byte would keep the service busy for a minute: each costs as much as a large one."""
        chunked = self.conn.their_state is h11.SEND_BODY and any(
            name == b"transfer-encoding" for name, _ in self.headers
        )
        if not chunked or data.count(b"\r\n") <= FEW_LINES + len(data) / LINE:
            super().data_received(data)
        elif self.cycle.response_started:
            self.transport.close()
        else:
            self.send_400_response("The body comes in chunks that are too small.")

    def shutdown(self) -> None:
        """Close at once where requests were answered already; a connection that is new may bring its first."""
        if self.cycle is None:
            self._ending = True
            self.loop.call_later(FIRST_WITHIN, self._close_unused)
        else:
            super().shutdown()

    def _close_unused(self) -> None:
        if self.cycle is None:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_watching()
        super().connection_lost(exc)

    def _watch_head(self) -> None:
        """Begin where no request is being answered; end where one is."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_watching()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_WITHIN, self.transport.close)

    def _stop_watching(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class Server(uvicorn.Server):
    """uvicorn's, which says when it listens and ends quietly.

    Args:
        config: of uvicorn.
        listening: is called once.
    """

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self._listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.sleep(0.05)  # for connections that the kernel has accepted already
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig == signal.SIGHUP:
            leave_terminal()
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Those that end it, but for what is ignored (nohup); they have done their work then, and the process leaves
        with status 0."""
        watched = [kind for kind in SIGNALS if signal.getsignal(kind) != signal.SIG_IGN]
        before = {kind: signal.signal(kind, self.handle_exit) for kind in watched}
        try:
            yield
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)


def bound_socket(host: str, port: int) -> socket.socket:
    """Before the model is read: a port that is taken is known at once."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        reason = f"cannot be listened on ({error.strerror or error})"
        raise BadInput(f"host={host} port={port} {reason}: choose another port, or port=0 for a free one.") from error
    return bound


def serve_app(app: FastAPI, bound: socket.socket, *, listening: Callable[[], None]) -> int:
    """Until a signal comes; requests that were accepted until then are answered. Returns how many were."""
    config = uvicorn.Config(
        app, http=PatientProtocol, loop="asyncio", ws="none", log_level="error", access_log=False, server_header=False,
        timeout_keep_alive=15, timeout_graceful_shutdown=DRAIN_WITHIN, backlog=BACKLOG,
    )  # fmt: skip
    bound.listen(BACKLOG)
    server = Server(config, listening)
    server.run([bound])
    return server.server_state.total_requests
