"""``ajc queues resume``."""

from __future__ import annotations

from ajobs.admin.cli.arguments import Json
from ajobs.admin.cli.documents import queue_document
from ajobs.admin.cli.session import connect
from ajobs.admin.text.printing import say, show_json


async def resume(queue: str, /, *, json: Json = False) -> None:
    """Resume delivery of a paused queue.

    Parameters
    ----------
    queue
        Name of the queue.
    """
    async with connect() as client:
        await client.resume_queue(queue)
        if json:
            show_json(queue_document(await client.queue_info(queue)))
        else:
            say(f"resumed queue {queue}")
