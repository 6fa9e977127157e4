"""``ajc queues pause``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ajobs.admin.cli.arguments import Duration, Json
from ajobs.admin.cli.queue_text import print_queue
from ajobs.admin.cli.session import connect
from ajobs.protocol.durations import from_ns


async def pause(
    queue: str, /, *, duration: Annotated[Duration | None, Parameter(name=("--for", "-d"))] = None, json: Json = False
) -> None:
    """Pause delivery to all workers.

    Running tasks continue, and tasks can still be added.

    Parameters
    ----------
    queue
        Name of the queue.
    duration
        How long to pause. Default: until the queue is resumed.
    """
    async with connect() as client:
        await client.pause_queue(queue, duration=None if duration is None else from_ns(duration))
        await print_queue(client, queue, json=json)
