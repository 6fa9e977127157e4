"""Prometheus metrics of workers, under the original's names."""

from __future__ import annotations

from prometheus_client import Gauge, Summary

from asyncjobs.client.metrics import NAMESPACE, counter

ITEMS_CORRUPT = counter("queue_item_corrupt_error_count", "Work items that could not be read", "queue")
TASKS_NOT_FOUND = counter("queue_task_not_found_error_count", "Work items whose task could not be loaded", "queue")
PAST_DEADLINE = counter("queue_task_past_deadline_count", "Work items whose task was past its deadline", "queue")
PAST_MAX_TRIES = counter("queue_task_past_max_tries_count", "Work items whose task had no tries left", "queue")
POLLS = counter("queue_poll_total", "Requests for work items", "queue")
POLL_ERRORS = counter("queue_poll_error_total", "Requests for work items that failed", "queue")
DEPENDENCIES_FAILED = counter("task_dependencies_failed", "Tasks whose dependencies failed")
HANDLER_ERRORS = counter("handler_error_total", "Handlers that raised", "queue", "type")
HANDLERS_BUSY = Gauge("handler_busy_count", "Handlers that run right now", namespace=NAMESPACE)
HANDLER_RUNTIME = Summary("handler_runtime", "Seconds that handlers took", ("queue", "type"), namespace=NAMESPACE)
