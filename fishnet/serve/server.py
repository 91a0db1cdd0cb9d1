"""The HTTP server: connections that are too slow are closed, and a signal ends it after the last answer."""

import asyncio
import logging
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from fishnet.errors import BadInput

log = logging.getLogger("fishnet")

HEAD_WITHIN = 5.0  # seconds from a connection's first moment, or its last answer's first next byte, to a whole head
DRAIN_WITHIN = 30  # seconds for answers that are on their way when a signal comes
BACKLOG = 512


class PatientProtocol(H11Protocol):
    """HTTP/1.1 by h11; whoever does not send a request's head in time is disconnected."""

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_head()

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
    """uvicorn's, which says when it listens.

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


def serve_app(app: FastAPI, bound: socket.socket, *, listening: Callable[[], None]) -> None:
    """Until SIGINT or SIGTERM; requests that were accepted until then are answered."""
    config = uvicorn.Config(
        app, http=PatientProtocol, ws="none", log_level="error", access_log=False, server_header=False,
        timeout_keep_alive=15, timeout_graceful_shutdown=DRAIN_WITHIN, backlog=BACKLOG,
    )  # fmt: skip
    bound.listen(BACKLOG)
    Server(config, listening).run([bound])
