"""``ajc queues delete``."""

from __future__ import annotations

from ajobs.admin.cli.arguments import Force
from ajobs.admin.cli.session import connect
from ajobs.admin.text.human import plural
from ajobs.admin.text.printing import say
from ajobs.admin.text.prompts import confirm


async def delete(queue: str, /, *, force: Force = False) -> None:
    """Delete a queue and its items.

    Its tasks stay stored but will not run.

    Parameters
    ----------
    queue
        Name of the queue.
    """
    async with connect() as client:
        items = (await client.queue_info(queue)).items
        confirm(f"Delete queue {queue} with {plural(items, 'item')}?", force=force)
        await client.delete_queue(queue)
    say(f"deleted queue {queue}")
