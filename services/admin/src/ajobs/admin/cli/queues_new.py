"""``ajc queues new``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ajobs.admin.cli.arguments import Duration, Json
from ajobs.admin.cli.queue_text import print_queue
from ajobs.admin.cli.session import connect
from ajobs.protocol.durations import HOUR_NS, from_ns
from ajobs.protocol.queue import Queue


async def new(  # noqa: PLR0913 - each option is a parameter
    queue: str,
    /,
    *,
    age: Duration = 0,
    entries: int = 0,
    tries: Annotated[int, Parameter(allow_leading_hyphen=True)] = -1,
    run_time: Duration = HOUR_NS,
    concurrent: int = 100,
    memory: bool = False,
    replicas: int = 1,
    discard_old: bool = False,
    json: Json = False,
) -> None:
    """Create a queue.

    Parameters
    ----------
    queue
        Name of the queue.
    age
        How long an item may wait before it is dropped; 0: without limit.
    entries
        Maximum number of items; 0: no limit.
    tries
        Maximum number of deliveries of an item; -1: no limit but that of the task.
    run_time
        Max run time: how long a handler may take, and when the item of a lost worker is delivered again.
    concurrent
        Maximum number of items in progress across all workers.
    memory
        Keep the queue in memory instead of files.
    replicas
        Number of servers that keep the queue.
    discard_old
        Drop the oldest item of a full queue instead of refusing the new one.
    """
    wanted = Queue(
        name=queue,
        max_age=from_ns(age),
        max_entries=entries,
        max_tries=tries,
        max_run_time=from_ns(run_time),
        max_concurrent=concurrent,
        discard_old=discard_old,
    )
    async with connect(replicas=replicas, memory_storage=memory) as client:
        await client.create_queue(wanted)
        await print_queue(client, queue, json=json)
