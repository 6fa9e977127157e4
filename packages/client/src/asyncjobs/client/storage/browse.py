"""Reads the whole task store as a stream, however large it is, with little memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from asyncjobs.client.storage.api import CONSUMER_NOT_FOUND, STREAM_NOT_FOUND, JetStream, Json
from asyncjobs.client.storage.pulls import PullSubscription
from asyncjobs.client.storage.tasks import Stored
from asyncjobs.protocol.codec import decode_task
from asyncjobs.protocol.durations import MINUTE_NS
from asyncjobs.protocol.errors import CorruptTaskError, StorageError, StorageNotReadyError
from asyncjobs.protocol.subjects import TASKS_STREAM
from asyncjobs.protocol.task import Task

if TYPE_CHECKING:
    from asyncjobs.client.connect import Connection

PAGE = 500
"""How many tasks are on their way to us at once."""

SILENCE_S = 2.0
"""Seconds without a task after which to ask whether there are more to come."""


async def browse(
    connection: Connection,
    jetstream: JetStream,
    *,
    matches: Callable[[Task], bool],
    until_ns: int,
    on_corrupt: Callable[[CorruptTaskError], None],
) -> AsyncGenerator[Stored]:
    """Yield the tasks that were created until a time, least recently changed first.

    A task that changes meanwhile moves to the end, so it may be yielded twice, and then the later one is the newer.

    Args:
        connection: The connection to read from.
        jetstream: The API on it.
        matches: Which tasks to yield.
        until_ns: Nanoseconds since 1970; tasks that are created later are not yielded, so that there is an end.
        on_corrupt: Is told of what cannot be decoded, which is passed over.

    Raises:
        StorageNotReadyError: There is no task store.
    """
    start = 1
    pending: int | None = 1
    while pending:
        consumer = await _create_consumer(jetstream, start)
        name, pending = consumer["name"], consumer["num_pending"]
        next_messages = jetstream.subject(f"CONSUMER.MSG.NEXT.{TASKS_STREAM}.{name}")
        try:
            async with PullSubscription.open(
                connection, jetstream.requests, subject=next_messages, ahead=lambda: PAGE
            ) as messages:
                while pending:
                    try:
                        async with asyncio.timeout(SILENCE_S):
                            delivery = await messages.next()
                    except TimeoutError:
                        # What was still to come may have been deleted, or the consumer have gone with its server.
                        pending = await _pending(jetstream, name)
                        if pending is None:
                            pending = 1
                            break
                        continue
                    start, pending = delivery.sequence + 1, delivery.pending
                    try:
                        task = decode_task(delivery.data)
                    except CorruptTaskError as e:
                        on_corrupt(CorruptTaskError(f"{delivery.subject}: {e}"))
                        continue
                    if task.created_ns <= until_ns and matches(task):
                        yield Stored(task, delivery.sequence)
        finally:
            with suppress(StorageError):
                await jetstream.call(f"CONSUMER.DELETE.{TASKS_STREAM}.{name}")


async def _create_consumer(jetstream: JetStream, start: int) -> Json:
    config = {
        "ack_policy": "none",
        "deliver_policy": "by_start_sequence",
        "opt_start_seq": start,
        "replay_policy": "instant",
        "inactive_threshold": MINUTE_NS,
        "mem_storage": True,
        "num_replicas": 1,
    }
    try:
        return await jetstream.call(f"CONSUMER.CREATE.{TASKS_STREAM}", {"stream_name": TASKS_STREAM, "config": config})
    except StorageError as e:
        if e.err_code != STREAM_NOT_FOUND:
            raise
        msg = f"stream {TASKS_STREAM} does not exist: connect once without no_storage_init to make it"
        raise StorageNotReadyError(msg) from e


async def _pending(jetstream: JetStream, name: str) -> int | None:
    """Return how many messages a consumer has still to deliver; nothing when it is gone."""
    try:
        return (await jetstream.ask(f"CONSUMER.INFO.{TASKS_STREAM}.{name}"))["num_pending"]
    except StorageError as e:
        if e.err_code == CONSUMER_NOT_FOUND:
            return None
        raise
