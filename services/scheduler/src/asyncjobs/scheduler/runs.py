"""Making the one task of a run, whoever else makes it, has made it, or died while making it."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from asyncjobs.client.schedules import task_of
from asyncjobs.protocol.durations import SECOND_NS
from asyncjobs.protocol.errors import (
    AsyncJobsError,
    DuplicateItemError,
    QueueFullError,
    QueueNotFoundError,
    TaskAlreadyExistsError,
    TaskNotFoundError,
    UnavailableError,
)
from asyncjobs.protocol.schedule import tick_id
from asyncjobs.protocol.states import TaskState
from asyncjobs.scheduler import metrics
from asyncjobs.scheduler.timetable import Run

if TYPE_CHECKING:
    from asyncjobs.client.client import Client


async def make_task_of(client: Client, run: Run, logger: logging.Logger) -> bool:
    """Make the task of a run unless it was made before, and tell whether it was made now.

    The task's id follows from the schedule's name and the tick, and it is stored by a compare-and-set on nothing, so
    there is one however often this is called.

    Raises:
        UnavailableError: The server could not be asked: call it again.
    """
    schedule = run.info.schedule
    labels = (schedule.task_type, schedule.queue)
    task_id = tick_id(schedule.name, run.tick_ns)
    fields = {"schedule": schedule.name, "task_id": task_id, "task_type": schedule.task_type, "queue": schedule.queue}
    try:
        await client.enqueue(task_of(schedule, task_id=task_id, tick_ns=run.tick_ns))
    except TaskAlreadyExistsError:
        await _complete(client, task_id, schedule.queue)
        return False
    except DuplicateItemError:
        # It was made, run and deleted a moment ago. What was stored just now is nobody's.
        with suppress(TaskNotFoundError):
            await client.delete(task_id)
        return False
    except (QueueNotFoundError, QueueFullError) as e:
        # The task says so too, as queue_error: it is not lost.
        metrics.SCHEDULE_ERRORS.labels(*labels).inc()
        logger.error("a scheduled task could not be enqueued: %s", e, extra=fields)
        return False
    except UnavailableError:
        raise
    except AsyncJobsError as e:
        metrics.SCHEDULE_ERRORS.labels(*labels).inc()
        logger.error("a scheduled task could not be made: %s", e, extra=fields)
        return False
    late_s = (time.time_ns() - run.due_ns) / SECOND_NS
    metrics.SCHEDULED.labels(*labels).inc()
    metrics.LATENESS.observe(late_s)
    logger.info("task scheduled", extra=fields | {"late_s": round(late_s, 3)})
    return True


async def _complete(client: Client, task_id: str, queue: str) -> None:
    """Put the item of a task that was stored by somebody who may have died before putting it."""
    with suppress(TaskNotFoundError):
        task = (await client.storage.tasks.load(task_id)).task
        if task.state is TaskState.NEW:
            with suppress(DuplicateItemError, QueueNotFoundError, QueueFullError):
                await client.storage.items.put(queue, task_id, again=False)
