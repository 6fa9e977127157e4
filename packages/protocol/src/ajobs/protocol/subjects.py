"""Every name on the NATS server: streams, consumers, buckets and their keys, subjects, and the server's own API.

No other module spells one. The names are those of Choria Async Jobs and never change; what only ajobs uses says so.
"""

from __future__ import annotations

# ---- tasks and queues

TASKS_STREAM = "CHORIA_AJ_TASKS"
TASKS_SUBJECTS = "CHORIA_AJ.T.*"
TASK_PREFIX = "CHORIA_AJ.T."

QUEUE_STREAM_PREFIX = "CHORIA_AJ_Q_"
QUEUE_PREFIX = "CHORIA_AJ.Q."
ALL_ITEMS = "CHORIA_AJ.Q.>"
QUEUE_CONSUMER = "WORKERS"
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


# ---- events and remote handlers

ALL_EVENTS = "CHORIA_AJ.E.>"
ALL_TASK_STATE_EVENTS = "CHORIA_AJ.E.task_state.*"
TASK_STATE_EVENT_PREFIX = "CHORIA_AJ.E.task_state."
ALL_LEADER_EVENTS = "CHORIA_AJ.E.leader_election.>"
LEADER_EVENT_PREFIX = "CHORIA_AJ.E.leader_election."

REMOTE_HANDLER_PREFIX = "CHORIA_AJ.H.T."
REMOTE_CATCH_ALL = "catchall"


def task_state_subject(task_id: str) -> str:
    """Return the subject on which state changes of a task are announced."""
    return TASK_STATE_EVENT_PREFIX + task_id


def leader_subject(component: str) -> str:
    """Return the subject on which a component's new leader is announced."""
    return LEADER_EVENT_PREFIX + component


def remote_handler_subject(task_type: str) -> str:
    """Return the subject on which remote handlers for a task type listen; ``""`` is every type."""
    return REMOTE_HANDLER_PREFIX + (task_type or REMOTE_CATCH_ALL)


# ---- buckets and their keys

CONFIGURATION_BUCKET = "CHORIA_AJ_CONFIGURATION"
SCHEDULE_KEY_PREFIX = "scheduled_tasks."
SCHEDULE_OPTIONS_PREFIX = "asyncjobs.schedule_options."
"""Used by ajobs only: Choria Async Jobs ignores keys outside `SCHEDULE_KEY_PREFIX`."""
SCHEDULER_PROGRESS_KEY = "asyncjobs.scheduler_progress"
"""Used by ajobs only."""

ELECTIONS_BUCKET = "CHORIA_AJ_ELECTIONS"
SCHEDULER_ELECTION = "task_scheduler"

WORKERS_BUCKET = "CHORIA_AJ_WORKERS"
"""Used by ajobs only: the presence of workers."""

IDEMPOTENCY_BUCKET = "CHORIA_AJ_IDEMPOTENCY"
"""Used by ajobs only: idempotency keys."""


def schedule_key(name: str) -> str:
    """Return the key of a schedule in the configuration bucket."""
    return SCHEDULE_KEY_PREFIX + name


def schedule_options_key(name: str) -> str:
    """Return the key of a schedule's options, which Choria Async Jobs does not have."""
    return SCHEDULE_OPTIONS_PREFIX + name


def bucket_stream(bucket: str) -> str:
    """Return the name of the stream that holds a key-value bucket."""
    return f"KV_{bucket}"


def key_subject(bucket: str, key: str) -> str:
    """Return the subject of a key in a bucket; with the key ``>``, of all its keys."""
    return f"$KV.{bucket}.{key}"


# ---- JetStream

DEFAULT_API_PREFIX = "$JS.API"
MAX_DELIVERIES_ADVISORIES = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>"
"""The server's announcements that it will not deliver an item again."""


def domain_api_prefix(domain: str) -> str:
    """Return the prefix of JetStream's API in a domain."""
    return f"$JS.{domain}.API"
