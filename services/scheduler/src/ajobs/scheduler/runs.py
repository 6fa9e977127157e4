"""Create exactly one task for a tick, although several schedulers may try, and any of them may die halfway.

The task id follows from the schedule and the tick, and the task is stored by a compare-and-set on an unused id. The
first scheduler wins. The others find the task, and enqueue its item if the winner died before it could.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from ajobs.client.schedules.schedules import task_of
from ajobs.client.tasks.bulk import ENQUEUE_WINDOW, Bulk
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.errors import (
    AjobsError,
    DuplicateItemError,
    QueueFullError,
    QueueNotFoundError,
    TaskAlreadyExistsError,
    TaskNotFoundError,
    UnavailableError,
)
from ajobs.protocol.schedule import tick_id
from ajobs.protocol.states import TaskState
from ajobs.protocol.task import Task
from ajobs.scheduler import metrics
from ajobs.scheduler.timetable import Run

if TYPE_CHECKING:
    from ajobs.client.client import Client


async def create_tasks(client: Client, runs: Iterable[Run], logger: logging.Logger) -> int:
    """Create and enqueue the tasks of runs that have none yet; return their number.

    Raises:
        UnavailableError: The server did not answer for some of them. Call again with the same runs.
    """
    started: list[Run] = []

    def tasks() -> Iterator[Task]:
        for run in runs:
            started.append(run)
            schedule = run.info.schedule
            yield task_of(schedule, task_id=tick_id(schedule.name, run.tick_ns), tick_ns=run.tick_ns)

    # The task of a tick that ran and was discarded must not be created again, so a used id is an error here.
    result = await Bulk(client.enqueuer, None, ids_run_once=True).run(tasks(), ENQUEUE_WINDOW)
    by_id = {tick_id(run.info.name, run.tick_ns): run for run in started}
    for task in result.enqueued:
        _note_created(by_id[task.id], task, logger)
    unavailable: UnavailableError | None = None
    for failure in result.failed:
        try:
            await _settle(client, failure.task, by_id[failure.task.id], failure.error, logger)
        except UnavailableError as e:
            unavailable = e
    if unavailable is not None:
        raise unavailable
    return len(result.enqueued)


def _note_created(run: Run, task: Task, logger: logging.Logger) -> None:
    late_s = (time.time_ns() - run.due_ns) / SECOND_NS
    metrics.SCHEDULED.labels(task.type, task.queue).inc()
    metrics.LATENESS.observe(late_s)
    logger.info("task scheduled", extra=_fields(run, task) | {"late_s": round(late_s, 3)})


def _fields(run: Run, task: Task) -> dict[str, object]:
    return {"schedule": run.info.name, "task_id": task.id, "task_type": task.type, "queue": task.queue}


async def _settle(client: Client, task: Task, run: Run, error: AjobsError, logger: logging.Logger) -> None:
    """Handle the failure of one task. Raises `UnavailableError` if the task has to be tried again."""
    match error:
        case TaskAlreadyExistsError():
            await _complete(client, task.id, task.queue)
        case DuplicateItemError():
            # Its item exists, so the task was created before, ran and was deleted. The new copy would never run.
            with suppress(TaskNotFoundError):
                await client.delete(task.id)
        case QueueNotFoundError() | QueueFullError():
            # The task is not lost: it is stored in state queue_error.
            metrics.SCHEDULE_ERRORS.labels(task.type, task.queue).inc()
            logger.error("scheduled task not enqueued: %s", error, extra=_fields(run, task))
        case UnavailableError():
            raise error
        case _:
            metrics.SCHEDULE_ERRORS.labels(task.type, task.queue).inc()
            logger.error("scheduled task not created: %s", error, extra=_fields(run, task))


async def _complete(client: Client, task_id: str, queue: str) -> None:
    """Enqueue the item of a stored task, whose scheduler may have died before it did."""
    with suppress(TaskNotFoundError):
        task = (await client.storage.tasks.load(task_id)).task
        if task.state is TaskState.NEW:
            with suppress(DuplicateItemError, QueueNotFoundError, QueueFullError):
                await client.storage.items.put(queue, task_id, again=False)
