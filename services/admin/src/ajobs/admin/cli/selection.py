"""Selecting tasks by ID or filter, and changing all of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Annotated

from cyclopts import Parameter

from ajobs.admin.text.human import plural
from ajobs.admin.text.printing import complain, say, show_json
from ajobs.admin.text.prompts import confirm, progress
from ajobs.client.client import Client
from ajobs.client.tasks.filter import Matcher
from ajobs.protocol.errors import AjobsError, ConfigurationError
from ajobs.protocol.states import TaskState

AT_ONCE = 50
"""Number of tasks that are changed concurrently."""
MOST_COMPLAINTS = 20
"""Number of failures that are printed one by one."""

DryRun = Annotated[bool, Parameter(name="--dry-run", negative=(), help="Count the matching tasks and change nothing.")]


def check_selection(ids: tuple[str, ...], wanted: Matcher, *, dry_run: bool, queue_option: str) -> None:
    """Make sure that tasks are selected in one way.

    Raises:
        ConfigurationError: There are IDs and filters, or neither, or IDs with ``--dry-run``.
    """
    if ids and not wanted.is_empty:
        raise ConfigurationError("pass either task ids or filter options, not both")
    if ids and dry_run:
        raise ConfigurationError("--dry-run counts the tasks that match filters: remove the task ids")
    if not ids and wanted.is_empty:
        raise ConfigurationError(
            "no tasks selected: pass task ids, or filter with --state, --type, --since, --before, --tried-since, "
            f"--tried-before, --error or {queue_option}"
        )


async def choose(
    client: Client, wanted: Matcher, verb: str, *, dry_run: bool, force: bool, json: bool
) -> list[str] | None:
    """Return the IDs of the matching tasks, or ``None`` if they were only counted.

    All of them are found before the first is changed: a changed task moves to the end of the store and would be found
    again.
    """
    found: dict[str, TaskState] = {}
    async with aclosing(client.stored_tasks(wanted)) as tasks:
        async for task, _ in tasks:
            found[task.id] = task.state
    counts = Counter(found.values())
    if dry_run:
        if json:
            show_json({"matching": len(found), "states": dict(sorted(counts.items()))})
        else:
            say(f"{plural(len(found), 'task matches', 'tasks match')}{_by_state(counts)}")
        return None
    if found:
        confirm(f"{verb} {plural(len(found), 'task')}{_by_state(counts)}?", force=force)
    return list(found)


def _by_state(counts: Counter[TaskState]) -> str:
    if not counts:
        return ""
    return f" ({', '.join(f'{count:,} {state}' for state, count in sorted(counts.items()))})"


async def for_each(
    ids: list[str] | None, change: Callable[[str], Awaitable[object]], verbs: tuple[str, str], *, as_json: bool
) -> int:
    """Change tasks concurrently, report the result, and return the exit status."""
    if ids is None:
        return 0
    done: list[str] = []
    failed: list[dict[str, str]] = []
    doing, did = verbs
    left = iter(ids)

    async def work(advance: Callable[[int], None]) -> None:
        for one in left:
            try:
                await change(one)
            except AjobsError as e:
                failed.append({"id": one, "error": str(e), "reason": e.reason})
            else:
                done.append(one)
            advance(1)

    with progress(doing, len(ids)) as advance:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, len(ids))):
                group.create_task(work(advance))
    if as_json:
        show_json({did: done, "failed": failed})
        return 1 if failed else 0
    for failure in failed[:MOST_COMPLAINTS]:
        complain(failure["error"])
    if len(failed) > MOST_COMPLAINTS:
        complain(f"{plural(len(failed) - MOST_COMPLAINTS, 'more task')} failed")
    say(f"{did} {plural(len(done), 'task')}" + (f", {len(failed):,} failed" if failed else ""))
    return 1 if failed else 0
