"""``ajc info``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ajobs.admin.cli.arguments import Duration, Json
from ajobs.admin.cli.documents import queue_document, store_document
from ajobs.admin.cli.queue_text import show_queues
from ajobs.admin.cli.session import connect, create_stores
from ajobs.admin.cli.store_text import show_store
from ajobs.admin.text.human import count_text
from ajobs.admin.text.printing import say, show_fields, show_json
from ajobs.client.schedules.schedules import ScheduleInfo
from ajobs.protocol.durations import from_ns


async def info(
    *,
    replica: Annotated[int, Parameter(name=("--replica", "-R"))] = 1,
    memory: bool = False,
    retention: Duration = 0,
    json: Json = False,
) -> None:
    """Show the task store, schedules, leaders and queues.

    Missing stores are created first.

    Parameters
    ----------
    replica
        Number of servers that keep each store created here.
    memory
        Keep stores created here in memory instead of files.
    retention
        How long a task is kept after its last change, in a store created here; 0: without limit.
    """
    async with connect(replicas=replica, task_retention=from_ns(retention)) as client:
        await create_stores(client, replicas=replica, memory=memory, retention_ns=retention)
        store, queues = await client.store_info(), await client.queues()
        schedules, leaders = await client.schedules.all(), await client.leaders()
    if json:
        show_json(
            {
                "store": store_document(store),
                "queues": [queue_document(queue) for queue in queues],
                "schedules": len(schedules),
                "leaders": leaders,
            }
        )
        return
    show_store(store)
    say("")
    show_fields(
        "Scheduling",
        [
            ("Schedules", _schedules_text(schedules)),
            *((f"Leader of {election}", leader) for election, leader in sorted(leaders.items())),
            None if leaders else ("Leader", "none: start a scheduler with ajobs-scheduler"),
        ],
    )
    say("")
    show_queues(queues)


def _schedules_text(schedules: list[ScheduleInfo]) -> str:
    paused = sum(schedule.options.paused for schedule in schedules)
    broken = sum(schedule.problem is not None for schedule in schedules)
    notes = [f"{count} {what}" for count, what in ((paused, "paused"), (broken, "broken")) if count]
    return count_text(len(schedules)) + (f" ({', '.join(notes)})" if notes else "")
