"""``ajc schedules resume``."""

from __future__ import annotations

from ajobs.admin.cli.arguments import Json
from ajobs.admin.cli.schedule_text import print_schedule
from ajobs.admin.cli.session import connect


async def resume(name: str, /, *, json: Json = False) -> None:
    """Resume a paused schedule.

    It creates tasks again from its next tick on.

    Parameters
    ----------
    name
        Name of the schedule.
    """
    async with connect() as client:
        print_schedule(await client.schedules.resume(name), json=json)
