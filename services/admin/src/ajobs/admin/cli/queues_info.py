"""``ajc queues info``."""

from __future__ import annotations

from ajobs.admin.cli.arguments import Json
from ajobs.admin.cli.queue_text import print_queue
from ajobs.admin.cli.session import connect


async def info(queue: str, /, *, json: Json = False) -> None:
    """Show the settings and counts of a queue.

    Parameters
    ----------
    queue
        Name of the queue.
    """
    async with connect() as client:
        await print_queue(client, queue, json=json)
