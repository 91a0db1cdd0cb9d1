"""Photos in large files, chunks, on a disk or in an object store: each is read by its place, and nothing beside it.

A chunk is laid out as litData lays it out: a number of items, where each begins, and the items, each a length and a
photo's own bytes. litData can read it; here it is not asked to, for it brings a whole chunk to the disk for a photo,
and takes the way of decoding (unpickling among others) from the stream's own index. What is read here are bytes.
"""

import os
import re
import struct
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from fishnet.errors import BadInput, WorkFailed
from fishnet.files import replacing

S3 = "s3://"
ATTEMPTS = 5  # of a request that an object store does not answer, or by 500, 503 or 429
TIMEOUT = 20  # seconds of silence


class Missing(Exception):
    """There is no such file, or less of it than was asked for."""


class Place(Protocol):
    """Where a stream lies: files by name."""

    address: str

    def read(self, name: str, start: int = 0, size: int | None = None) -> bytes: ...

    def write(self, name: str, data: bytes) -> None: ...

    def names(self) -> list[str]: ...

    def remove(self, name: str) -> None: ...


def place_of(address: str) -> Place:
    """A folder, or `s3://bucket/prefix`; other addresses are refused."""
    if address.startswith(S3):
        return Bucket(address)
    if re.match(r"[A-Za-z][\w+.-]*://", address):
        raise BadInput(f"{address}: a stream lies in a folder, or in an object store by {S3}bucket/prefix.")
    return Folder(address)


def chunk_of(photos: Sequence[bytes]) -> tuple[bytes, list[int]]:
    """A chunk, and where in it the bytes of each photo begin."""
    header = 4 * (len(photos) + 2)
    items, at = [header], header
    for photo in photos:
        at += 4 + len(photo)
        items.append(at)
    parts = [struct.pack(f"<{len(items) + 1}I", len(photos), *items)]
    parts += [piece for photo in photos for piece in (struct.pack("<I", len(photo)), photo)]
    return b"".join(parts), [start + 4 for start in items[:-1]]


class Folder:
    """On a disk.

    Args:
        address: the folder as it was typed.
    """

    def __init__(self, address: str) -> None:
        self.address, self.path = address, Path(address).expanduser().absolute()

    def read(self, name: str, start: int = 0, size: int | None = None) -> bytes:
        try:
            with open(self.path / name, "rb") as file:
                if size is not None and start + size > os.fstat(file.fileno()).st_size:
                    raise Missing(name)  # before there is memory for it: the size comes from a table
                file.seek(start)
                return file.read() if size is None else file.read(size)
        except (FileNotFoundError, NotADirectoryError):
            raise Missing(name) from None

    def write(self, name: str, data: bytes) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        with replacing(self.path / name, alone=True) as temporary:
            temporary.write_bytes(data)

    def names(self) -> list[str]:
        return sorted(os.listdir(self.path)) if self.path.is_dir() else []

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            (self.path / name).unlink()


class Bucket:
    """Below a prefix of an object store; which one, and by whose keys, is what the AWS variables and files say.

    Args:
        address: `s3://bucket/prefix`.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        self.bucket, _, prefix = self.address.removeprefix(S3).partition("/")
        if not self.bucket:
            raise BadInput(f"{address}: an address is s3://bucket/prefix.")
        self.prefix = f"{prefix}/" if prefix else ""

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "client"}  # of one process

    @cached_property
    def client(self) -> Any:
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            raise BadInput(f"{self.address}: an object store needs `pip install 'fishnet-vision[stream]'`.") from None
        how = Config(
            retries={"max_attempts": ATTEMPTS, "mode": "standard"}, connect_timeout=TIMEOUT, read_timeout=TIMEOUT
        )
        try:
            return boto3.client("s3", config=how)
        except ValueError as error:  # botocore's word for an AWS_ENDPOINT_URL that is none
            raise BadInput(f"{self.address}: the AWS variables cannot be used ({error}).") from None

    def read(self, name: str, start: int = 0, size: int | None = None) -> bytes:
        if size == 0:
            return b""
        part = {} if size is None else {"Range": f"bytes={start}-{start + size - 1}"}
        data = self._ask(lambda: self.client.get_object(**self._key(name), **part)["Body"].read(), name)
        if size is not None and len(data) < size:
            raise Missing(name)
        return data

    def write(self, name: str, data: bytes) -> None:
        self._ask(lambda: self.client.put_object(**self._key(name), Body=data), name)

    def names(self) -> list[str]:
        def listed() -> list[str]:
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix)
            return [item["Key"].removeprefix(self.prefix) for page in pages for item in page.get("Contents", ())]

        return sorted(self._ask(listed, ""))

    def remove(self, name: str) -> None:
        self._ask(lambda: self.client.delete_object(**self._key(name)), name)

    def _key(self, name: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.prefix + name}

    def _ask(self, request: Any, name: str) -> Any:
        """The answer to a request, which was repeated where that may help; a refusal is a sentence."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return request()
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            code = error.response.get("Error", {}).get("Code", "")
            if code in ("NoSuchKey", "InvalidRange", "404", "416"):
                raise Missing(name) from None
            if status in (401, 403):
                raise BadInput(
                    f"{self.address}: the object store refuses access ({status}): check bucket, keys and region "
                    "(AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_ENDPOINT_URL)."
                ) from None
            if status is not None and status < 500 and status != 429:
                raise BadInput(
                    f"{self.address}: the object store answers {status} ({code}): check the address."
                ) from None
            raise WorkFailed(
                f"{self.address}: the object store answers {status}, {ATTEMPTS} times in a row: the same command "
                "goes on when it is back."
            ) from None
        except BotoCoreError as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise WorkFailed(f"{self.address}: the object store cannot be asked ({reason}).") from None
