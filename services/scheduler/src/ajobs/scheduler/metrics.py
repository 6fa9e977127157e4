"""Prometheus metrics of schedulers, named as in Choria Async Jobs, which has all of them except the lateness."""

from __future__ import annotations

from prometheus_client import Gauge, Histogram

from ajobs.client.observability.metrics import NAMESPACE, counter

PAUSED = Gauge("task_scheduler_paused", "Whether this scheduler creates no tasks", namespace=NAMESPACE)
SCHEDULES = Gauge("task_scheduler_schedules_total", "Schedules stored", namespace=NAMESPACE)
BROKEN = Gauge("task_scheduler_broken_schedules", "Schedules that cannot be run", namespace=NAMESPACE)
SCHEDULED = counter("task_scheduler_scheduled_count", "Tasks created from schedules", "type", "queue")
SCHEDULE_ERRORS = counter(
    "task_scheduler_schedule_error_count", "Tasks that could not be created or enqueued", "type", "queue"
)
MISSED = counter("task_scheduler_missed_count", "Missed ticks that were skipped", "type", "queue")
LATENESS = Histogram(
    "task_scheduler_lateness_seconds",
    "Seconds from the time a task was due to its enqueuing",
    namespace=NAMESPACE,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 600),
)
CAMPAIGNS = counter("election_campaigns", "Attempts to win or keep leadership", "election", "identity", "state")
ELECTION_LEADER = Gauge(
    "election_leader", "Whether this candidate leads", ("election", "identity"), namespace=NAMESPACE
)
ELECTION_INTERVAL = Gauge(
    "election_interval_seconds", "Seconds between two campaigns", ("election", "identity"), namespace=NAMESPACE
)
