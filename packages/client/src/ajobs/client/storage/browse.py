"""Reads the whole task store as a stream of tasks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

from ajobs.client.storage.jetstream.api import JetStream, no_task_store
from ajobs.client.storage.jetstream.errors import StreamNotFoundError
from ajobs.client.storage.jetstream.scan import scan
from ajobs.client.storage.tasks import Stored
from ajobs.protocol.codec import decode_task
from ajobs.protocol.errors import CorruptTaskError
from ajobs.protocol.subjects import TASKS_STREAM
from ajobs.protocol.task import Task
from ajobs.protocol.timestamps import parse_timestamp

if TYPE_CHECKING:
    from ajobs.client.nats.connection import Connection


async def browse(  # noqa: PLR0913 - what to read, and how
    connection: Connection,
    jetstream: JetStream,
    *,
    matches: Callable[[Task], bool],
    until_ns: int,
    on_corrupt: Callable[[CorruptTaskError], None],
    after: int = 0,
    ahead: int = 0,
) -> AsyncGenerator[Stored]:
    """Yield the tasks that were created until a time, least recently changed first.

    A task that changes meanwhile moves to the end, so it may be yielded twice, and then the later one is the newer.

    Args:
        connection: The connection to read from.
        jetstream: The API on it.
        matches: Which tasks to yield.
        until_ns: Nanoseconds since 1970; tasks that are created later are not yielded, so that there is an end.
        on_corrupt: Is told of what cannot be decoded, which is passed over.
        after: Only tasks that were changed after this revision of the store.
        ahead: How many are on their way to us at once; 0: as many as it takes to be fast.

    Raises:
        StorageNotReadyError: There is no task store.
    """
    try:
        async with aclosing(scan(connection, jetstream, TASKS_STREAM, start=after + 1, ahead=ahead)) as messages:
            async for delivery in messages:
                try:
                    task = decode_task(delivery.data)
                except CorruptTaskError as e:
                    on_corrupt(CorruptTaskError(f"{delivery.subject}: {e}"))
                    continue
                if parse_timestamp(task.created) <= until_ns and matches(task):
                    yield Stored(task, delivery.sequence)
    except StreamNotFoundError as e:
        raise no_task_store() from e
