"""``ajc info``: how everything stands."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ajobs.admin.cli.arguments import Duration, Json
from ajobs.admin.cli.documents import queue_document, store_document
from ajobs.admin.cli.queues import show_queues
from ajobs.admin.cli.session import connect, make_stores
from ajobs.admin.text.human import count_text, duration_text, size_text, when_text
from ajobs.admin.text.output import say, show_fields, show_json
from ajobs.client.schedules.schedules import ScheduleInfo
from ajobs.client.storage.task_store import StoreInfo
from ajobs.protocol.durations import as_ns, from_ns


async def info(
    *,
    replica: Annotated[int, Parameter(name=("--replica", "-R"))] = 1,
    memory: bool = False,
    retention: Duration = 0,
    json: Json = False,
) -> None:
    """Show the stores, all queues, and who leads. Stores that are missing are made first.

    Parameters
    ----------
    replica
        On how many servers to keep stores that are made.
    memory
        Keep stores that are made in the servers' memory.
    retention
        How long after its last change a task is kept in a store that is made; 0: for ever.
    """
    async with connect(replicas=replica, task_retention=from_ns(retention)) as client:
        await make_stores(client, replicas=replica, memory=memory, retention_ns=retention)
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
        "Schedules",
        [
            ("Schedules", _schedules_text(schedules)),
            *((f"Leader of {election}", leader) for election, leader in sorted(leaders.items())),
            None if leaders else ("Leader", "nobody: start a scheduler"),
        ],
    )
    say("")
    show_queues(queues)


def show_store(store: StoreInfo) -> None:
    """Print how the task store stands."""
    show_fields(
        "Task store",
        [
            ("Tasks", count_text(store.tasks)),
            ("Size", f"{size_text(store.size_bytes)} in {'memory' if store.memory else 'files'}"),
            ("Replicas", str(store.replicas)),
            (
                "Kept",
                f"{duration_text(as_ns(store.retention))} after the last change" if store.retention else "for ever",
            ),
            ("Created", when_text(store.created)),
            ("First change", when_text(store.first_change)) if store.tasks else None,
            ("Last change", when_text(store.last_change)),
        ],
    )


def _schedules_text(schedules: list[ScheduleInfo]) -> str:
    paused = sum(schedule.options.paused for schedule in schedules)
    broken = sum(schedule.problem is not None for schedule in schedules)
    notes = [f"{count} {what}" for count, what in ((paused, "paused"), (broken, "broken")) if count]
    return count_text(len(schedules)) + (f" ({', '.join(notes)})" if notes else "")
