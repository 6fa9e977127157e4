"""``ajc queues purge``."""

from __future__ import annotations

from ajobs.admin.cli.arguments import Force
from ajobs.admin.cli.session import connect
from ajobs.admin.text.human import plural
from ajobs.admin.text.printing import say
from ajobs.admin.text.prompts import confirm


async def purge(queue: str, /, *, force: Force = False) -> None:
    """Remove all items from a queue.

    Their tasks stay stored but will not run.

    Parameters
    ----------
    queue
        Name of the queue.
    """
    async with connect() as client:
        items = (await client.queue_info(queue)).items
        question = f"Remove {plural(items, 'item')} from queue {queue}? Their tasks stay stored but will not run."
        confirm(question, force=force)
        removed = await client.purge_queue(queue)
    say(f"removed {plural(removed, 'item')} from queue {queue}")
