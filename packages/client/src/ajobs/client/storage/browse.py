"""Read the whole task store as a stream of tasks."""

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
    """Yield the tasks that are stored now, least recently changed first.

    A task that changes meanwhile moves to the end, so it may be yielded twice; the second one is newer. Tasks created
    meanwhile are skipped, so that the iteration ends.

    Args:
        connection: The connection to read from.
        jetstream: The API on it.
        matches: Returns whether to yield a task.
        until_ns: The time now, in nanoseconds since 1970. It tells a task that changed meanwhile from one that was
            created meanwhile. For all others the sequence counts, because clocks of producers may be ahead.
        on_corrupt: Called for each message that cannot be decoded; it is skipped.
        after: Only tasks that changed after this revision of the store.
        ahead: The number of tasks to request ahead; 0 for as many as fast reading takes.

    Raises:
        StorageNotReadyError: The task store does not exist.
    """
    try:
        last = (await jetstream.ask(f"STREAM.INFO.{TASKS_STREAM}"))["state"]["last_seq"]
        async with aclosing(scan(connection, jetstream, TASKS_STREAM, start=after + 1, ahead=ahead)) as messages:
            async for delivery in messages:
                try:
                    task = decode_task(delivery.data)
                except CorruptTaskError as e:
                    on_corrupt(CorruptTaskError(f"{delivery.subject}: {e}"))
                    continue
                is_there = delivery.sequence <= last or parse_timestamp(task.created) <= until_ns
                if is_there and matches(task):
                    yield Stored(task, delivery.sequence)
    except StreamNotFoundError as e:
        raise no_task_store() from e
