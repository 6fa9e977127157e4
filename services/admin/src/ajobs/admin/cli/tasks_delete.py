"""``ajc tasks delete``."""

from __future__ import annotations

from ajobs.admin.cli.arguments import Force, Json
from ajobs.admin.cli.filters import NO_FILTER, FilterOptions, QueueFilter
from ajobs.admin.cli.selection import DryRun, check_selection, choose, for_each
from ajobs.admin.cli.session import connect
from ajobs.admin.text.human import plural
from ajobs.admin.text.prompts import confirm


async def delete(
    *task_id: str,
    queue: QueueFilter = (),
    which: FilterOptions = NO_FILTER,
    dry_run: DryRun = False,
    force: Force = False,
    json: Json = False,
) -> int:
    """Delete tasks by ID, or all that match filters.

    Their items stay in the queues until workers remove them.

    Parameters
    ----------
    task_id
        IDs of the tasks.
    """
    wanted = which.matcher(queue)
    check_selection(task_id, wanted, dry_run=dry_run, queue_option="--queue")
    async with connect() as client:
        ids: list[str] | None = list(task_id)
        if ids:
            confirm(f"Delete {f'task {ids[0]}' if len(ids) == 1 else plural(len(ids), 'task')}?", force=force)
        else:
            ids = await choose(client, wanted, "Delete", dry_run=dry_run, force=force, json=json)
        return await for_each(ids, client.delete, ("deleting", "deleted"), as_json=json)
