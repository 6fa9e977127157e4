"""``ajc tasks watch``, ``wait`` and ``result``: what becomes of tasks."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

from cyclopts import Parameter

from ajobs.admin.cli.arguments import Duration, Json
from ajobs.admin.cli.filters import States, Type, matcher_of
from ajobs.admin.cli.session import connect
from ajobs.admin.text.human import count_text
from ajobs.admin.text.output import (
    STATE_STYLES,
    complain,
    console,
    is_terminal,
    printable,
    say,
    show_json,
    show_json_line,
)
from ajobs.client.tasks.filter import Matcher
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.errors import ConfigurationError
from ajobs.protocol.events import Event, LeaderEvent
from ajobs.protocol.states import TaskState
from ajobs.protocol.timestamps import parse_timestamp

Timeout = Annotated[Duration | None, Parameter(help="How long to wait at most. Default: for ever.")]


async def watch(
    *,
    task: str | None = None,
    state: States = (),
    queue: Annotated[str | None, Parameter(name=("--queue", "-q"))] = None,
    task_type: Type = None,
    count: Annotated[int | None, Parameter(name=("--count", "-n"))] = None,
    json: Json = False,
) -> None:
    """Show what becomes of tasks, and who begins to lead, as it happens.

    Parameters
    ----------
    task
        Only of the task with this id.
    state
        Only when it is one of these states; several with commas, or repeated.
    queue
        Only of tasks of this queue.
    task_type
        Only of tasks of this type.
    count
        End after so many events. Default: at Ctrl-C.
    """
    wanted = matcher_of(state=state, queue=queue, task_type=task_type)
    shown = 0
    async with connect() as client, client.watch(task) as events:
        complain(f"watching {'all tasks' if task is None else f'task {task}'}, Ctrl-C ends")
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
        _show_line(f"[{clock}] {event.name}: new {event.component} leader", "", "")
        return
    start = f"[{clock}] {event.task_id}: queue: {event.queue} type: {event.task_type} tries: {count_text(event.tries)} "
    error = f" error: {event.last_error}" if event.last_error else ""
    _show_line(f"{start}state: ", event.state, error)


def _show_line(start: str, state: str, end: str) -> None:
    if is_terminal():
        from rich.text import Text

        line = Text(printable(start)).append(state, style=STATE_STYLES.get(state, "")).append(printable(end))
        console().print(line)
    else:
        print(printable(f"{start}{state}{end}"), flush=True)  # noqa: T201 - what the user reads


async def wait(*task_id: str, timeout: Timeout = None, json: Json = False) -> int:  # noqa: ASYNC109 - an option
    """Wait until tasks are finished. The exit status is 0 when all are complete, else 1.

    Parameters
    ----------
    task_id
        Their ids.
    """
    if not task_id:
        raise ConfigurationError("give the ids of the tasks to wait for")
    seconds = None if timeout is None else timeout / SECOND_NS
    async with connect() as client:
        tasks = await asyncio.gather(*(client.wait(one, timeout=seconds) for one in task_id))
    if json:
        show_json({"tasks": tasks})
    else:
        for task in tasks:
            _show_line(f"{task.id} ", task.state, f": {task.last_err}" if task.last_err else "")
    return 0 if all(task.state is TaskState.COMPLETE for task in tasks) else 1


async def result(
    task_id: str,
    /,
    *,
    timeout: Timeout = None,  # noqa: ASYNC109 - an option
    json: Json = False,
) -> None:
    """Wait for a task and print the result of its handler: JSON, but a text without its quotes.

    Parameters
    ----------
    task_id
        Its id.
    """
    async with connect() as client:
        found: Any = await client.result(task_id, timeout=None if timeout is None else timeout / SECOND_NS)
    if isinstance(found, str) and not json:
        say(found)
    else:
        show_json(found)
