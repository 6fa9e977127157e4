"""Feeding the model of ``ajc top``: events as they come, and polls that never take more than a part of the time."""

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
"""Seconds between two polls at least."""
IDLE_SHARE = 9
"""How many times as long as a poll took there is none, so that many queues are asked for less often."""


async def poll(client: Client) -> Poll:
    """Ask how all queues, workers and elections stand.

    Raises:
        AjobsError: The server cannot be asked.
    """
    # Told before and not after: an error of one would leave the others running.
    async with asyncio.TaskGroup() as group:
        queues = group.create_task(client.queues())
        workers = group.create_task(client.workers())
        leaders = group.create_task(client.leaders())
        tasks = group.create_task(_stored(client))
    nats = client.storage.connection.nats
    url = nats.connected_url
    now_ns = time.time_ns()
    return Poll(
        queues=tuple(_polled(info, now_ns) for info in queues.result()),
        workers=tuple(workers.result()),
        leaders=leaders.result(),
        tasks=tasks.result(),
        server="" if url is None else without_credentials(url.geturl()),
        version=nats._server_info.get("version", ""),  # noqa: SLF001 - what the server said of itself
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
    """Feed the model for as long as the block runs, through losses of the connection."""
    connection = client.storage.connection
    forget = (
        connection.on_disconnect(lambda: model.note_connection(connected=False)),
        connection.on_reconnect(lambda: model.note_connection(connected=True)),
    )
    try:
        async with client.watch() as events:
            tasks = (
                asyncio.create_task(take_events(events, model), name="take events"),
                asyncio.create_task(_poll_again_and_again(client, model), name="poll"),
            )
            for task in tasks:
                task.add_done_callback(lambda done: _say_why(done, model))
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        for each in forget:
            each()


def _say_why(done: asyncio.Task[None], model: TopModel) -> None:
    """Have the screen say what ended a task of ours, neither of which ends by itself."""
    error = None if done.cancelled() else done.exception()
    if error is not None:
        model.note_problem(f"a mistake of ajc itself, {type(error).__name__}: {error}")


async def take_events(events: EventStream, model: TopModel) -> None:
    """Give the model what comes, until cancelled."""
    async for event in events:
        model.note_event(event, time.monotonic())


async def _poll_again_and_again(client: Client, model: TopModel) -> None:
    while True:
        began = time.monotonic()
        try:
            model.note_poll(await poll(client), time.monotonic())
        except* AjobsError as e:
            model.note_problem(" ".join(str(e.exceptions[0]).split()))
        await asyncio.sleep(max(POLL_S, IDLE_SHARE * (time.monotonic() - began)))
