"""What every request and answer passes: names of the service, pages of other sites, headers that protect a reader."""

import re
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_TRACE = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")  # W3C Trace Context, version 00
_STATE = re.compile(r"[ -~]{1,512}")  # of several tracers, as W3C bounds it; without a traceparent it means nothing


class Guards:
    """Refuses requests that a foreign page may have sent, and dresses all answers.

    A name that is not the service's own is what DNS rebinding looks like; an Origin of another name is another page.

    Args:
        app: that answers.
        hosts: names that the service may be called by; `*` for any.
    """

    def __init__(self, app: ASGIApp, *, hosts: tuple[str, ...]) -> None:
        self.app, self.hosts = app, {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        trace, state = headers.get("traceparent", ""), headers.get("tracestate", "")

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer: Any = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    answer.setdefault(name, value)
                if _TRACE.fullmatch(trace):
                    answer["traceparent"] = trace
                    if _STATE.fullmatch(state):
                        answer["tracestate"] = state
            await send(message)

        refused = self._refusal(headers)
        await (refused or self.app)(scope, receive, dressed)

    def _refusal(self, headers: Headers) -> JSONResponse | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if "*" not in self.hosts and _name(f"//{host}") not in self.hosts:
            return JSONResponse({"detail": "The service is not known by this name."}, 421)
        if origin is not None and _netloc(origin) != host.lower():
            return JSONResponse({"detail": "Another site's page may not ask."}, 403)
        return None


def _netloc(origin: str) -> str | None:
    """Name and port of a page's address; None of what is no address."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _name(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").lower()
    except ValueError:
        return ""
