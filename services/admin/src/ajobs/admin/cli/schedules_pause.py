"""``ajc schedules pause``."""

from __future__ import annotations

from ajobs.admin.cli.arguments import Json
from ajobs.admin.cli.schedule_text import print_schedule
from ajobs.admin.cli.session import connect


async def pause(name: str, /, *, json: Json = False) -> None:
    """Pause a schedule.

    It creates no tasks until it is resumed. Schedulers of Choria Async Jobs ignore the pause.

    Parameters
    ----------
    name
        Name of the schedule.
    """
    async with connect() as client:
        print_schedule(await client.schedules.pause(name), json=json)
