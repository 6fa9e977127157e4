"""Prometheus metrics of producers and storage, under the names that Choria Async Jobs uses.

The Prometheus library adds ``_total`` to the name of a counter that does not end so.
"""

from __future__ import annotations

from functools import cache
from typing import TypeVar

from prometheus_client import Counter, Histogram

from ajobs.client.observability.counters import Tally

M = TypeVar("M", Counter, Histogram)

NAMESPACE = "choria_asyncjobs"


def counter(name: str, text: str, *labels: str) -> Counter:
    """Register a counter in the project's namespace."""
    return Counter(name, text, labels, namespace=NAMESPACE)


ENQUEUED = Tally(f"{NAMESPACE}_queue_enqueue_count", "Work items put into a queue", "queue")
ENQUEUE_ERRORS = counter("queue_enqueue_error_count", "Work items that a queue did not take", "queue")
TASK_UPDATES = Tally(f"{NAMESPACE}_task_update", "Tasks saved", "state")
TASK_UPDATE_ERRORS = counter("task_update_error_total", "Tasks that could not be saved")


@cache
def labelled(metric: M, *labels: str) -> M:
    """Return the metric for these labels; looking it up in the metric itself takes a lock each time."""
    return metric.labels(*labels)
