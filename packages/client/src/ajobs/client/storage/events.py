"""Events: published without waiting, watched as they come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ajobs.client.identifiers import new_id_and_second
from ajobs.protocol.codec import decode_event, encode
from ajobs.protocol.errors import ConnectionFailedError, DecodeError
from ajobs.protocol.events import Event, task_state_event
from ajobs.protocol.subjects import task_state_subject
from ajobs.protocol.task import Task

if TYPE_CHECKING:
    from nats.aio.msg import Msg

    from ajobs.client.nats.connection import Connection
    from ajobs.client.nats.requests import Requests


class EventPublisher:
    """Announces the states of tasks."""

    def __init__(self, requests: Requests) -> None:
        """Publish over the connection of ``requests``."""
        self._send = requests.send

    def announce(self, task: Task) -> None:
        """Publish the state of a task after its save.

        The save is done, so a lost event is not an error. Nothing may depend on an event.
        """
        event_id, unix_s = new_id_and_second()
        event = task_state_event(task, event_id=event_id, unix_s=unix_s, now_ns=time.time_ns())
        try:
            self._send(task_state_subject(task.id), encode(event))
        except ConnectionFailedError:
            return


class EventStream:
    """Events in the order of their arrival. Undecodable ones are counted, not delivered."""

    def __init__(self, connection: Connection) -> None:
        """Deliver the events of `receive`. See `watch`."""
        self._connection = connection
        self._queue: asyncio.Queue[Event] = asyncio.Queue()
        self.unreadable = 0

    async def receive(self, message: Msg) -> None:
        """Receive a message of the subscription."""
        try:
            self._queue.put_nowait(decode_event(message.data))
        except DecodeError:
            self.unreadable += 1

    def __aiter__(self) -> EventStream:
        """Iterate until the end of the block that opened the stream."""
        return self

    async def __anext__(self) -> Event:
        """Wait for the next event."""
        return await self._queue.get()


@asynccontextmanager
async def watch(connection: Connection, subject: str) -> AsyncGenerator[EventStream]:
    """Subscribe to the events that are published from the beginning of the block on.

    Events are not stored: those published while the connection is down are lost.

    Raises:
        PermissionDeniedError: The user may not subscribe to them.
    """
    stream = EventStream(connection)
    subscription = await connection.subscribe(subject, stream.receive)
    try:
        # The server has processed the subscription once it answers, so no later event is missed.
        await connection.synchronize()
        connection.denials.require_subscribed(subject)
        yield stream
    finally:
        await connection.unsubscribe(subscription)
