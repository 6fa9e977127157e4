"""``ajc tasks list``: some tasks of the store, however large it is."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from contextlib import aclosing
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import Parameter

from ajobs.admin.cli.arguments import Csv, Duration, Json
from ajobs.admin.cli.filters import ErrorText, States, Type, matcher_of
from ajobs.admin.cli.session import connect
from ajobs.admin.text.human import age_text, count_text, plural
from ajobs.admin.text.output import (
    STATE_STYLES,
    Column,
    console,
    is_terminal,
    rich_table,
    say,
    show_json,
    show_table,
)
from ajobs.client.client import Client
from ajobs.client.tasks.filter import Matcher
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.errors import ConfigurationError
from ajobs.protocol.ids import TEXT_LENGTH
from ajobs.protocol.task import Task
from ajobs.protocol.timestamps import parse_timestamp

Order = Literal["newest", "oldest", "changed", "tries"]

COLUMNS: tuple[Column[Task], ...] = (
    Column("ID", lambda task: task.id, narrowest=TEXT_LENGTH),
    Column("State", lambda task: task.state, lambda state: state or "unknown", style=lambda s: STATE_STYLES.get(s, "")),
    Column("Type", lambda task: task.type),
    Column("Queue", lambda task: task.queue),
    Column("Age", lambda task: task.created, age_text, right=True),
    Column("Tries", lambda task: task.tries, count_text, right=True),
    Column("Error", lambda task: task.last_err, is_long=True),
)
CSV_COLUMNS: tuple[Column[Task], ...] = (
    *COLUMNS[:4],
    Column("Created", lambda task: task.created),
    *COLUMNS[5:6],
    Column("Max tries", lambda task: task.max_tries),
    Column("Tried", lambda task: task.tried or ""),
    Column("Deadline", lambda task: task.deadline or ""),
    Column("Completed", lambda task: task.result.completed if task.result else ""),
    COLUMNS[6],
)


async def list_(  # noqa: PLR0913 - what to list, and how
    limit: int = 200,
    /,
    *,
    state: States = (),
    queue: Annotated[str | None, Parameter(name=("--queue", "-q"))] = None,
    task_type: Type = None,
    since: str | None = None,
    before: str | None = None,
    error: ErrorText = None,
    sort: Order = "newest",
    page: int = 1,
    watch: Annotated[bool, Parameter(name=("--watch", "-w"))] = False,
    interval: Duration = 2 * SECOND_NS,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """List tasks. The whole store is looked through each time; only what is shown is kept in memory.

    Parameters
    ----------
    limit
        How many at most.
    state
        Only in this state; several with commas, or repeated.
    queue
        Only of this queue.
    task_type
        Only of this type.
    since
        Only made since: a duration before now such as 90m or 7d, or a time such as 2026-01-31T12:00:00Z.
    before
        Only made before, likewise.
    sort
        Which come first: newest and oldest by when they were made, changed by their last change, tries by how many.
    page
        Which page of LIMIT tasks.
    watch
        Look again and again, until Ctrl-C.
    interval
        How long to wait in between.
    """
    if limit < 1 or page < 1:
        raise ConfigurationError(f"LIMIT is {limit} and --page {page}: use 1 or more for both")
    wanted = matcher_of(state=state, queue=queue, task_type=task_type, since=since, before=before, error=error)
    if watch and (json or csv or not is_terminal()):
        raise ConfigurationError("--watch needs a terminal, and neither --json nor --csv: use ajc task watch --json")
    async with connect() as client:
        if watch:
            await _watch(client, wanted, sort, (limit, page), interval / SECOND_NS)
            return
        listed = await find(client, wanted, sort, limit * page)
    tasks = listed.tasks[limit * (page - 1) :]
    if json:
        show_json({"tasks": tasks, "count": len(tasks), "matching": listed.matching, "page": page})
    elif csv:
        show_table(tasks, CSV_COLUMNS, title="", empty="", as_csv=True)
    else:
        show_table(
            tasks,
            COLUMNS,
            title="Tasks",
            empty="There are no such tasks." if listed.matching == 0 else "There is no such page.",
        )
        if is_terminal():
            say(_footer(len(tasks), listed.matching, page, limit))


_NONE = "There are no such tasks."
_NO_PAGE = "There is no such page."


class Listed(msgspec.Struct, frozen=True):
    """The tasks that come first, in their order, and how many there are besides."""

    tasks: list[Task]
    matching: int


_KEYS: dict[str, Callable[[Task, int], Any]] = {
    "newest": lambda task, _: parse_timestamp(task.created),
    "oldest": lambda task, _: -parse_timestamp(task.created),
    "changed": lambda _, place: place,
    "tries": lambda task, _: task.tries,
}


async def find(client: Client, wanted: Matcher, order: Order, count: int) -> Listed:
    """Return the first tasks that are like what is wanted, and count all of them.

    Memory is needed for ``count`` of them and no more.
    """
    key = _KEYS[order]
    best: list[tuple[Any, int, Task]] = []
    place = 0
    async with aclosing(client.stored_tasks(wanted)) as tasks:
        async for task, _ in tasks:
            place += 1
            entry = (key(task, place), place, task)
            if len(best) < count:
                heapq.heappush(best, entry)
            else:
                heapq.heappushpop(best, entry)
    return Listed([task for _, _, task in _once(sorted(best, key=lambda entry: entry[:2], reverse=True))], place)


def _once(entries: list[tuple[Any, int, Task]]) -> list[tuple[Any, int, Task]]:
    """Leave the older one out of a task that changed while it was looked for, and so came twice."""
    newest: dict[str, int] = {}
    for _, place, task in entries:
        newest[task.id] = max(place, newest.get(task.id, 0))
    return [entry for entry in entries if newest[entry[2].id] == entry[1]]


def _footer(shown: int, matching: int, page: int, limit: int) -> str:
    if shown == matching:
        return plural(shown, "task")
    return f"{shown:,} of {plural(matching, 'task')}, page {page} of {-(-matching // limit):,}"


async def _watch(client: Client, wanted: Matcher, order: Order, which: tuple[int, int], interval_s: float) -> None:
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    limit, page = which
    out = console()
    with Live(console=out, screen=True, auto_refresh=False) as live:
        while True:
            fits = max(1, min(limit, out.height - 6))
            listed = await find(client, wanted, order, limit * (page - 1) + fits)
            tasks = listed.tasks[limit * (page - 1) :]
            footer = f"{_footer(len(tasks), listed.matching, page, fits)}, Ctrl-C ends"
            live.update(Group(rich_table(tasks, COLUMNS, title="Tasks"), Text(footer)), refresh=True)
            await asyncio.sleep(interval_s)
