"""Prometheus metrics of workers, under the original's names."""

from __future__ import annotations

from collections.abc import Sized
from typing import Protocol
from weakref import WeakSet

from prometheus_client import Gauge

from ajobs.client.observability.counters import Distribution
from ajobs.client.observability.metrics import NAMESPACE, counter


class Busy(Protocol):
    """One who runs handlers."""

    @property
    def running(self) -> Sized:
        """What it runs right now."""
        ...


BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600)

ITEMS_CORRUPT = counter("queue_item_corrupt_error_count", "Work items that could not be read", "queue")
TASKS_NOT_FOUND = counter("queue_task_not_found_error_count", "Work items whose task could not be loaded", "queue")
PAST_DEADLINE = counter("queue_task_past_deadline_count", "Work items whose task was past its deadline", "queue")
PAST_MAX_TRIES = counter("queue_task_past_max_tries_count", "Work items whose task had no tries left", "queue")
POLLS = counter("queue_poll_total", "Requests for work items", "queue")
POLL_ERRORS = counter("queue_poll_error_total", "Requests for work items that failed", "queue")
DEPENDENCIES_FAILED = counter("task_dependencies_failed", "Tasks whose dependencies failed")
HANDLER_ERRORS = counter("handler_error_total", "Handlers that raised", "queue", "type")
HANDLERS_BUSY = Gauge("handler_busy_count", "Handlers that run right now", namespace=NAMESPACE)
BUSY: WeakSet[Busy] = WeakSet()
"""Who is asked how many handlers run right now."""
HANDLERS_BUSY.set_function(lambda: sum(len(each.running) for each in list(BUSY)))
HANDLER_RUNTIME = Distribution(
    f"{NAMESPACE}_handler_runtime", "Seconds that handlers took", "queue", "type", buckets=BUCKETS_S
)

# What follows the original does not have.
TASK_WAIT = Distribution(
    f"{NAMESPACE}_task_wait_seconds",
    "Seconds from the making of a task without dependencies to its first start",
    "queue",
    "type",
    buckets=BUCKETS_S,
)
REFUSED = counter("task_refused_count", "Tasks that were not run because of their signature", "queue")
PREFETCHED = Gauge("queue_prefetched_items", "Work items here that wait for a slot", ("queue",), namespace=NAMESPACE)
RUNNING = Gauge("queue_running_items", "Work items that have a slot", ("queue",), namespace=NAMESPACE)
