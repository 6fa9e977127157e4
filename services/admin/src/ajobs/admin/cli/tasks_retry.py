"""``ajc tasks retry``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from cyclopts import Parameter

from ajobs.admin.cli.arguments import Force, Json
from ajobs.admin.cli.filters import NO_FILTER, FilterOptions, FromQueueFilter
from ajobs.admin.cli.selection import DryRun, check_selection, choose, for_each
from ajobs.admin.cli.session import connect
from ajobs.admin.cli.task_text import show_task
from ajobs.admin.text.printing import show_json
from ajobs.protocol.states import FINAL_STATES, TaskState
from ajobs.protocol.task import Task

FAILED = FINAL_STATES - {TaskState.COMPLETE}


async def retry(  # noqa: PLR0913 - each option is a parameter
    *task_id: str,
    queue: Annotated[str | None, Parameter(name=("--queue", "-q"))] = None,
    active: bool = False,
    from_queue: FromQueueFilter = (),
    which: FilterOptions = NO_FILTER,
    dry_run: DryRun = False,
    force: Force = False,
    json: Json = False,
) -> int:
    """Retry tasks by ID, or all that match filters.

    The tasks are enqueued again with all their tries. Without --state, filters select failed tasks.

    Parameters
    ----------
    task_id
        IDs of the tasks.
    queue
        Queue to move the tasks to. Default: each stays in its own.
    active
        Also retry tasks that are active.
    """
    wanted = which.matcher(from_queue)
    check_selection(task_id, wanted, dry_run=dry_run, queue_option="--from-queue")
    async with connect() as client:

        async def again(one: str) -> Task:
            return await client.retry(one, queue=queue, force=active)

        if len(task_id) == 1:
            task = await again(task_id[0])
            if json:
                show_json(task)
            else:
                show_task(task)
            return 0
        ids: list[str] | None = list(task_id)
        if not ids:
            if not wanted.states:
                wanted = msgspec.structs.replace(wanted, states=FAILED)
            ids = await choose(client, wanted, "Retry", dry_run=dry_run, force=force, json=json)
        return await for_each(ids, again, ("retrying", "retried"), as_json=json)
