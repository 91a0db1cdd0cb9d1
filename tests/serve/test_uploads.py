"""What a request may bring, asked of the reader of uploads itself."""

import asyncio

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from fishnet.serve.uploads import Limits, Uploads


def request_of(body: bytes) -> Request:
    async def receive() -> dict:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request({"type": "http", "headers": [(b"content-type", b"image/jpeg")]}, receive)


def test_more_than_may_be_held_at_once_is_refused_as_a_full_queue_is():
    reasons = []

    def refusal(reason: str, text: str) -> HTTPException:
        reasons.append(reason)
        return HTTPException(429, text)

    async def ask() -> None:
        uploads = Uploads(Limits(bytes_at_once=1000), refusal)
        async with uploads.photos(request_of(bytes(700))) as photos:
            assert len(photos[0].data) == uploads.held == 700
            with pytest.raises(HTTPException) as refused:
                async with uploads.photos(request_of(bytes(400))):
                    pass
            assert refused.value.status_code == 429 and uploads.held == 700
        assert uploads.held == 0

    asyncio.run(ask())
    assert reasons == ["bytes"]
