"""Requests over one reply inbox of our own.

The NATS library makes a future, a task and a time-out for each request. Here one wildcard subscription takes all
answers, a dictionary finds who waits for each, and one timer looks for those that waited too long: a sixth of the time
for a publish to JetStream.
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
"""Seconds between two looks for requests that waited too long, and so how late a time-out may be."""

NO_RESPONDERS = "503"


class NotConnectedError(ConnectionFailedError):
    """There is no connection right now, and the buffer for what waits to be sent is full: nothing was sent."""

    reason = "not_connected"


class NoRespondersError(UnavailableError):
    """Nobody listens on the subject: there is no such stream, or it has no leader right now."""

    reason = "no_responders"


class Reply(msgspec.Struct, frozen=True, gc=False):
    """An answer: its headers as they were sent, empty when there are none, and its bytes."""

    raw_headers: bytes
    data: bytes

    @property
    def headers(self) -> dict[str, str]:
        """Its headers by name."""
        return parse_headers(self.raw_headers)


class _Waiting(msgspec.Struct, frozen=True):
    future: asyncio.Future[Reply]
    subject: str
    expires: float


class Requests:
    """Sends requests and hands out their answers."""

    def __init__(self, connection: Connection, timeout_s: float) -> None:
        """Use ``connection``, and ``timeout_s`` seconds for a request that names no time-out. See `open`."""
        self._nats = connection.nats
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._lane = connection.lane
        self._inbox = self._nats.new_inbox()
        self._timeout_s = timeout_s
        self._reply_to = self._inbox.encode() + b".%d"
        self._tokens = count()
        self._waiting: dict[bytes, _Waiting] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._is_deaf = False

    @classmethod
    @asynccontextmanager
    async def open(cls, connection: Connection, timeout_s: float) -> AsyncGenerator[Requests]:
        """Subscribe to a new reply inbox for as long as the block runs."""
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
            RequestTimeoutError: No answer came in time, or the connection broke: nobody knows whether it was done.
            PermissionDeniedError: The user may not publish there, or not receive answers; nothing was done.
            NoRespondersError: Nobody listens on that subject; nothing was done.
            PayloadTooLargeError: It is more than the server takes; nothing was sent.
            NotConnectedError: There is no connection, and the buffer is full; nothing was sent.
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
        """Send a request and return its answer to come, for one who has more to send before waiting.

        Raises:
            PayloadTooLargeError: As `request` does, and nothing was sent.
            NotConnectedError: Likewise.
            ConnectionFailedError: Likewise. All other errors are the answer's.
        """
        reply_to = self._reply_to % next(self._tokens)
        self.send(subject, data, headers, reply_to)
        future: asyncio.Future[Reply] = self._loop.create_future()
        if self._is_deaf:
            future.set_exception(deaf(self._inbox))
            return future
        expires = self._loop.time() + (self._timeout_s if timeout_s is None else timeout_s)
        self._waiting[reply_to] = _Waiting(future, subject, expires)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)
        return future

    async def publish(self, subject: str, data: bytes, headers: bytes = b"", reply_to: bytes = b"") -> None:
        """Send a message that is not waited for, unless ``reply_to`` says where.

        Args:
            subject: Where to.
            data: Its bytes.
            headers: Its headers as `header_block` makes them.
            reply_to: The subject for answers.

        Raises:
            PayloadTooLargeError: It is more than the server takes; nothing was sent.
            NotConnectedError: There is no connection, and the buffer is full; nothing was sent.
            ConnectionFailedError: The connection is closed for good; nothing was sent.
        """
        self.send(subject, data, headers, reply_to)
        if self.is_full:
            await self.flush()

    def send(self, subject: str, data: bytes, headers: bytes = b"", reply_to: bytes = b"") -> None:
        """Do the same without waiting when the buffer `is_full`."""
        size = len(headers) + len(data)
        if size > self._nats.max_payload:
            # One that is sent all the same costs the connection.
            raise too_large(subject, size, self._nats.max_payload)
        try:
            self._lane.send(subject, data, reply_to, headers)
        except (ConnectionClosedError, ConnectionDrainingError) as e:
            msg = "the connection to NATS is closed: connect again"
            raise ConnectionFailedError(msg) from e
        except OutboundBufferLimitError as e:
            msg = "not connected to NATS, and the buffer for unsent messages is full: try again once connected"
            raise NotConnectedError(msg) from e

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be written that one should wait for `flush` before sending more."""
        return self._lane.is_full

    async def flush(self) -> None:
        """Wait until what was sent has been written, or for as long as the library waits for that."""
        await self._lane.flush()

    def _receive(self, subject: bytes, _reply_to: bytes, headers: bytes, data: bytes) -> None:
        waiting = self._waiting.pop(subject, None)
        if waiting is None or waiting.future.done():
            return
        if not data and status_of(headers) == NO_RESPONDERS:
            waiting.future.set_exception(NoRespondersError(f"nobody listens on {waiting.subject}"))
        else:
            waiting.future.set_result(Reply(headers, data))

    def _sweep(self) -> None:
        now = self._loop.time()
        for reply_to, waiting in list(self._waiting.items()):
            if waiting.future.done():
                # Whoever waited for it was cancelled.
                del self._waiting[reply_to]
            elif waiting.expires <= now:
                del self._waiting[reply_to]
                waiting.future.set_exception(RequestTimeoutError(f"no answer on {waiting.subject} in time"))
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep) if self._waiting else None

    def _denied(self, denial: Denial) -> None:
        if denial.concerns(SUBSCRIBE, f"{self._inbox}.*"):
            self._is_deaf = True
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
        # An answer that was on its way will never come; what is sent from now on waits for the new connection.
        self._fail_all(RequestTimeoutError, "the connection to NATS broke before the server answered")

    def _fail_all(self, error: type[UnavailableError], text: str) -> None:
        lost, self._waiting = self._waiting, {}
        for waiting in lost.values():
            if not waiting.future.done():
                waiting.future.set_exception(error(text))


def too_large(subject: str, size: int, limit: int) -> PayloadTooLargeError:
    """Return the error for a message that the server would refuse."""
    msg = f"{size} bytes for {subject} are more than the {limit} that the server takes: store large data elsewhere"
    return PayloadTooLargeError(msg)
