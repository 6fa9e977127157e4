"""Events for any number of clients over one subscription.

The subscription lasts for as long as somebody needs it. Each stream has a buffer: when a client is too slow for it the
oldest events are dropped, and the client is told how many it has lost. Nobody waits for a slow client.
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
"""How many events wait for a client at most."""
SUBSCRIBE_S = 5.0
"""Seconds that the server has to confirm the subscription."""

_PREFIX = TASK_STATE_EVENT_PREFIX.encode()


class ServerSentEvent(NamedTuple):
    """An event as a client gets it."""

    event_id: str
    kind: str
    data: bytes


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events are wanted; what is ``None``, or empty, lets all through."""

    task_id: str | None = None
    queue: str | None = None
    task_type: str | None = None
    states: frozenset[str] = frozenset()

    def wants(self, event: Event) -> bool:
        """Tell whether an event is wanted; those that are not about tasks only are when nothing is asked for."""
        if not isinstance(event, TaskStateEvent):
            return self == EventFilter()
        return (
            (self.task_id is None or event.task_id == self.task_id)
            and (self.queue is None or event.queue == self.queue)
            and (self.task_type is None or event.task_type == self.task_type)
            and (not self.states or event.state in self.states)
        )


class Subscriber:
    """The events for one client."""

    def __init__(self, wanted: EventFilter) -> None:
        """Take what the filter wants."""
        self.wanted = wanted
        self._events: deque[ServerSentEvent] = deque()
        self._lost = 0
        self._gap = False
        self._something = asyncio.Event()
        self._closed = False

    def put(self, message: ServerSentEvent) -> None:
        """Keep an event; the oldest goes when there are too many."""
        if len(self._events) >= BUFFER:
            self._events.popleft()
            self._lost += 1
            metrics.EVENTS_LOST.inc()
        self._events.append(message)
        self._something.set()

    def gap(self) -> None:
        """Note that events may have been missed: nobody stores them while there is no connection."""
        self._gap = True
        self._something.set()

    def close(self) -> None:
        """Have the stream end after what is here."""
        self._closed = True
        self._something.set()

    async def take(self, silence_s: float) -> list[ServerSentEvent] | None:
        """Return what is here, or comes within some seconds, which may be nothing; ``None`` when it is closed."""
        if not self._something.is_set():
            try:
                async with asyncio.timeout(silence_s):
                    await self._something.wait()
            except TimeoutError:
                return []
        self._something.clear()
        found = list(self._events)
        self._events.clear()
        if self._gap:
            self._gap = False
            found.insert(0, ServerSentEvent("", "gap", b'{"reason":"disconnected"}'))
        if self._lost:
            found.insert(0, ServerSentEvent("", "lost", b'{"count":%d}' % self._lost))
            self._lost = 0
        if self._closed:
            self._something.set()
            return found or None
        return found


class EventBroadcaster:
    """Hands events to those who wait for them."""

    def __init__(self, connection: Connection) -> None:
        """Subscribe through ``connection``. See `open`."""
        self._connection = connection
        self._queues: set[Subscriber] = set()
        self._waiting: dict[bytes, set[asyncio.Event]] = {}
        self._users = 0
        self._subscription: Subscription | None = None
        self._lock = asyncio.Lock()
        self._closed = False

    @classmethod
    @asynccontextmanager
    async def open(cls, connection: Connection) -> AsyncGenerator[EventBroadcaster]:
        """Be there for as long as the block runs."""
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
        """Collect events from now on, for as long as the block runs.

        Raises:
            RequestTimeoutError: The server does not confirm the subscription.
        """
        async with self._used():
            queue = Subscriber(wanted)
            self._queues.add(queue)
            if self._closed:
                queue.close()
            try:
                yield queue
            finally:
                self._queues.discard(queue)

    @asynccontextmanager
    async def changes_of(self, task_id: str) -> AsyncGenerator[asyncio.Event]:
        """Set an event whenever a task changes, for as long as the block runs. Raises as `events` does."""
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
        """Have all streams end, and wake who waits for a task."""
        self._closed = True
        for queue in self._queues:
            queue.close()
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
                # From here on nothing is missed: the server knows of the subscription once it has answered.
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
        if not self._queues:
            return
        try:
            event = decode_event(data)
        except DecodeError:
            return
        # Written anew: what a stranger sent might have line breaks, which end an event on a stream.
        message = ServerSentEvent(
            event.event_id, "task_state" if isinstance(event, TaskStateEvent) else "leader", encode(event)
        )
        for queue in self._queues:
            if queue.wanted.wants(event):
                queue.put(message)

    def _reconnected(self) -> None:
        for queue in self._queues:
            queue.gap()
        self._wake_all()

    def _wake_all(self) -> None:
        for waiting in self._waiting.values():
            for changed in waiting:
                changed.set()
