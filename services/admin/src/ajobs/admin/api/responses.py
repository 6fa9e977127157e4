"""What handlers return, and how it is sent."""

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
"""Bytes of a large answer that are handed on at a time, so that a slow client is noticed."""

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode


class ClientDisconnectedError(Exception):
    """The client went away: there is nobody to answer."""


class Response(NamedTuple):
    """A whole answer; no body is sent when there is none."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = {}
    content_type: str = JSON


class StreamingResponse(NamedTuple):
    """An answer that comes in pieces; the generator is closed when the client goes away."""

    content_type: str
    pieces: AsyncGenerator[bytes]
    headers: Mapping[str, str] = {}
    lasting: bool = False
    """Whether it goes on for as long as the client likes."""


def error_response(http_error: HttpError) -> Response:
    """Return the answer for an error."""
    return Response(http_error.status, ErrorDocument(http_error.problem), http_error.headers)


def encode_body(answer: Response) -> bytes:
    """Return the bytes of an answer's body."""
    if answer.body is None:
        return b""
    return answer.body if isinstance(answer.body, bytes) else _encode(answer.body)


def _start(status: int, headers: Mapping[str, str]) -> dict[str, Any]:
    fields = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": fields}


async def send_response(answer: Response, send: Send, common: Mapping[str, str]) -> None:
    """Send a whole answer."""
    body = encode_body(answer)
    headers = {**common, **answer.headers}
    if answer.status not in (204, 304):  # which may not say how long they are
        headers["Content-Length"] = str(len(body))
    if body:
        headers.setdefault("Content-Type", answer.content_type)
    await send(_start(answer.status, headers))
    for begin in range(0, len(body), CHUNK_BYTES):
        more = begin + CHUNK_BYTES < len(body)
        await send({"type": "http.response.body", "body": body[begin : begin + CHUNK_BYTES], "more_body": more})
    if not body:
        await send({"type": "http.response.body", "body": b""})


async def send_stream(streamed: StreamingResponse, receive: Receive, send: Send, common: Mapping[str, str]) -> None:
    """Send an answer in pieces until it ends or the client goes away.

    What the generator raises before its first piece is raised; later it breaks the answer off, which a client notices.
    """
    async with aclosing(streamed.pieces) as pieces:
        first = await anext(pieces, b"")
        headers = {"Content-Type": streamed.content_type, **common, **streamed.headers}
        await send(_start(200, headers))
        await until_disconnected(_send_all(first, pieces, send), receive)


async def until_disconnected(work: Coroutine[Any, Any, T], receive: Receive) -> T:
    """Return what a coroutine returns, and give it up when the client goes away.

    Raises:
        ClientDisconnectedError: It went.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        left = leaving.done() and not working.done()
        for task in (working, leaving):
            task.cancel()
        # Both have ended before anybody goes on: what they use is closed next.
        await asyncio.wait({working, leaving})
    if left and working.cancelled():
        raise ClientDisconnectedError
    return working.result()


async def _send_all(first: bytes, pieces: AsyncGenerator[bytes], send: Send) -> None:
    if first:
        await send({"type": "http.response.body", "body": first, "more_body": True})
    async for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
