"""``ajc queues configure``."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from ajobs.admin.cli.arguments import Duration, Json
from ajobs.admin.cli.queue_text import print_queue
from ajobs.admin.cli.session import connect
from ajobs.protocol.durations import SECOND_NS, from_ns

Negative = Parameter(allow_leading_hyphen=True)
OptionalDuration = Annotated[Duration | None, Negative]
OptionalNumber = Annotated[int | None, Negative]


async def configure(  # noqa: PLR0913 - each option is a parameter
    queue: str,
    /,
    *,
    age: OptionalDuration = None,
    entries: OptionalNumber = None,
    tries: OptionalNumber = None,
    run_time: OptionalDuration = None,
    concurrent: OptionalNumber = None,
    replicas: OptionalNumber = None,
    json: Json = False,
) -> None:
    """Change settings of a queue.

    Settings that are not given stay as they are.

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
        Maximum number of items in progress across all workers; -1: no limit.
    replicas
        Number of servers that keep the queue.
    """
    # The lowest numbers are the defaults of Go's ajc, where they mean "not given".
    given: dict[str, Any] = {
        "max_age": None if age is None or age == -SECOND_NS else from_ns(age),
        "max_entries": None if entries == -1 else entries,
        "max_tries": None if tries == -2 else tries,
        "max_run_time": None if run_time is None or run_time == -SECOND_NS else from_ns(run_time),
        "max_concurrent": None if concurrent == -2 else concurrent,
        "replicas": None if replicas == -1 else replicas,
    }
    async with connect() as client:
        await client.configure_queue(queue, **{name: value for name, value in given.items() if value is not None})
        await print_queue(client, queue, json=json)
