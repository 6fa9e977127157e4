"""The metrics and the log of runs.

Metrics have the names of Choria Async Jobs. The log has one line for the start of each run and one for its end, with
their facts as fields: ``task_id``, ``task_type``, ``queue`` and ``tries``, and at the end ``outcome`` (the new state of
the task), ``duration_s``, ``error``, and ``delay_s`` until the next try. Payloads and results are never logged.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any, Protocol
from weakref import WeakSet

from prometheus_client import Gauge

from ajobs.client.observability.counters import Distribution
from ajobs.client.observability.metrics import NAMESPACE, counter, labelled
from ajobs.protocol.decisions import Failed, Outcome, Terminated
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.states import TaskState
from ajobs.protocol.task import Task
from ajobs.protocol.timestamps import parse_timestamp

logger = logging.getLogger("ajobs.task")


class Busy(Protocol):
    """An object that knows the running handlers."""

    @property
    def running(self) -> Sequence[Task]:
        """The tasks whose handlers are running."""
        ...


# ---- metrics that Choria Async Jobs has too

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600)

ITEMS_CORRUPT = counter("queue_item_corrupt_error_count", "Work items that could not be read", "queue")
TASKS_NOT_FOUND = counter("queue_task_not_found_error_count", "Work items whose task could not be loaded", "queue")
PAST_DEADLINE = counter("queue_task_past_deadline_count", "Work items whose task was past its deadline", "queue")
PAST_MAX_TRIES = counter("queue_task_past_max_tries_count", "Work items whose task had no tries left", "queue")
POLLS = counter("queue_poll_total", "Requests for work items", "queue")
POLL_ERRORS = counter("queue_poll_error_total", "Requests for work items that failed", "queue")
DEPENDENCIES_FAILED = counter("task_dependencies_failed", "Tasks whose dependencies failed")
HANDLER_ERRORS = counter("handler_error_total", "Handlers that raised", "queue", "type")
HANDLERS_BUSY = Gauge("handler_busy_count", "Handlers that are running", namespace=NAMESPACE)
BUSY: WeakSet[Busy] = WeakSet()
"""The executions whose running handlers `HANDLERS_BUSY` adds up."""
HANDLERS_BUSY.set_function(lambda: sum(len(each.running) for each in list(BUSY)))
HANDLER_RUNTIME = Distribution(
    f"{NAMESPACE}_handler_runtime", "Seconds that handlers took", "queue", "type", buckets=BUCKETS_S
)

# ---- metrics of our own

TASK_WAIT = Distribution(
    f"{NAMESPACE}_task_wait_seconds",
    "Seconds from the creation of a task without dependencies to its first start",
    "queue",
    "type",
    buckets=BUCKETS_S,
)
REFUSED = counter("task_refused_count", "Tasks refused because of their signature or queue", "queue")
PREFETCHED = Gauge("queue_prefetched_items", "Work items that wait in the worker", ("queue",), namespace=NAMESPACE)
RUNNING = Gauge("queue_running_items", "Work items that occupy a slot", ("queue",), namespace=NAMESPACE)


# ---- the course of a run


def run_started(task: Task, label: str) -> None:
    """Log the start of a run, and record how long a new task waited for it; ``label`` is its type for metrics."""
    if logger.isEnabledFor(logging.INFO):
        logger.info("task started", extra=_fields(task))
    if task.tries == 1 and not task.dependencies:
        TASK_WAIT.observe((time.time_ns() - parse_timestamp(task.created)) / SECOND_NS, task.queue, label)


def handler_ended(task: Task, label: str, outcome: Outcome, seconds: float) -> None:
    """Record how long a handler ran, and whether it failed; ``label`` is the task's type for metrics."""
    HANDLER_RUNTIME.observe(seconds, task.queue, label)
    if isinstance(outcome, Failed | Terminated):
        labelled(HANDLER_ERRORS, task.queue, label).inc()


def run_ended(task: Task, delay_ns: int, seconds: float, error: BaseException | None) -> None:
    """Log the end of a run.

    Args:
        task: The task as saved at the end.
        delay_ns: Nanoseconds until the next try; 0 without one.
        seconds: How long the run took.
        error: An exception that the handler did not raise on purpose, to log with its traceback.
    """
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
