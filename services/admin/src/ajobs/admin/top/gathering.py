"""Feeds the model of ``ajc top`` with events as they arrive, and with polls that use a limited share of the time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ajobs.admin.top.model import Poll, PolledQueue, TopModel
from ajobs.client.nats.addresses import without_credentials
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.errors import AjobsError, StorageNotReadyError
from ajobs.protocol.timestamps import ZERO_TIME, parse_timestamp

if TYPE_CHECKING:
    from ajobs.client.client import Client
    from ajobs.client.storage.events import EventStream
    from ajobs.client.storage.queues import QueueInfo

POLL_S = 2.0
"""Minimum number of seconds between two polls."""
IDLE_SHARE = 9
"""Pause after a poll, as a multiple of the time that it took, so that many queues are polled less often."""


async def poll(client: Client) -> Poll:
    """Load all queues, workers and leaders.

    Raises:
        AjobsError: The server does not answer.
    """
    # A group, because gather() would leave the other requests running after an error.
    async with asyncio.TaskGroup() as group:
        queues = group.create_task(client.queues())
        workers = group.create_task(client.workers())
        leaders = group.create_task(client.leaders())
        tasks = group.create_task(_stored(client))
    nats = client.connection.nats
    url = nats.connected_url
    now_ns = time.time_ns()
    return Poll(
        queues=tuple(_polled(info, now_ns) for info in queues.result()),
        workers=tuple(workers.result()),
        leaders=leaders.result(),
        tasks=tasks.result(),
        server="" if url is None else without_credentials(url.geturl()),
        version=nats._server_info.get("version", ""),  # noqa: SLF001 - the only place of the server's version
    )


async def _stored(client: Client) -> int:
    try:
        return (await client.store_info()).tasks
    except StorageNotReadyError:
        return 0


def _polled(info: QueueInfo, now_ns: int) -> PolledQueue:
    oldest_ns = None if info.first_item == ZERO_TIME or not info.items else parse_timestamp(info.first_item)
    return PolledQueue(
        name=info.queue.name,
        items=info.items,
        waiting=info.waiting,
        in_progress=info.in_progress,
        oldest_s=None if oldest_ns is None else max(0.0, (now_ns - oldest_ns) / SECOND_NS),
        paused=info.paused_until is not None,
        pulls=info.pulls,
        max_concurrent=info.queue.max_concurrent,
    )


@asynccontextmanager
async def feeding(client: Client, model: TopModel) -> AsyncGenerator[None]:
    """Feed the model while the block runs. A lost connection does not end it."""
    connection = client.connection
    forget = (
        connection.on_disconnect(lambda: model.note_connection(connected=False)),
        connection.on_reconnect(lambda: model.note_connection(connected=True)),
    )
    try:
        async with client.watch() as events:
            tasks = (
                asyncio.create_task(take_events(events, model), name="take events"),
                asyncio.create_task(_poll_forever(client, model), name="poll"),
            )
            for task in tasks:
                task.add_done_callback(lambda done: _note_end(done, model))
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        for each in forget:
            each()


def _note_end(done: asyncio.Task[None], model: TopModel) -> None:
    """Show the error that ended a background task on the screen."""
    error = None if done.cancelled() else done.exception()
    if error is not None:
        model.note_problem(f"internal error in ajc ({type(error).__name__}: {error})")


async def take_events(events: EventStream, model: TopModel) -> None:
    """Pass events to the model until cancelled."""
    async for event in events:
        model.note_event(event, time.monotonic())


async def _poll_forever(client: Client, model: TopModel) -> None:
    while True:
        began = time.monotonic()
        try:
            model.note_poll(await poll(client), time.monotonic())
        except* AjobsError as e:
            model.note_problem(" ".join(str(e.exceptions[0]).split()))
        await asyncio.sleep(max(POLL_S, IDLE_SHARE * (time.monotonic() - began)))
