"""``ajc schedules view``."""

from __future__ import annotations

from ajobs.admin.cli.arguments import Json
from ajobs.admin.cli.schedule_text import print_schedule
from ajobs.admin.cli.session import connect


async def view(name: str, /, *, json: Json = False) -> None:
    """Show a schedule and its next ticks.

    Parameters
    ----------
    name
        Name of the schedule.
    """
    async with connect() as client:
        print_schedule(await client.schedules.load(name), json=json)
