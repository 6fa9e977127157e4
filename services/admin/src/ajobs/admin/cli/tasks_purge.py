"""``ajc tasks purge``."""

from __future__ import annotations

from ajobs.admin.cli.arguments import Force
from ajobs.admin.cli.session import connect
from ajobs.admin.text.human import plural
from ajobs.admin.text.printing import say
from ajobs.admin.text.prompts import confirm


async def purge(*, force: Force = False) -> None:
    """Delete all tasks.

    Their items stay in the queues until workers remove them.
    """
    async with connect() as client:
        count = (await client.store_info()).tasks
        confirm(f"Delete all tasks ({count:,})?", force=force)
        deleted = await client.purge_tasks()
    say(f"deleted {plural(deleted, 'task')}")
