"""A request's body → the photos in it, in memory alone, and no more of it than was allowed.

What counts is the bytes that arrive: what a header claims may be a lie or missing.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it writes pieces of what it cannot read

FIELD = "photos"
LONGEST_NAME = 200


@dataclass(frozen=True)
class Limits:
    """What a request may bring.

    Args:
        photo_bytes: of a photo.
        photos: in a request.
        bytes_at_once: of all requests together that are arriving or being answered.
        pause: seconds without a byte after which a request is given up.
        seconds: for the whole of a request's body.
    """

    photo_bytes: int = 10 * 2**20
    photos: int = 16
    bytes_at_once: int = 256 * 2**20
    pause: float = 5.0
    seconds: float = 60.0

    @property
    def body_bytes(self) -> int:
        """Of a request: its photos, and what multipart writes around them."""
        return min(self.photos * (self.photo_bytes + 4096), self.bytes_at_once)


class Upload(NamedTuple):
    """A photo as it came: the name that its sender gave it, and its bytes."""

    name: str
    data: bytes


class Uploads:
    """Reads requests, and knows how many bytes of them are held.

    Args:
        limits: of each request and of all.
        refusal: gives the error of a request that finds no place, from its reason and its text.
    """

    def __init__(self, limits: Limits, refusal: Callable[[str, str], HTTPException]) -> None:
        self.limits, self.refusal, self.held = limits, refusal, 0

    @asynccontextmanager
    async def photos(self, request: Request) -> AsyncGenerator[list[Upload]]:
        """The photos of a request, held while the block runs; an HTTPException says why there are none."""
        claimed = request.headers.get("content-length", "0")
        if claimed.isdigit() and int(claimed) > self.limits.body_bytes:
            raise too_large("The request", self.limits.body_bytes)
        before = [0]
        try:
            yield await self._read(request, before)
        finally:
            self.held -= before[0]

    async def _read(self, request: Request, counted: list[int]) -> list[Upload]:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = self._chunks(request, counted)
        try:
            if kind == "multipart/form-data":
                found = await self._parts(request, body)
            elif kind.startswith("image/") or kind == "application/octet-stream":
                found = [Upload("", b"".join([chunk async for chunk in body]))]
            else:
                raise HTTPException(415, f"Send photos as multipart/form-data ({FIELD}=…), or one as image/….")
        except ClientDisconnect as error:
            raise HTTPException(400, "The request ended before its body.") from error
        if any(len(upload.data) > self.limits.photo_bytes for upload in found):
            raise too_large("A photo", self.limits.photo_bytes)
        return found

    async def _parts(self, request: Request, body: AsyncGenerator[bytes]) -> list[Upload]:
        """Of a form; the parser keeps files on disk from a size on, which is never passed here."""
        parser = PhotoParser(request.headers, body, max_files=self.limits.photos, max_fields=0)
        parser.spool_max_size = parser.most = self.limits.photo_bytes
        try:
            form = await parser.parse()
        except MultiPartException as error:
            raise HTTPException(400, f"The form cannot be read: {error.message}") from error
        files = [value for key, value in form.multi_items() if isinstance(value, UploadFile) and key == FIELD]
        if not files or len(files) < len(form.multi_items()):
            raise HTTPException(400, f"The form's parts have to be photos by the name {FIELD}.")
        return [Upload(plain_name(file.filename or ""), await file.read()) for file in files]

    async def _chunks(self, request: Request, counted: list[int]) -> AsyncGenerator[bytes]:
        """The body as it arrives, counted."""
        until, chunks = time.monotonic() + self.limits.seconds, request.stream()
        while True:
            patience = min(self.limits.pause, until - time.monotonic())
            try:
                chunk = await asyncio.wait_for(anext(chunks), max(patience, 0))
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                raise HTTPException(408, "The request's body came too slowly.") from error
            counted[0] += len(chunk)
            self.held += len(chunk)
            if counted[0] > self.limits.body_bytes:
                raise too_large("The request", self.limits.body_bytes)
            if self.held > self.limits.bytes_at_once:
                raise self.refusal("bytes", "Too much is arriving at once.")
            yield chunk


class PhotoParser(MultiPartParser):
    """Starlette's parser of forms, which ends as soon as a part has more than `most` bytes."""

    most = 0
    _so_far = 0

    def on_part_begin(self) -> None:
        super().on_part_begin()
        self._so_far = 0

    def on_headers_finished(self) -> None:
        """Names are UTF-8, as browsers write them: a codec of the sender's choice may raise anything."""
        self._charset = "utf-8"
        super().on_headers_finished()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._so_far += end - start
        if self._so_far > self.most:
            raise too_large("A photo", self.most)
        super().on_part_data(data, start, end)


def too_large(what: str, most: int) -> HTTPException:
    return HTTPException(413, f"{what} is larger than {most / 2**20:g} MB.")


def digest(data: bytes) -> str:
    """SHA-256, as the index and the manifest name photos."""
    return hashlib.sha256(data).hexdigest()


def plain_name(name: str) -> str:
    """A file's name without its folders and without what no terminal or page should meet."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in last if letter.isprintable())[:LONGEST_NAME]
