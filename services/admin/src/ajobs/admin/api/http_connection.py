"""An HTTP/1.1 connection that ends when the client is too slow.

uvicorn waits without limit for the head of a request, and for a client that stops reading. Here both have a timeout,
and a head has a maximum size. The limits of bodies are in `requests`, which can report them in a response.

The number of connections is limited too. Once it is reached, a new connection replaces the oldest one that does not
have a complete request, so that slow and idle clients never keep others out.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, cast

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ajobs.admin.api.errors import Details, ErrorDocument, Problem

ABORT = "ajobs.abort"
"""The ASGI extension that aborts the connection of a request."""
MAX_HEAD = 65_536
"""Bytes of a request line and its headers."""
MAX_FRAMING = 65_536
"""Bytes after the head that may arrive without any of the body: chunk extensions and trailers."""

MAX_PIPELINED = 16
"""Requests that a client may send ahead on one connection."""

_BUSY = msgspec.json.encode(
    ErrorDocument(
        Problem("unavailable", "too many connections: try again in a moment", Details(reason="connections_too_many"))
    )
)
_BAD_REQUEST = msgspec.json.encode(
    ErrorDocument(Problem("invalid_argument", "not a valid HTTP request", Details(reason="http_invalid")))
)
_HEAD = b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%sconnection: close\r\n\r\n"


class HttpConnection(HttpToolsProtocol):
    """A connection with timeouts and a limit on the size of a head."""

    read_timeout_s: ClassVar[float]
    write_timeout_s: ClassVar[float]
    max_connections: ClassVar[int]

    @classmethod
    def limited(cls, *, read_timeout_s: float, write_timeout_s: float, max_connections: int) -> type[HttpConnection]:
        """Return a subclass with these timeouts and this number of connections."""
        return type(
            cls.__name__,
            (cls,),
            {
                "read_timeout_s": read_timeout_s,
                "write_timeout_s": write_timeout_s,
                "max_connections": max_connections,
            },
        )

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Start without timers."""
        super().__init__(*arguments, **named)
        self._reading: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None
        self._head = 0
        """Bytes of an incomplete head; -1 while no head is expected."""
        self._framing = 0
        """Bytes since the head, or since the last part of the body."""
        self._complete = True
        """Whether the current request has arrived completely."""
        self._responding = False
        """Whether a request was read whose response is not complete."""
        self._quiet_since: float = 0.0
        """When the connection was made, or its last response was complete."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - as its parent does
        """Make room for the connection, and start the read timeout for the first request."""
        has_room = len(self.connections) < self.max_connections or self._make_room()
        super().connection_made(transport)
        self._quiet_since = self.loop.time()
        self._expect_head()
        if not has_room:
            transport.write(_HEAD % (503, b"Service Unavailable", len(_BUSY), b"retry-after: 1\r\n") + _BUSY)
            transport.close()

    @property
    def is_replaceable(self) -> bool:
        """Whether it is idle, or its request has not arrived completely."""
        return not (self._responding and self._complete)

    def _make_room(self) -> bool:
        """Abort the oldest connection without a complete request. Return whether there is one."""
        ours = cast("set[HttpConnection]", self.connections)
        others = [each for each in ours if each.is_replaceable]
        if not others:
            return False
        oldest = min(others, key=lambda each: each._quiet_since)  # noqa: SLF001 - another of the same class
        oldest.transport.abort()
        # It reports its end in the next iteration of the loop, and must not be chosen or counted again until then.
        self.connections.discard(oldest)
        return True

    def data_received(self, data: bytes) -> None:
        """Parse data, and abort the connection if the head or the trailers are too large."""
        if self._head >= 0:
            self._head += len(data)
        else:
            self._framing += len(data)
        super().data_received(data)
        # The parser keeps an incomplete line in memory and copies it with each read.
        if self._head > MAX_HEAD or self._framing > MAX_FRAMING:
            self.transport.abort()

    def on_message_begin(self) -> None:
        """Start the read timeout for the rest of a head."""
        if len(self.pipeline) >= MAX_PIPELINED:
            self.transport.abort()
            raise ConnectionAbortedError("too many requests sent ahead")  # ends the parsing of what has arrived
        super().on_message_begin()
        self._complete = False
        self.scope["extensions"] = {ABORT: {"abort": self.transport.abort}}
        if self._reading is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        """Stop the read timeout. The application limits the body itself."""
        self._head = -1
        self._framing = 0
        self._responding = True
        self._reading = _cancelled(self._reading)
        super().on_headers_complete()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header of the head. Trailers are ignored: kept, they would grow without limit."""
        if self._head >= 0:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Pass on a part of the body."""
        self._framing = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the read timeout of a rest of a body."""
        self._complete = True
        self._framing = 0
        self._reading = _cancelled(self._reading)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Start the read timeout if the request was refused before its body arrived."""
        self._responding = bool(self.pipeline)
        super().on_response_complete()
        self._quiet_since = self.loop.time()
        if not self._complete and not self.transport.is_closing():
            self._reading = _cancelled(self._reading)
            self._reading = self.loop.call_later(self.read_timeout_s, self.transport.abort)

    def pause_writing(self) -> None:
        """Start the write timeout: the client does not read."""
        super().pause_writing()
        self._writing = _cancelled(self._writing)
        self._writing = self.loop.call_later(self.write_timeout_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the write timeout: the client reads again."""
        self._writing = _cancelled(self._writing)
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, even if the client never read the last response."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        super().timeout_keep_alive_handler()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all timers."""
        self._reading = _cancelled(self._reading)
        super().connection_lost(exc)
        self._writing = _cancelled(self._writing)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - our text says the same
        """Respond to data that is not HTTP with an error document."""
        if self.transport.is_closing():
            return
        self.transport.write(_HEAD % (400, b"Bad Request", len(_BAD_REQUEST), b"") + _BAD_REQUEST)
        self.transport.close()

    def _expect_head(self) -> None:
        self._head = 0
        self._reading = self.loop.call_later(self.read_timeout_s, self.transport.abort)


def _cancelled(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
