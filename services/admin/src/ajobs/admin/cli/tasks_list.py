"""``ajc tasks list``: a page of the matching tasks, in memory that does not grow with the store."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from contextlib import aclosing
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import Parameter

from ajobs.admin.cli.arguments import Csv, Duration, Json
from ajobs.admin.cli.filters import NO_FILTER, FilterOptions, QueueFilter
from ajobs.admin.cli.session import connect
from ajobs.admin.text.human import age_text, count_text, plural
from ajobs.admin.text.printing import STATE_STYLES, console, is_terminal, say, show_json
from ajobs.admin.text.tables import Column, rich_table, show_table
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
    Column("Queue", lambda task: task.queue, dropped=1),
    Column("Age", lambda task: task.created, age_text, right=True),
    Column("Tries", lambda task: task.tries, count_text, right=True, dropped=2),
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


async def list_(  # noqa: PLR0913 - each option is a parameter
    limit: int = 200,
    /,
    *,
    queue: QueueFilter = (),
    which: FilterOptions = NO_FILTER,
    sort: Order = "newest",
    page: int = 1,
    watch: Annotated[bool, Parameter(name=("--watch", "-w"))] = False,
    interval: Duration = 2 * SECOND_NS,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """List tasks.

    Every call reads the whole store, but keeps only the tasks that it shows in memory.

    Parameters
    ----------
    limit
        Maximum number of tasks.
    sort
        Order: newest and oldest by creation, changed by last change, tries by number of tries.
    page
        Number of the page of LIMIT tasks.
    watch
        Refresh the list until Ctrl-C.
    interval
        Time between two refreshes.
    """
    if limit < 1 or page < 1:
        raise ConfigurationError(f"invalid LIMIT {limit} or --page {page}: use 1 or more for both")
    wanted = which.matcher(queue)
    if watch and (json or csv or not is_terminal()):
        raise ConfigurationError(
            "--watch needs a terminal and excludes --json and --csv: use ajc task watch --json to stream changes"
        )
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
        empty = "No tasks match." if listed.matching == 0 else f"No page {page}: there are fewer tasks."
        show_table(tasks, COLUMNS, title="Tasks", empty=empty)
        if is_terminal():
            say(_footer(len(tasks), listed.matching, page, limit))


class Listed(msgspec.Struct, frozen=True):
    """The first tasks in an order, and the number of all that match."""

    tasks: list[Task]
    matching: int


_KEYS: dict[str, Callable[[Task, int], Any]] = {
    "newest": lambda task, _: parse_timestamp(task.created),
    "oldest": lambda task, _: -parse_timestamp(task.created),
    "changed": lambda _, place: place,
    "tries": lambda task, _: task.tries,
}


async def find(client: Client, wanted: Matcher, order: Order, count: int) -> Listed:
    """Return the first ``count`` matching tasks, and count all of them. Only those are kept in memory."""
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
    """Drop the older version of a task that changed during the search and so was found twice."""
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
            footer = f"{_footer(len(tasks), listed.matching, page, fits)}; press Ctrl-C to stop"
            live.update(Group(rich_table(tasks, COLUMNS, title="Tasks"), Text(footer)), refresh=True)
            await asyncio.sleep(interval_s)
