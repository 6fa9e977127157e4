"""``ajc tasks view``."""

from __future__ import annotations

from ajobs.admin.cli.arguments import Json
from ajobs.admin.cli.session import connect
from ajobs.admin.cli.task_text import show_task
from ajobs.admin.text.printing import show_json


async def view(task_id: str, /, *, json: Json = False) -> None:
    """Show a task.

    Parameters
    ----------
    task_id
        ID of the task.
    """
    async with connect() as client:
        task = await client.load(task_id)
    if json:
        show_json(task)
    else:
        show_task(task)
