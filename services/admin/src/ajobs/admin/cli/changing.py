"""``ajc tasks retry`` and ``delete``: by id, or all tasks that are like what is said."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Annotated

import msgspec
from cyclopts import Parameter

from ajobs.admin.cli.arguments import Force, Json
from ajobs.admin.cli.filters import ErrorText, States, Type, matcher_of
from ajobs.admin.cli.session import connect
from ajobs.admin.cli.tasks import show_task
from ajobs.admin.text.human import plural
from ajobs.admin.text.output import complain, say, show_json
from ajobs.admin.text.prompts import confirm, progress
from ajobs.client.client import Client
from ajobs.client.tasks.filter import Matcher
from ajobs.protocol.errors import AjobsError, ConfigurationError
from ajobs.protocol.states import FINAL_STATES, TaskState
from ajobs.protocol.task import Task

AT_ONCE = 50
"""How many tasks are changed at once."""
MOST_COMPLAINTS = 20
FAILED = FINAL_STATES - {TaskState.COMPLETE}

DryRun = Annotated[bool, Parameter(name="--dry-run", negative=(), help="Only count the tasks that it would be.")]
FromQueue = Annotated[str | None, Parameter(name="--from-queue")]


async def retry(  # noqa: PLR0913 - which tasks, and how
    *task_id: str,
    queue: Annotated[str | None, Parameter(name=("--queue", "-q"))] = None,
    active: bool = False,
    state: States = (),
    from_queue: FromQueue = None,
    task_type: Type = None,
    since: str | None = None,
    before: str | None = None,
    error: ErrorText = None,
    dry_run: DryRun = False,
    force: Force = False,
    json: Json = False,
) -> int:
    """Enqueue tasks again, with all their tries before them: by id, or all that are like the options say.

    Parameters
    ----------
    task_id
        Their ids.
    queue
        Move them to this queue. Default: each stays in its own.
    active
        Retry also what a worker seems to run.
    state
        Tasks in this state; several with commas, or repeated. Default: all that failed.
    from_queue
        Tasks of this queue.
    task_type
        Tasks of this type.
    since
        Tasks made since: a duration before now such as 90m or 7d, or a time such as 2026-01-31T12:00:00Z.
    before
        Tasks made before, likewise.
    """
    wanted = matcher_of(state=state, queue=from_queue, task_type=task_type, since=since, before=before, error=error)
    _check_choice(task_id, wanted, dry_run=dry_run)
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
            ids = await _choose(client, wanted, "Retry", dry_run=dry_run, force=force, json=json)
        return await _for_each(ids, again, ("retrying", "retried"), as_json=json)


async def delete(  # noqa: PLR0913 - likewise
    *task_id: str,
    state: States = (),
    queue: Annotated[str | None, Parameter(name=("--queue", "-q"))] = None,
    task_type: Type = None,
    since: str | None = None,
    before: str | None = None,
    error: ErrorText = None,
    dry_run: DryRun = False,
    force: Force = False,
    json: Json = False,
) -> int:
    """Delete tasks: by id, or all that are like the options say. Workers drop their items.

    Parameters
    ----------
    task_id
        Their ids.
    state
        Tasks in this state; several with commas, or repeated.
    queue
        Tasks of this queue.
    task_type
        Tasks of this type.
    since
        Tasks made since: a duration before now such as 90m or 7d, or a time such as 2026-01-31T12:00:00Z.
    before
        Tasks made before, likewise.
    """
    wanted = matcher_of(state=state, queue=queue, task_type=task_type, since=since, before=before, error=error)
    _check_choice(task_id, wanted, dry_run=dry_run)
    async with connect() as client:
        ids: list[str] | None = list(task_id)
        if ids:
            confirm(f"Delete {f'task {ids[0]}' if len(ids) == 1 else plural(len(ids), 'task')}?", force=force)
        else:
            ids = await _choose(client, wanted, "Delete", dry_run=dry_run, force=force, json=json)
        return await _for_each(ids, client.delete, ("deleting", "deleted"), as_json=json)


def _check_choice(ids: tuple[str, ...], wanted: Matcher, *, dry_run: bool) -> None:
    if ids and not wanted.is_empty:
        raise ConfigurationError("give either ids or options that choose tasks, not both")
    if ids and dry_run:
        raise ConfigurationError("--dry-run counts what the options choose: leave the ids out")
    if not ids and wanted.is_empty:
        raise ConfigurationError(
            "say which tasks: their ids, or --state, --type, --since, --before, --error or the option for the queue"
        )


async def _choose(
    client: Client, wanted: Matcher, verb: str, *, dry_run: bool, force: bool, json: bool
) -> list[str] | None:
    """Return the ids of the tasks that are wanted; nothing when they were only to be counted.

    All of them are found before the first is changed: a task that changes moves to the end of what is looked through.
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
            say(f"{plural(len(found), 'task')} {'is' if len(found) == 1 else 'are'} like this{_by_state(counts)}")
        return None
    if found:
        confirm(f"{verb} {plural(len(found), 'task')}{_by_state(counts)}?", force=force)
    return list(found)


def _by_state(counts: Counter[TaskState]) -> str:
    if not counts:
        return ""
    return f" ({', '.join(f'{count:,} {state}' for state, count in sorted(counts.items()))})"


async def _for_each(
    ids: list[str] | None, change: Callable[[str], Awaitable[object]], verbs: tuple[str, str], *, as_json: bool
) -> int:
    """Change tasks, several at once; tell which could not be, and return the exit status."""
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
        complain(f"and {plural(len(failed) - MOST_COMPLAINTS, 'more task')} that failed")
    say(f"{did} {plural(len(done), 'task')}" + (f", {len(failed):,} failed" if failed else ""))
    return 1 if failed else 0
