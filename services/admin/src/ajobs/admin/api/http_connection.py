"""One connection over HTTP/1.1, which ends when the client is too slow.

The server library waits for ever for a request's head, and for a client that takes nothing of an answer. Here both have
a time limit, and a head has a size limit. A body's limits are those of `bodies`, which can say so in an answer.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ajobs.admin.api.errors import Details, ErrorDocument, Problem

ABORT = "ajobs.abort"
"""The extension of a request that ends its connection at once."""
MAX_HEAD = 65_536
"""Bytes of a request's line and headers."""

_BAD_REQUEST = msgspec.json.encode(
    ErrorDocument(Problem("invalid_argument", "this is no HTTP request", Details(reason="http_invalid")))
)
_HEAD = b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"


class HttpConnection(HttpToolsProtocol):
    """A connection with limits."""

    read_timeout_s: ClassVar[float]
    write_timeout_s: ClassVar[float]

    @classmethod
    def limited(cls, *, read_timeout_s: float, write_timeout_s: float) -> type[HttpConnection]:
        """Return the class with these limits."""
        return type(cls.__name__, (cls,), {"read_timeout_s": read_timeout_s, "write_timeout_s": write_timeout_s})

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Begin without anything to wait for."""
        super().__init__(*arguments, **named)
        self._reading: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None
        self._head = 0
        """Bytes of a head that is not complete; -1: there is none."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - as its parent does
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Take what came; a head that is too long ends the connection."""
        if self._head >= 0:
            self._head += len(data)
        super().data_received(data)
        if self._head > MAX_HEAD:
            self.transport.abort()

    def on_message_begin(self) -> None:
        """Begin to wait for the rest of the next request's head."""
        super().on_message_begin()
        self.scope["extensions"] = {ABORT: {"abort": self.transport.abort}}
        if self._reading is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        """Stop waiting: the rest is the application's business."""
        self._head = -1
        self._reading = _cancelled(self._reading)
        super().on_headers_complete()

    def pause_writing(self) -> None:
        """Begin to wait for the client to take some of what was written."""
        super().pause_writing()
        self._writing = _cancelled(self._writing)
        self._writing = self.loop.call_later(self.write_timeout_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop waiting: it did."""
        self._writing = _cancelled(self._writing)
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """End a connection without another request, also when the client never took the last answer."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        super().timeout_keep_alive_handler()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting for anything."""
        self._reading = _cancelled(self._reading)
        super().connection_lost(exc)
        self._writing = _cancelled(self._writing)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - it has nothing that ours has not
        """Answer what is no HTTP with our own kind of error."""
        self.transport.write(_HEAD % (400, b"Bad Request", len(_BAD_REQUEST)) + _BAD_REQUEST)
        self.transport.close()

    def _expect_head(self) -> None:
        self._head = 0
        self._reading = self.loop.call_later(self.read_timeout_s, self.transport.abort)


def _cancelled(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
