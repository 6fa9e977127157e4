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
    """Announces what became of tasks."""

    def __init__(self, requests: Requests) -> None:
        """Publish over the connection that ``requests`` uses."""
        self._send = requests.send

    def announce(self, task: Task) -> None:
        """Publish the state of a task that was just saved.

        The save stands whatever happens here, so a lost event is no error: nobody may rely on one.
        """
        event_id, unix_s = new_id_and_second()
        event = task_state_event(task, event_id=event_id, unix_s=unix_s, now_ns=time.time_ns())
        try:
            self._send(task_state_subject(task.id), encode(event))
        except ConnectionFailedError:
            return


class EventStream:
    """Events in the order in which they arrived. Those that cannot be read are counted, not delivered."""

    def __init__(self, connection: Connection) -> None:
        """Deliver what `receive` is given. See `watch`."""
        self._connection = connection
        self._queue: asyncio.Queue[Event] = asyncio.Queue()
        self.unreadable = 0

    async def receive(self, message: Msg) -> None:
        """Take a message from the subscription."""
        try:
            self._queue.put_nowait(decode_event(message.data))
        except DecodeError:
            self.unreadable += 1

    def __aiter__(self) -> EventStream:
        """Iterate for as long as the block in which the stream was opened runs."""
        return self

    async def __anext__(self) -> Event:
        """Wait for the next event."""
        return await self._queue.get()


@asynccontextmanager
async def watch(connection: Connection, subject: str) -> AsyncGenerator[EventStream]:
    """Subscribe to events; those published after this block was entered are delivered.

    Nobody stores events: one that is published while the connection is down is lost.

    Raises:
        PermissionDeniedError: The user may not subscribe to them.
    """
    stream = EventStream(connection)
    subscription = await connection.subscribe(subject, stream.receive)
    try:
        # Once the server has answered it knows of the subscription, so an event from now on is not missed.
        await connection.synchronize()
        connection.denials.require_subscribed(subject)
        yield stream
    finally:
        await connection.unsubscribe(subscription)
