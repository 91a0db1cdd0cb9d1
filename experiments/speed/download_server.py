"""A photo host that answers after 50 ms: as little work as possible, in a process of its own."""

import asyncio
import sys

from .photos import SIZES, picture

KINDS = 64


class Answering(asyncio.Protocol):
    """One keep-alive connection; a photo's number goes behind its end mark, so that no two have the same bytes."""

    def __init__(self, photos: list[bytes], latency: float) -> None:
        self._photos, self._latency, self._seen = photos, latency, b""

    def connection_made(self, transport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._seen += data
        while b"\r\n\r\n" in self._seen:
            head, _, self._seen = self._seen.partition(b"\r\n\r\n")
            number = head.split(b" ", 2)[1].split(b"/")[2]
            body = self._photos[int(number) % len(self._photos)] + number
            said = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(body)
            asyncio.get_running_loop().call_later(self._latency, self._transport.write, said + body)


def drawn() -> list[bytes]:
    import io

    photos = []
    for seed in range(KINDS):
        out = io.BytesIO()
        picture(*SIZES[500], seed).save(out, "JPEG", quality=88)
        photos.append(out.getvalue())
    return photos


async def main(latency: float) -> None:
    photos = drawn()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Answering(photos, latency), "127.0.0.1", 0, backlog=256)
    print(server.sockets[0].getsockname()[1], sum(map(len, photos)) // len(photos), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
