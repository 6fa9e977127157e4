"""``ajc tasks watch``."""

from __future__ import annotations

import time
from typing import Annotated

from cyclopts import Parameter

from ajobs.admin.cli.arguments import Json
from ajobs.admin.cli.filters import FilterOptions, QueueFilter, States, TypeFilter
from ajobs.admin.cli.session import connect
from ajobs.admin.text.human import count_text
from ajobs.admin.text.printing import complain, say_state, show_json_line
from ajobs.client.tasks.filter import Matcher
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.events import Event, LeaderEvent
from ajobs.protocol.timestamps import parse_timestamp


async def watch(
    *,
    task: str | None = None,
    state: States = (),
    queue: QueueFilter = (),
    task_type: TypeFilter = (),
    count: Annotated[int | None, Parameter(name=("--count", "-n"))] = None,
    json: Json = False,
) -> None:
    """Show state changes of tasks as they happen.

    Without filters, changes of the leading scheduler are shown too.

    Parameters
    ----------
    task
        The task with this ID.
    count
        Stop after this number of events. Default: run until Ctrl-C.
    """
    wanted = FilterOptions(state=state, task_type=task_type).matcher(queue)
    shown = 0
    async with connect() as client, client.watch(task) as events:
        complain(f"watching {'all tasks' if task is None else f'task {task}'}; press Ctrl-C to stop")
        async for event in events:
            if not _is_wanted(event, wanted):
                continue
            if json:
                show_json_line(event)
            else:
                _show(event)
            shown += 1
            if shown == count:
                return


def _is_wanted(event: Event, wanted: Matcher) -> bool:
    return wanted.is_empty if isinstance(event, LeaderEvent) else wanted.matches_event(event)


def _show(event: Event) -> None:
    clock = time.strftime("%H:%M:%S", time.localtime(parse_timestamp(event.timestamp) // SECOND_NS))
    if isinstance(event, LeaderEvent):
        say_state(f"[{clock}] {event.name}: new {event.component} leader", "", "")
        return
    start = f"[{clock}] {event.task_id}: queue: {event.queue} type: {event.task_type} tries: {count_text(event.tries)} "
    error = f" error: {event.last_error}" if event.last_error else ""
    say_state(f"{start}state: ", event.state, error)
