"""``ajc schedules run``."""

from __future__ import annotations

from ajobs.admin.cli.arguments import Json
from ajobs.admin.cli.session import connect
from ajobs.admin.text.printing import say, show_json


async def run(name: str, /, *, json: Json = False) -> None:
    """Create a task of a schedule now and print its ID.

    The ticks of the schedule stay as they are.

    Parameters
    ----------
    name
        Name of the schedule.
    """
    async with connect() as client:
        task = await client.schedules.run_now(name)
    if json:
        show_json(task)
    else:
        say(task.id)
