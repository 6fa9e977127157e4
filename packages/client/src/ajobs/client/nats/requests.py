"""Requests over one reply inbox of our own.

The NATS library creates a future, a task and a timeout for each request. Here one wildcard subscription receives all
answers, a dictionary finds the request of each, and one timer finds requests that waited too long. A publish to
JetStream takes a sixth of the time.

The timer is also a watchdog: while requests wait and nothing arrives from the server, it has the connection checked. It
does not run while no request waits, and costs nothing while answers arrive.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING

import msgspec
from nats.errors import ConnectionClosedError, ConnectionDrainingError, OutboundBufferLimitError

from ajobs.client.nats.permissions import PUBLISH, SUBSCRIBE, Denial, deaf, denied
from ajobs.protocol.errors import (
    ConnectionFailedError,
    PayloadTooLargeError,
    PermissionDeniedError,
    RequestTimeoutError,
    UnavailableError,
)
from ajobs.protocol.headers import parse_headers, status_of

if TYPE_CHECKING:
    from ajobs.client.nats.connection import Connection

SWEEP_S = 0.25
"""Seconds between two searches for requests that waited too long, and so how late a timeout may be."""
SILENT_S = 2.0
"""Seconds without anything from the server, while requests wait, after which the connection is suspect."""

NO_RESPONDERS = "503"


class NotConnectedError(ConnectionFailedError):
    """The client is not connected, and its buffer of unsent messages is full: nothing was sent."""

    reason = "not_connected"


class NoRespondersError(UnavailableError):
    """Nothing listens on the subject: the stream does not exist, or has no leader at present."""

    reason = "no_responders"


class Reply(msgspec.Struct, frozen=True, gc=False):
    """An answer: its raw headers, empty if it has none, and its data."""

    raw_headers: bytes
    data: bytes

    @property
    def headers(self) -> dict[str, str]:
        """The headers by name."""
        return parse_headers(self.raw_headers)


class _Waiting(msgspec.Struct, frozen=True):
    future: asyncio.Future[Reply]
    subject: str
    expires: float


class Requests:
    """Sends requests and receives their answers."""

    def __init__(self, connection: Connection, timeout_s: float) -> None:
        """Use a connection, with a default timeout in seconds. See `open`."""
        self._nats = connection.nats
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._fast_path = connection.fast_path
        self._inbox = self._nats.new_inbox()
        self._timeout_s = timeout_s
        self._reply_to = self._inbox.encode() + b".%d"
        self._tokens = count()
        self._waiting: dict[bytes, _Waiting] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._reads = 0
        self._silent_sweeps = 0
        self._may_receive = True

    @classmethod
    @asynccontextmanager
    async def open(cls, connection: Connection, timeout_s: float) -> AsyncGenerator[Requests]:
        """Subscribe to a new reply inbox until the end of the block."""
        requests = cls(connection, timeout_s)
        subscription = await connection.subscribe_directly(f"{requests._inbox}.*", requests._receive)
        forget = connection.on_disconnect(requests._connection_lost)
        forget_denials = connection.denials.on_denied(requests._denied)
        try:
            yield requests
        finally:
            forget()
            forget_denials()
            if requests._sweeper is not None:
                requests._sweeper.cancel()
            requests._fail_all(ConnectionFailedError, "the client was closed before the server answered")
            await connection.unsubscribe(subscription)

    async def request(
        self,
        subject: str,
        data: bytes = b"",
        headers: bytes = b"",
        timeout_s: float | None = None,
    ) -> Reply:
        """Send a request and wait for its answer.

        Raises:
            RequestTimeoutError: No answer came in time, or the connection broke. The request may have been executed.
            PermissionDeniedError: The user may not publish there or not receive answers; nothing was executed.
            NoRespondersError: Nothing listens on that subject; nothing was executed.
            PayloadTooLargeError: The message exceeds the server's limit; nothing was sent.
            InvalidNameError: The subject is not valid; nothing was sent.
            NotConnectedError: The client is not connected, and its buffer is full; nothing was sent.
            ConnectionFailedError: The connection is closed for good; nothing was sent.
        """
        answer = self.post(subject, data, headers, timeout_s)
        if self.is_full:
            await self.flush()
        return await answer

    def post(
        self,
        subject: str,
        data: bytes = b"",
        headers: bytes = b"",
        timeout_s: float | None = None,
    ) -> asyncio.Future[Reply]:
        """Send a request and return the future of its answer, so that the caller can send more before waiting.

        Raises:
            PayloadTooLargeError: As in `request`.
            InvalidNameError: As in `request`.
            NotConnectedError: As in `request`.
            ConnectionFailedError: As in `request`. The future raises all other errors.
        """
        reply_to = self._reply_to % next(self._tokens)
        self.send(subject, data, headers, reply_to)
        future: asyncio.Future[Reply] = self._loop.create_future()
        if not self._may_receive:
            future.set_exception(deaf(self._inbox))
            return future
        expires = self._loop.time() + (self._timeout_s if timeout_s is None else timeout_s)
        self._waiting[reply_to] = _Waiting(future, subject, expires)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)
        return future

    async def publish(self, subject: str, data: bytes, headers: bytes = b"", reply_to: bytes = b"") -> None:
        """Send a message without waiting for an answer.

        Args:
            subject: The subject of the message.
            data: Its data.
            headers: Its headers, encoded by `header_block`.
            reply_to: The subject for answers.

        Raises:
            PayloadTooLargeError: As in `request`.
            InvalidNameError: As in `request`.
            NotConnectedError: As in `request`.
            ConnectionFailedError: As in `request`.
        """
        self.send(subject, data, headers, reply_to)
        if self.is_full:
            await self.flush()

    def send(self, subject: str, data: bytes, headers: bytes = b"", reply_to: bytes = b"") -> None:
        """Do the same as `publish`, but do not wait if the buffer `is_full`."""
        size = len(headers) + len(data)
        if size > self._nats.max_payload:
            # The server would close the connection.
            raise too_large(subject, size, self._nats.max_payload)
        try:
            self._fast_path.send(subject, data, reply_to, headers)
        except (ConnectionClosedError, ConnectionDrainingError) as e:
            msg = "the connection to NATS is closed: connect again"
            raise ConnectionFailedError(msg) from e
        except OutboundBufferLimitError as e:
            msg = "not connected to NATS, and the buffer for unsent messages is full: try again once connected"
            raise NotConnectedError(msg) from e

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be written that the caller should wait for `flush` before sending more."""
        return self._fast_path.is_full

    async def flush(self) -> None:
        """Wait until everything sent so far is written, or until the library gives up waiting."""
        await self._fast_path.flush()

    def _receive(self, subject: bytes, _reply_to: bytes, headers: bytes, data: bytes) -> None:
        waiting = self._waiting.pop(subject, None)
        if waiting is None or waiting.future.done():
            return
        if not data and status_of(headers) == NO_RESPONDERS:
            waiting.future.set_exception(NoRespondersError(f"nothing listens on {waiting.subject}"))
        else:
            waiting.future.set_result(Reply(headers, data))

    def _sweep(self) -> None:
        now = self._loop.time()
        for reply_to, waiting in list(self._waiting.items()):
            if waiting.future.done():
                # Its waiter was cancelled.
                del self._waiting[reply_to]
            elif waiting.expires <= now:
                del self._waiting[reply_to]
                waiting.future.set_exception(RequestTimeoutError(f"no answer on {waiting.subject} in time"))
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep) if self._waiting else None
        self._watch()

    def _watch(self) -> None:
        """Have the connection checked if nothing has arrived for too long."""
        reads, self._reads = self._reads, self._fast_path.reads
        self._silent_sweeps = self._silent_sweeps + 1 if reads == self._reads else 0
        if self._silent_sweeps * SWEEP_S >= SILENT_S:
            self._silent_sweeps = 0
            self._connection.suspect()

    def _denied(self, denial: Denial) -> None:
        if denial.concerns(SUBSCRIBE, f"{self._inbox}.*"):
            self._may_receive = False
            self._fail(self._waiting, deaf(self._inbox))
        elif denial.action == PUBLISH:
            for reply_to, waiting in list(self._waiting.items()):
                if denial.concerns(PUBLISH, waiting.subject):
                    self._fail({reply_to: waiting}, denied(PUBLISH, waiting.subject))

    def _fail(self, those: dict[bytes, _Waiting], error: PermissionDeniedError) -> None:
        for reply_to, waiting in list(those.items()):
            self._waiting.pop(reply_to, None)
            if not waiting.future.done():
                waiting.future.set_exception(error)

    def _connection_lost(self) -> None:
        # Answers on their way are lost. What is sent from now on waits for the new connection.
        self._fail_all(RequestTimeoutError, "the connection to NATS broke before the server answered")

    def _fail_all(self, error: type[UnavailableError], text: str) -> None:
        lost, self._waiting = self._waiting, {}
        for waiting in lost.values():
            if not waiting.future.done():
                waiting.future.set_exception(error(text))


def too_large(subject: str, size: int, limit: int) -> PayloadTooLargeError:
    """Return the error for a message that the server would refuse."""
    msg = f"{size} bytes for {subject} exceed the server's limit of {limit}: store large data elsewhere"
    return PayloadTooLargeError(msg)
