"""A fast path through the NATS library for the messages of our own inboxes.

The library's parser matches expressions against a buffer, parses headers with the mail parser of the standard
library, creates a message object, puts it into a queue and wakes a task for it. For a small answer, that is most of the
cost of a request. `FastPath` takes the parser's place: it hands a message of a subscription that is registered here to
its receiver at once, as bytes, and passes everything else on to the library.

Sending is shorter too: a command is appended to the library's own buffer, which its flusher writes, so everything stays
in the order in which it was sent, through reconnects as well.

Three rules keep a connection from going deaf, that is, connected but no longer read:

- Any error while reading is a `ProtocolError`, which makes the library reconnect. Other errors would end its read loop.
- The library never finds a cancelled future among the pongs that it waits for, because setting its result would be such
  an error. `ping` returns a future that is never cancelled, and pongs that others cancelled are dropped here.
- An error that the server sends makes the library reconnect, unless it concerns permissions or credentials. The library
  would close the connection forever.

This relies on internals of the library, so the dependency names one minor version, and `test_fast_path.py` tests what
it relies on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgspec
from nats.aio.client import Client as NatsClient
from nats.errors import ConnectionClosedError, ConnectionDrainingError, OutboundBufferLimitError, ProtocolError
from nats.protocol.parser import AWAITING_CONTROL_LINE

from ajobs.protocol.errors import InvalidNameError

Receive = Callable[[bytes, bytes, bytes, bytes], None]
"""Receives a message: subject, reply subject, raw headers and data. Each is empty if the message has none."""

CRLF = b"\r\n"
MAX_CONTROL_LINE = 64 * 1024
"""Bytes of the longest line. The server's ``INFO`` is the longest one."""
MAX_MESSAGE = 65 * 1024 * 1024
"""Bytes of the largest message with its headers; a nats-server never allows payloads over 64 MiB."""
MAX_SUBJECT = 3_900
"""Characters of the longest subject. A server closes connections that send lines over 4,096 bytes."""

_FATAL_ERRORS = ("authorization", "authentication", "permissions violation", "stale connection")
"""Errors of the server that the library handles as it should: new credentials, or nothing, can help."""

logger = logging.getLogger("ajobs.client")


class FastPath:
    """Replaces the parser of a NATS client, and sends next to its `publish`."""

    def __init__(self, nats: NatsClient) -> None:
        """Take over from the library's parser where it stands. See `of`."""
        self._nats: Any = nats
        self._loop = asyncio.get_running_loop()
        self._chunks: list[bytes] = [_unread(self._nats._ps)]
        self._missing = 0
        self._receivers: dict[bytes, Receive] = {}
        self.reads = 0
        """How often something was read from the server: unchanged while the connection is silent."""
        self._nats._ps = self

    @classmethod
    def of(cls, nats: NatsClient) -> FastPath:
        """Return the fast path of a client, created on the first call. It stays for the life of the client."""
        parser: Any = nats._ps
        return parser if isinstance(parser, cls) else cls(nats)

    # ---- receiving

    def register(self, sid: int, receive: Receive) -> None:
        """Hand the messages of a subscription to ``receive``."""
        self._receivers[b"%d" % sid] = receive

    def forget(self, sid: int) -> None:
        """Leave the messages of a subscription to the library again."""
        self._receivers.pop(b"%d" % sid, None)

    def reset(self) -> None:
        """Forget unparsed bytes. The library calls this when it reconnects."""
        self._chunks = []
        self._missing = 0

    async def parse(self, data: bytes) -> None:
        """Parse the bytes of one read from the socket.

        Raises:
            ProtocolError: A NATS server does not send these bytes, or an answer to them failed. The library reconnects.
        """
        self.reads += 1
        self._chunks.append(data)
        if len(data) < self._missing:
            # The rest of a large message: joining it with each chunk would take quadratic time.
            self._missing -= len(data)
            return
        buffer = data if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks = []
        self._missing = 0
        try:
            rest = await self._parse(buffer)
        except ProtocolError:
            raise
        except Exception as e:
            logger.exception("cannot read from NATS, reconnecting")
            raise ProtocolError from e
        if rest:
            self._chunks.append(rest)

    async def _parse(self, buffer: bytes) -> bytes:
        """Dispatch all complete operations and return the rest."""
        receivers = self._receivers
        position, end = 0, len(buffer)
        while position < end:
            line_end = buffer.find(CRLF, position)
            if line_end < 0:
                if end - position > MAX_CONTROL_LINE:
                    raise ProtocolError
                break
            parts = buffer[position:line_end].split()
            operation = parts[0] if parts else b""
            begin = line_end + 2
            if operation == b"MSG":
                body, has_headers = begin, 0
            elif operation == b"HMSG":
                body, has_headers = begin + int(parts[-2]), 1
            else:
                await self._control(buffer[position:line_end])
                position = begin
                continue
            after = begin + int(parts[-1])
            if not begin <= body <= after <= begin + MAX_MESSAGE:
                raise ProtocolError
            if after + 2 > end:
                self._missing = after + 2 - end
                break
            position = after + 2
            reply = parts[3] if len(parts) == 5 + has_headers else b""
            headers, content = buffer[begin:body], buffer[body:after]
            # Most messages are for receivers of our own, which need no coroutine.
            receive = receivers.get(parts[2])
            if receive is None:
                await self._nats._process_msg(int(parts[2]), parts[1], reply, content, headers or None)
                continue
            try:
                receive(parts[1], reply, headers, content)
            except Exception:
                # A message that cannot be handled must not keep others from being read.
                logger.exception("cannot handle a message on %s", parts[1].decode(errors="replace"))
        return buffer[position:]

    async def _control(self, line: bytes) -> None:
        operation = line[:4].upper()
        if operation == b"PING":
            await self._nats._process_ping()
        elif operation == b"PONG":
            pongs = self._nats._pongs
            if pongs and pongs[0].done():
                # Its waiter was cancelled. The library would fail to set its result.
                pongs[0] = self._loop.create_future()
            await self._nats._process_pong()
        elif operation == b"INFO":
            await self._nats._process_info(msgspec.json.decode(line[4:]))
        elif operation == b"-ERR":
            await self._error(line[4:].strip().decode(errors="replace").lower())
        elif not line.startswith(b"+OK"):
            raise ProtocolError

    async def _error(self, text: str) -> None:
        if any(fatal in text for fatal in _FATAL_ERRORS):
            await self._nats._process_err(text)
            return
        logger.error("NATS refused what was sent and ends the connection, reconnecting: %s", text.strip("'"))
        raise ProtocolError

    async def ping(self) -> asyncio.Future[bool]:
        """Send a ping and return the future of its pong, which stays open if the connection breaks. Never cancel it.

        Raises:
            ConnectionClosedError: The connection is closed for good, or not open right now.
        """
        nats = self._nats
        if nats.is_closed or nats._transport is None:
            raise ConnectionClosedError
        pong: asyncio.Future[bool] = self._loop.create_future()
        await nats._send_ping(pong)
        return pong

    # ---- sending

    def send(self, subject: str, data: bytes, reply_to: bytes = b"", headers: bytes = b"") -> None:
        """Send a message. If the buffer `is_full` afterwards, wait for `flush` before the next one.

        Raises:
            InvalidNameError: The subject would be read as something else by the server.
            ConnectionClosedError: The connection is closed for good.
            OutboundBufferLimitError: The client is not connected, and its buffer is full.
        """
        if " " in subject or len(subject) > MAX_SUBJECT or not subject.isprintable():
            # The last line of defense: a line break in a subject would let it send commands of its own.
            raise InvalidNameError(f"invalid subject {subject[:100]!r}: use at most {MAX_SUBJECT} printable characters")
        nats = self._nats
        is_connected: bool = nats.is_connected
        size = len(data)
        if not is_connected:
            _check_buffer(nats, len(headers) + size)
        if headers:
            sizes = (len(headers), len(headers) + size)
            command = b"HPUB %b %b %d %d\r\n%b%b\r\n" % (subject.encode(), reply_to, *sizes, headers, data)
        else:
            command = b"PUB %b %b %d\r\n%b\r\n" % (subject.encode(), reply_to, size, data)
        stats = nats.stats
        stats["out_msgs"] += 1
        stats["out_bytes"] += size
        nats._pending.append(command)
        nats._pending_data_size += len(command)
        if is_connected and nats._flush_queue.empty():
            nats._flush_queue.put_nowait(self._loop.create_future())

    @property
    def is_full(self) -> bool:
        """Whether more bytes wait to be written than the library allows."""
        return self._nats._pending_data_size > self._nats._max_pending_size

    async def flush(self) -> None:
        """Wait until everything sent so far is written, or until the library gives up waiting."""
        await self._nats._flush_pending(force_flush=True)

    async def reconnect(self) -> None:
        """Give up the present connection and open a new one."""
        await self._nats._process_op_err(ProtocolError())


def _check_buffer(nats: Any, size: int) -> None:
    if nats.is_closed:
        raise ConnectionClosedError
    if nats.is_draining_pubs:
        raise ConnectionDrainingError
    if nats._max_pending_size <= 0 or size + nats._pending_data_size > nats._max_pending_size:
        raise OutboundBufferLimitError


def _unread(parser: Any) -> bytes:
    """Return what the library's parser has read but not dispatched, as it was sent."""
    rest = bytes(parser.buf)
    if parser.state == AWAITING_CONTROL_LINE:
        return rest
    # The parser has already removed the line of a message.
    line: dict[str, Any] = parser.msg_arg
    sizes = f"{parser.header_needed} {parser.needed}" if parser.header_needed else f"{parser.needed}"
    words = [b"HMSG" if parser.header_needed else b"MSG", line["subject"], b"%d" % line["sid"]]
    words += [line["reply"]] if line["reply"] else []
    return b" ".join([*words, sizes.encode()]) + CRLF + rest
