"""What servers do to people who collect photos. Each fault writes its answer itself and then hangs up."""

import asyncio
import email.utils
import gzip
import time
from collections.abc import Awaitable, Callable
from functools import cache

Write = Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]

PAGE = b"<!DOCTYPE html><html><body><h1>Please try again later</h1></body></html>"
PATIENCE = 30.0  # seconds until a fault that goes on for ever ends by itself


def answer(status: str, body: bytes = b"", *headers: str, length: int | None = None, kind: str = "image/jpeg") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", *headers, "Connection: close"]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def status(text: str, *headers: str) -> Write:
    async def write(writer: asyncio.StreamWriter, body: bytes) -> None:
        writer.write(answer(text, PAGE, *headers, length=len(PAGE), kind="text/html"))

    return write


def plain(make: Callable[[bytes], bytes]) -> Write:
    async def write(writer: asyncio.StreamWriter, body: bytes) -> None:
        writer.write(make(body))

    return write


def redirect(target: str) -> Write:
    return plain(lambda body: answer("302 Found", b"", f"Location: {target}", length=0))


async def retry_at_a_date(writer: asyncio.StreamWriter, body: bytes) -> None:
    now = time.time()
    said = [f"Date: {email.utils.formatdate(now, usegmt=True)}"]
    said.append(f"Retry-After: {email.utils.formatdate(now + 1, usegmt=True)}")
    writer.write(answer("429 Too Many Requests", PAGE, *said, length=len(PAGE), kind="text/html"))


async def reset(writer: asyncio.StreamWriter, body: bytes) -> None:
    writer.write(answer("200 OK", body[: len(body) // 2], length=len(body)))
    await writer.drain()
    writer.transport.abort()


async def hang_up(writer: asyncio.StreamWriter, body: bytes) -> None:
    writer.transport.abort()


async def hang(writer: asyncio.StreamWriter, body: bytes) -> None:
    await asyncio.sleep(PATIENCE)


async def endless(writer: asyncio.StreamWriter, body: bytes) -> None:
    """As fast as it is read, 300 MB at most."""
    writer.write(answer("200 OK"))
    for _ in range(300):
        writer.write(b"\xff\xd8\xff" + bytes(2**20 - 3))
        await writer.drain()


async def drip(writer: asyncio.StreamWriter, body: bytes) -> None:
    writer.write(answer("200 OK", length=len(body)))
    end = time.monotonic() + PATIENCE
    for place in range(len(body)):
        writer.write(body[place : place + 1])
        await writer.drain()
        await asyncio.sleep(0.2)
        if time.monotonic() > end:
            return


@cache
def bomb() -> bytes:
    return gzip.compress(bytes(200 * 2**20), 9)


def flipped(body: bytes) -> bytes:
    """The right length, and the second half missing: only a look at the picture tells."""
    return body[: len(body) // 2] + bytes(len(body) - len(body) // 2)


FAULTS: dict[str, Write] = {
    "500": status("500 Internal Server Error"),
    "502": status("502 Bad Gateway"),
    "503": status("503 Service Unavailable"),
    "503 with Retry-After": status("503 Service Unavailable", "Retry-After: 1"),
    "504": status("504 Gateway Timeout"),
    "429": status("429 Too Many Requests"),
    "429 with Retry-After": status("429 Too Many Requests", "Retry-After: 1"),
    "429 until a date": retry_at_a_date,
    "403": status("403 Forbidden"),
    "short body": plain(lambda body: answer("200 OK", body[:-100], length=len(body))),
    "cut body without a length": plain(lambda body: answer("200 OK", body[: len(body) // 2])),
    "half a photo of the right length": plain(lambda body: answer("200 OK", flipped(body), length=len(body))),
    "reset": reset,
    "hangs up": hang_up,
    "says nothing": hang,
    "HTML with status 200": plain(lambda body: answer("200 OK", PAGE, length=len(PAGE), kind="text/html")),
    "HTML that is called a JPEG": plain(lambda body: answer("200 OK", PAGE, length=len(PAGE))),
    "JSON": plain(lambda body: answer("200 OK", b'{"error": 1}', length=12, kind="application/json")),
    "empty": plain(lambda body: answer("200 OK", length=0)),
    "empty without a length": plain(lambda body: answer("200 OK")),
    "a PDF": plain(lambda body: answer("200 OK", b"%PDF-1.7" + bytes(500), length=508)),
    "gzip bomb": plain(lambda body: answer("200 OK", bomb(), "Content-Encoding: gzip", length=len(bomb()))),
    "not what it is packed as": plain(lambda body: answer("200 OK", body, "Content-Encoding: gzip", length=len(body))),
    "packed strangely": plain(lambda body: answer("200 OK", body, "Content-Encoding: br", length=len(body))),
    "broken chunks": plain(lambda body: answer("200 OK", b"zz\r\n" + body, "Transfer-Encoding: chunked")),
    "no HTTP": plain(lambda body: b"\x00\x01 nonsense\r\n\r\n" + body),
    "endless": endless,
    "one byte at a time": drip,
    "redirect loop": redirect("?again"),
    "redirect to a private address": redirect("http://10.0.0.1/photo.jpg"),
    "redirect to this machine": redirect("http://127.0.0.1:9/photo.jpg"),
    "redirect to the cloud's metadata": redirect("http://169.254.169.254/latest/meta-data/"),
    "redirect to a file": redirect("file:///etc/passwd"),
    "redirect to another scheme": redirect("gopher://127.0.0.1:70/1"),
    "redirect to nowhere": redirect(""),
}
