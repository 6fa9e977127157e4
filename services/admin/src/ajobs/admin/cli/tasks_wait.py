"""``ajc tasks wait``."""

from __future__ import annotations

import asyncio

from ajobs.admin.cli.arguments import Json, Timeout
from ajobs.admin.cli.session import connect
from ajobs.admin.text.printing import say_state, show_json
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.errors import ConfigurationError
from ajobs.protocol.states import TaskState


async def wait(*task_id: str, timeout: Timeout = None, json: Json = False) -> int:  # noqa: ASYNC109 - an option
    """Wait until tasks are finished.

    The exit status is 0 if all of them are complete, else 1.

    Parameters
    ----------
    task_id
        IDs of the tasks.
    """
    if not task_id:
        raise ConfigurationError("no tasks selected: pass the ids of the tasks to wait for")
    seconds = None if timeout is None else timeout / SECOND_NS
    async with connect() as client:
        tasks = await asyncio.gather(*(client.wait(one, timeout=seconds) for one in task_id))
    if json:
        show_json({"tasks": tasks})
    else:
        for task in tasks:
            say_state(f"{task.id} ", task.state, f": {task.last_err}" if task.last_err else "")
    return 0 if all(task.state is TaskState.COMPLETE for task in tasks) else 1
