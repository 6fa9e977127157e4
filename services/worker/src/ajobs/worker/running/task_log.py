"""One line of log for each start of a task and one for each end.

The records carry what there is to know as fields: ``task_id``, ``task_type``, ``queue``, ``tries``, and at the end
``outcome`` (the state that the task is in now), ``duration_s``, ``error`` and ``delay_s`` until the next try. The
payload and the result are never among them.
"""

from __future__ import annotations

import logging
from typing import Any

from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.states import TaskState
from ajobs.protocol.task import Task

logger = logging.getLogger("ajobs.task")


def log_start(task: Task) -> None:
    """Log that a handler gets a task."""
    if logger.isEnabledFor(logging.INFO):
        logger.info("task started", extra=_fields(task))


def log_end(task: Task, delay_ns: int, seconds: float, error: BaseException | None) -> None:
    """Log what became of a task, with the traceback when its handler raised what it did not mean to."""
    level = logging.INFO if task.state is TaskState.COMPLETE or not task.last_err else logging.WARNING
    if not logger.isEnabledFor(level):
        return
    more: dict[str, Any] = {"outcome": task.state.value, "duration_s": round(seconds, 6)}
    if task.last_err:
        more["error"] = task.last_err
    if delay_ns:
        more["delay_s"] = round(delay_ns / SECOND_NS, 3)
    logger.log(level, "task ended", extra=_fields(task) | more, exc_info=error)


def _fields(task: Task) -> dict[str, Any]:
    return {"task_id": task.id, "task_type": task.type, "queue": task.queue, "tries": task.tries}
