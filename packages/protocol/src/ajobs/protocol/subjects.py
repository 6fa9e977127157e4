"""Names of streams, buckets, consumers and subjects on the NATS server."""

from __future__ import annotations

TASKS_STREAM = "CHORIA_AJ_TASKS"
TASKS_SUBJECTS = "CHORIA_AJ.T.*"
TASK_PREFIX = "CHORIA_AJ.T."

QUEUE_STREAM_PREFIX = "CHORIA_AJ_Q_"
QUEUE_PREFIX = "CHORIA_AJ.Q."
ALL_ITEMS = "CHORIA_AJ.Q.>"
QUEUE_CONSUMER = "WORKERS"

CONFIGURATION_BUCKET = "CHORIA_AJ_CONFIGURATION"
SCHEDULE_KEY_PREFIX = "scheduled_tasks."
SCHEDULE_OPTIONS_PREFIX = "asyncjobs.schedule_options."
SCHEDULER_PROGRESS_KEY = "asyncjobs.scheduler_progress"
"""Of our own, in the same bucket, where the original does not look."""
ELECTIONS_BUCKET = "CHORIA_AJ_ELECTIONS"
WORKERS_BUCKET = "CHORIA_AJ_WORKERS"
"""Of our own: what workers tell about themselves."""
IDEMPOTENCY_BUCKET = "CHORIA_AJ_IDEMPOTENCY"
"""Of our own: the keys with which tasks are enqueued over HTTP."""
SCHEDULER_ELECTION = "task_scheduler"

ALL_EVENTS = "CHORIA_AJ.E.>"
ALL_TASK_STATE_EVENTS = "CHORIA_AJ.E.task_state.*"
TASK_STATE_EVENT_PREFIX = "CHORIA_AJ.E.task_state."
ALL_LEADER_EVENTS = "CHORIA_AJ.E.leader_election.>"
LEADER_EVENT_PREFIX = "CHORIA_AJ.E.leader_election."

REMOTE_HANDLER_PREFIX = "CHORIA_AJ.H.T."
REMOTE_CATCH_ALL = "catchall"

DEFAULT_QUEUE = "DEFAULT"


def task_subject(task_id: str) -> str:
    """Return the subject whose newest message is the task."""
    return TASK_PREFIX + task_id


def queue_stream(queue: str) -> str:
    """Return the name of a queue's stream."""
    return QUEUE_STREAM_PREFIX + queue


def queue_subjects(queue: str) -> str:
    """Return the wildcard for all work items of a queue."""
    return f"{QUEUE_PREFIX}{queue}.>"


def item_subject(queue: str, task_id: str) -> str:
    """Return the subject of the work item for a task in a queue."""
    return f"{QUEUE_PREFIX}{queue}.{task_id}"


def task_state_subject(task_id: str) -> str:
    """Return the subject on which state changes of a task are announced."""
    return TASK_STATE_EVENT_PREFIX + task_id


def leader_subject(component: str) -> str:
    """Return the subject on which a component's new leader is announced."""
    return LEADER_EVENT_PREFIX + component


def remote_handler_subject(task_type: str) -> str:
    """Return the subject on which remote handlers for a task type listen; ``""`` is every type."""
    return REMOTE_HANDLER_PREFIX + (task_type or REMOTE_CATCH_ALL)


def schedule_key(name: str) -> str:
    """Return the key of a schedule in the configuration bucket."""
    return SCHEDULE_KEY_PREFIX + name


def schedule_options_key(name: str) -> str:
    """Return the key of what a schedule has beyond the original."""
    return SCHEDULE_OPTIONS_PREFIX + name
