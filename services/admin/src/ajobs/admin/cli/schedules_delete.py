"""``ajc schedules delete``."""

from __future__ import annotations

from ajobs.admin.cli.arguments import Force
from ajobs.admin.cli.session import connect
from ajobs.admin.text.printing import say
from ajobs.admin.text.prompts import confirm


async def delete(name: str, /, *, force: Force = False) -> None:
    """Delete a schedule.

    Its tasks stay as they are.

    Parameters
    ----------
    name
        Name of the schedule.
    """
    async with connect() as client:
        await client.schedules.load(name)
        confirm(f"Delete schedule {name}?", force=force)
        await client.schedules.delete(name)
    say(f"deleted schedule {name}")
