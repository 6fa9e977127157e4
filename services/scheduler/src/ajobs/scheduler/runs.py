"""Making the one task of each run, whoever else makes it, has made it, or died while making it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from ajobs.client.schedules.schedules import task_of
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


async def make_tasks_of(client: Client, runs: Iterable[Run], logger: logging.Logger) -> int:
    """Make the tasks of runs, unless they were made before, and return how many were made now.

    A task's id follows from the schedule's name and the tick, and it is stored by a compare-and-set on nothing, so
    there is one however often this is called.

    Raises:
        UnavailableError: The server could not be asked about some of them: call it again.
    """
    begun: list[Run] = []

    def tasks() -> Iterator[Task]:
        for run in runs:
            begun.append(run)
            schedule = run.info.schedule
            yield task_of(schedule, task_id=tick_id(schedule.name, run.tick_ns), tick_ns=run.tick_ns)

    result = await client.enqueue_many(tasks())
    by_id = {tick_id(run.info.name, run.tick_ns): run for run in begun}
    for task in result.enqueued:
        _note_made(by_id[task.id], task, logger)
    unavailable: UnavailableError | None = None
    for failure in result.failed:
        try:
            await _settle(client, failure.task, by_id[failure.task.id], failure.error, logger)
        except UnavailableError as e:
            unavailable = e
    if unavailable is not None:
        raise unavailable
    return len(result.enqueued)


def _note_made(run: Run, task: Task, logger: logging.Logger) -> None:
    late_s = (time.time_ns() - run.due_ns) / SECOND_NS
    metrics.SCHEDULED.labels(task.type, task.queue).inc()
    metrics.LATENESS.observe(late_s)
    logger.info("task scheduled", extra=_fields(run, task) | {"late_s": round(late_s, 3)})


def _fields(run: Run, task: Task) -> dict[str, object]:
    return {"schedule": run.info.name, "task_id": task.id, "task_type": task.type, "queue": task.queue}


async def _settle(client: Client, task: Task, run: Run, error: AjobsError, logger: logging.Logger) -> None:
    """Deal with a task that was not made. Raises `UnavailableError` when that is for another time."""
    match error:
        case TaskAlreadyExistsError():
            await _complete(client, task.id, task.queue)
        case DuplicateItemError():
            # It was made, run and deleted a moment ago. What was stored just now is nobody's.
            with suppress(TaskNotFoundError):
                await client.delete(task.id)
        case QueueNotFoundError() | QueueFullError():
            # The task says so too, as queue_error: it is not lost.
            metrics.SCHEDULE_ERRORS.labels(task.type, task.queue).inc()
            logger.error("a scheduled task could not be enqueued: %s", error, extra=_fields(run, task))
        case UnavailableError():
            raise error
        case _:
            metrics.SCHEDULE_ERRORS.labels(task.type, task.queue).inc()
            logger.error("a scheduled task could not be made: %s", error, extra=_fields(run, task))


async def _complete(client: Client, task_id: str, queue: str) -> None:
    """Put the item of a task that was stored by somebody who may have died before putting it."""
    with suppress(TaskNotFoundError):
        task = (await client.storage.tasks.load(task_id)).task
        if task.state is TaskState.NEW:
            with suppress(DuplicateItemError, QueueNotFoundError, QueueFullError):
                await client.storage.items.put(queue, task_id, again=False)
