"""The responses that endpoints return, and how they are sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, NamedTuple, TypeVar

import msgspec
from starlette.types import Receive, Send

from ajobs.admin.api.errors import ErrorDocument, HttpError

JSON = "application/json"
NDJSON = "application/x-ndjson"
EVENT_STREAM = "text/event-stream"

CHUNK_BYTES = 65_536
"""Bytes of a large response to send at once. Small chunks let the write timeout notice a slow client."""

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode


class ClientDisconnectedError(Exception):
    """The client disconnected before the response was complete."""


class Response(NamedTuple):
    """A complete response. With ``None`` as its body it has no content."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = {}
    content_type: str = JSON


class StreamingResponse(NamedTuple):
    """A response that is sent in chunks. The generator is closed when the client disconnects."""

    content_type: str
    chunks: AsyncGenerator[bytes]
    headers: Mapping[str, str] = {}
    lasting: bool = False
    """Whether it has no end of its own and lasts until the client disconnects."""


def error_response(http_error: HttpError) -> Response:
    """Return the response for an error."""
    return Response(http_error.status, ErrorDocument(http_error.problem), http_error.headers)


def encode_body(response: Response) -> bytes:
    """Return the body of a response as bytes."""
    if response.body is None:
        return b""
    return response.body if isinstance(response.body, bytes) else _encode(response.body)


def _start(status: int, headers: Mapping[str, str]) -> dict[str, Any]:
    fields = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": fields}


async def send_response(response: Response, send: Send, common: Mapping[str, str]) -> None:
    """Send a complete response."""
    body = encode_body(response)
    headers = {**common, **response.headers}
    if response.status not in (204, 304):  # RFC 9110 allows no Content-Length for these
        headers["Content-Length"] = str(len(body))
    if body:
        headers.setdefault("Content-Type", response.content_type)
    await send(_start(response.status, headers))
    for begin in range(0, len(body), CHUNK_BYTES):
        more = begin + CHUNK_BYTES < len(body)
        await send({"type": "http.response.body", "body": body[begin : begin + CHUNK_BYTES], "more_body": more})
    if not body:
        await send({"type": "http.response.body", "body": b""})


async def send_stream(response: StreamingResponse, receive: Receive, send: Send, common: Mapping[str, str]) -> None:
    """Send a response in chunks until it ends or the client disconnects.

    An error that the generator raises before its first chunk can still become an error response. After that, the
    response is aborted, which the client notices by the missing last chunk.
    """
    async with aclosing(response.chunks) as chunks:
        first = await anext(chunks, b"")
        headers = {"Content-Type": response.content_type, **common, **response.headers}
        await send(_start(200, headers))
        await until_disconnected(_send_all(first, chunks, send), receive)


async def until_disconnected(work: Coroutine[Any, Any, T], receive: Receive) -> T:
    """Return the result of a coroutine, or cancel it when the client disconnects.

    Raises:
        ClientDisconnectedError: The client disconnected first.
    """
    working = asyncio.create_task(work)
    disconnecting = asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait({working, disconnecting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        disconnected = disconnecting.done() and not working.done()
        for task in (working, disconnecting):
            task.cancel()
        # Wait for both: the caller closes the resources that they use.
        await asyncio.wait({working, disconnecting})
    if disconnected and working.cancelled():
        raise ClientDisconnectedError
    return working.result()


async def _send_all(first: bytes, chunks: AsyncGenerator[bytes], send: Send) -> None:
    if first:
        await send({"type": "http.response.body", "body": first, "more_body": True})
    async for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
