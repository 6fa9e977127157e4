"""Deliver events to any number of HTTP clients over one NATS subscription.

The subscription exists while at least one client needs it. Each client has a buffer. If a client is too slow, the
oldest events are dropped and the client receives their number. A slow client never delays the others.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple

import msgspec
from nats.aio.subscription import Subscription

from ajobs.admin.api import metrics
from ajobs.client.nats.connection import Connection
from ajobs.protocol.codec import decode_event, encode
from ajobs.protocol.errors import DecodeError, RequestTimeoutError
from ajobs.protocol.events import Event, TaskStateEvent
from ajobs.protocol.subjects import ALL_EVENTS, TASK_STATE_EVENT_PREFIX

BUFFER = 1_000
"""Maximum number of events that are buffered for one client."""
SUBSCRIBE_S = 5.0
"""Seconds to wait until NATS confirms the subscription."""

_PREFIX = TASK_STATE_EVENT_PREFIX.encode()


class ServerSentEvent(NamedTuple):
    """An event as it is sent to a client."""

    event_id: str
    kind: str
    data: bytes


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Selects events. A field that is ``None`` or empty matches every event."""

    task_id: str | None = None
    queue: str | None = None
    task_type: str | None = None
    states: frozenset[str] = frozenset()

    def matches(self, event: Event) -> bool:
        """Return whether an event matches. Events that are not about tasks match the empty filter only."""
        if not isinstance(event, TaskStateEvent):
            return self == EventFilter()
        return (
            (self.task_id is None or event.task_id == self.task_id)
            and (self.queue is None or event.queue == self.queue)
            and (self.task_type is None or event.task_type == self.task_type)
            and (not self.states or event.state in self.states)
        )


class Subscriber:
    """The buffered events of one client."""

    def __init__(self, wanted: EventFilter) -> None:
        """Buffer the events that match a filter."""
        self.wanted = wanted
        self._events: deque[ServerSentEvent] = deque()
        self._lost = 0
        self._gap = False
        self._available = asyncio.Event()
        self._closed = False

    def put(self, message: ServerSentEvent) -> None:
        """Buffer an event, and drop the oldest if the buffer is full."""
        if len(self._events) >= BUFFER:
            self._events.popleft()
            self._lost += 1
            metrics.EVENTS_LOST.inc()
        self._events.append(message)
        self._available.set()

    def gap(self) -> None:
        """Record that events may have been missed: they are not stored while the connection is down."""
        self._gap = True
        self._available.set()

    def close(self) -> None:
        """End the stream after the buffered events."""
        self._closed = True
        self._available.set()

    async def take(self, silence_s: float) -> list[ServerSentEvent] | None:
        """Return the buffered events, waiting up to ``silence_s`` seconds for one; ``None`` once it is closed."""
        if not self._available.is_set():
            try:
                async with asyncio.timeout(silence_s):
                    await self._available.wait()
            except TimeoutError:
                return []
        self._available.clear()
        found = list(self._events)
        self._events.clear()
        if self._gap:
            self._gap = False
            found.insert(0, ServerSentEvent("", "gap", b'{"reason":"disconnected"}'))
        if self._lost:
            found.insert(0, ServerSentEvent("", "lost", b'{"count":%d}' % self._lost))
            self._lost = 0
        if self._closed:
            self._available.set()
            return found or None
        return found


class EventBroadcaster:
    """Delivers events to subscribers, and wakes requests that wait for a task."""

    def __init__(self, connection: Connection) -> None:
        """Use ``connection`` for the subscription. Create one with `open`."""
        self._connection = connection
        self._subscribers: set[Subscriber] = set()
        self._waiting: dict[bytes, set[asyncio.Event]] = {}
        self._users = 0
        self._subscription: Subscription | None = None
        self._lock = asyncio.Lock()
        self._closed = False

    @classmethod
    @asynccontextmanager
    async def open(cls, connection: Connection) -> AsyncGenerator[EventBroadcaster]:
        """Provide a broadcaster for as long as the block runs."""
        hub = cls(connection)
        forget = connection.on_reconnect(hub._reconnected)
        try:
            yield hub
        finally:
            forget()
            hub.close()
            await hub._end()

    @asynccontextmanager
    async def events(self, wanted: EventFilter) -> AsyncGenerator[Subscriber]:
        """Buffer events from now on, for as long as the block runs.

        Raises:
            RequestTimeoutError: NATS did not confirm the subscription.
        """
        async with self._used():
            subscriber = Subscriber(wanted)
            self._subscribers.add(subscriber)
            if self._closed:
                subscriber.close()
            try:
                yield subscriber
            finally:
                self._subscribers.discard(subscriber)

    @asynccontextmanager
    async def changes_of(self, task_id: str) -> AsyncGenerator[asyncio.Event]:
        """Set an `asyncio.Event` whenever the task changes, for as long as the block runs. Raises as `events` does."""
        async with self._used():
            with self._wait_for(_PREFIX + task_id.encode()) as changed:
                if self._closed:
                    changed.set()
                yield changed

    @contextmanager
    def _wait_for(self, subject: bytes) -> Generator[asyncio.Event]:
        changed = asyncio.Event()
        waiting = self._waiting.setdefault(subject, set())
        waiting.add(changed)
        try:
            yield changed
        finally:
            waiting.discard(changed)
            if not waiting and self._waiting.get(subject) is waiting:
                del self._waiting[subject]

    def close(self) -> None:
        """End all streams, and wake the requests that wait for a task."""
        self._closed = True
        for subscriber in self._subscribers:
            subscriber.close()
        self._wake_all()

    @asynccontextmanager
    async def _used(self) -> AsyncGenerator[None]:
        self._users += 1
        try:
            await self._begin()
            yield
        finally:
            self._users -= 1
            await self._end()

    async def _begin(self) -> None:
        async with self._lock:
            if self._subscription is not None:
                return
            subscription = await self._connection.subscribe_directly(ALL_EVENTS, self._receive)
            try:
                # NATS knows the subscription once it has answered, so no event is missed from here on.
                async with asyncio.timeout(SUBSCRIBE_S):
                    await self._connection.synchronize()
            except BaseException as e:
                await self._connection.unsubscribe(subscription)
                if isinstance(e, TimeoutError):
                    raise RequestTimeoutError("NATS did not confirm the subscription to events: try again") from e
                raise
            self._subscription = subscription

    async def _end(self) -> None:
        async with self._lock:
            if self._users or self._subscription is None:
                return
            subscription, self._subscription = self._subscription, None
            await self._connection.unsubscribe(subscription)

    def _receive(self, subject: bytes, _reply_to: bytes, _headers: bytes, data: bytes) -> None:
        for changed in self._waiting.get(subject, ()):
            changed.set()
        if not self._subscribers:
            return
        try:
            event = decode_event(data)
        except DecodeError:
            return
        # Encode it again: another client may have sent line breaks, which would end a server-sent event early.
        message = ServerSentEvent(
            event.event_id, "task_state" if isinstance(event, TaskStateEvent) else "leader", encode(event)
        )
        for subscriber in self._subscribers:
            if subscriber.wanted.matches(event):
                subscriber.put(message)

    def _reconnected(self) -> None:
        for subscriber in self._subscribers:
            subscriber.gap()
        self._wake_all()

    def _wake_all(self) -> None:
        for waiting in self._waiting.values():
            for changed in waiting:
                changed.set()
