"""A short way through the NATS library for the messages of our own inboxes.

The library's parser matches expressions against the front of a buffer that it then moves up, parses headers with the
standard library's mail parser, makes a message object, puts it into a queue, and wakes a task for it: for a small
answer, most of what a request costs. `Lane` takes the parser's place. What belongs to a subscription that was
registered here is given to its receiver at once, as bytes; everything else goes on into the library as before.

Sending is shorter too: a command is appended to the library's own buffer, which its flusher writes as before, so the
order of everything that is sent stays the same, through reconnects as well.

It uses the library's internals, which is why the dependency names one minor version, and why `tests/integration` holds
what is relied on in `test_lane.py`.
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

Receive = Callable[[bytes, bytes, bytes, bytes], None]
"""Gets a message: its subject, its reply subject, its headers as they were sent, its data; empty if there is none."""

CRLF = b"\r\n"
MAX_CONTROL_LINE = 64 * 1024
"""Bytes after which a line that does not end is an error. The server's ``INFO`` is the longest there is."""

logger = logging.getLogger("ajobs.client")


class Lane:
    """Takes the place of a NATS client's parser, and sends beside its `publish`."""

    def __init__(self, nats: NatsClient) -> None:
        """Go on where the library's parser stands. See `of`."""
        self._nats: Any = nats
        self._loop = asyncio.get_running_loop()
        self._rest = _unread(self._nats._ps)
        self._receivers: dict[bytes, Receive] = {}
        self._nats._ps = self

    @classmethod
    def of(cls, nats: NatsClient) -> Lane:
        """Return the client's lane, and make it first when it has none. It stays for as long as the client does."""
        parser: Any = nats._ps
        return parser if isinstance(parser, cls) else cls(nats)

    # ---- receiving

    def register(self, sid: int, receive: Receive) -> None:
        """Give what arrives for a subscription to ``receive``."""
        self._receivers[b"%d" % sid] = receive

    def forget(self, sid: int) -> None:
        """Leave what arrives for a subscription to the library again."""
        self._receivers.pop(b"%d" % sid, None)

    def reset(self) -> None:
        """Forget what was read: the library has made a new connection."""
        self._rest = b""

    async def parse(self, data: bytes) -> None:
        """Take what was read from the socket.

        Raises:
            ProtocolError: It is not what a NATS server says.
        """
        buffer = self._rest + data if self._rest else data
        receivers = self._receivers
        position, end = 0, len(buffer)
        while position < end:
            line_end = buffer.find(CRLF, position)
            if line_end < 0:
                if end - position > MAX_CONTROL_LINE:
                    raise ProtocolError("nats: unknown protocol")
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
            if after + 2 > end:
                break
            position = after + 2
            reply = parts[3] if len(parts) == 5 + has_headers else b""
            headers, content = buffer[begin:body], buffer[body:after]
            # Most messages are for receivers of our own: no coroutine for each of them.
            receive = receivers.get(parts[2])
            if receive is None:
                await self._nats._process_msg(int(parts[2]), parts[1], reply, content, headers or None)
                continue
            try:
                receive(parts[1], reply, headers, content)
            except Exception:
                # One message that cannot be handled must not end the reading of all others.
                logger.exception("a message on %s could not be handled", parts[1].decode())
        self._rest = buffer[position:]

    async def _control(self, line: bytes) -> None:
        operation = line[:4].upper()
        if operation == b"PING":
            await self._nats._process_ping()
        elif operation == b"PONG":
            await self._nats._process_pong()
        elif operation == b"INFO":
            await self._nats._process_info(msgspec.json.decode(line[4:]))
        elif operation == b"-ERR":
            await self._nats._process_err(line[4:].strip().decode().lower())
        elif not line.startswith(b"+OK"):
            raise ProtocolError("nats: unknown protocol")

    # ---- sending

    def send(self, subject: str, data: bytes, reply_to: bytes = b"", headers: bytes = b"") -> None:
        """Send a message. Wait for `flush` before the next one when it `is_full` then.

        Raises:
            ConnectionClosedError: The connection is closed for good.
            OutboundBufferLimitError: There is no connection right now, and the buffer is full.
        """
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
        """Whether more waits to be written than the library's bound for that."""
        return self._nats._pending_data_size > self._nats._max_pending_size

    async def flush(self) -> None:
        """Wait until what was sent has been written, or for as long as the library waits for that."""
        await self._nats._flush_pending(force_flush=True)


def _check_buffer(nats: Any, size: int) -> None:
    if nats.is_closed:
        raise ConnectionClosedError
    if nats.is_draining_pubs:
        raise ConnectionDrainingError
    if nats._max_pending_size <= 0 or size + nats._pending_data_size > nats._max_pending_size:
        raise OutboundBufferLimitError


def _unread(parser: Any) -> bytes:
    """Return what the library's parser has read and not dispatched, as it came."""
    rest = bytes(parser.buf)
    if parser.state == AWAITING_CONTROL_LINE:
        return rest
    # It has taken the line of a message off already.
    line: dict[str, Any] = parser.msg_arg
    sizes = f"{parser.header_needed} {parser.needed}" if parser.header_needed else f"{parser.needed}"
    words = [b"HMSG" if parser.header_needed else b"MSG", line["subject"], b"%d" % line["sid"]]
    words += [line["reply"]] if line["reply"] else []
    return b" ".join([*words, sizes.encode()]) + CRLF + rest
