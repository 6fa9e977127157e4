"""Events: announcements on plain NATS subjects. They are not stored."""

from __future__ import annotations

import msgspec

from ajobs.protocol.ids import parse_ksuid
from ajobs.protocol.names import check_name, check_stored_queue
from ajobs.protocol.states import TaskState
from ajobs.protocol.task import Count, Int64, Task
from ajobs.protocol.timestamps import Timestamp, format_second, parse_timestamp

TASK_STATE_EVENT = "io.choria.asyncjobs.v1.task_state"
LEADER_EVENT = "io.choria.asyncjobs.v1.leader_elected"


class TaskStateEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A task changed its state."""

    event_id: str
    type: str = msgspec.field(default_factory=lambda: TASK_STATE_EVENT)
    timestamp: Timestamp
    task_id: str
    state: TaskState
    tries: Count = msgspec.field(default_factory=int)
    queue: str = ""
    task_type: str
    last_error: str = ""
    task_age: Int64 = 0
    """Nanoseconds since the task was created."""


class LeaderEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A process won an election."""

    event_id: str
    type: str = LEADER_EVENT
    timestamp: Timestamp
    name: str
    component: str


Event = TaskStateEvent | LeaderEvent


def check_event(event: Event) -> Event:
    """Return an event that was read if its names and its time can be used.

    Raises:
        InvalidNameError: The task's id, type or queue is not a valid name.
        InvalidTimestampError: The time is not RFC 3339.
    """
    parse_timestamp(event.timestamp)
    if isinstance(event, TaskStateEvent):
        check_name("task id", event.task_id)
        check_name("task type", event.task_type)
        check_stored_queue(event.queue)
    return event


def task_state_event(task: Task, *, event_id: str, unix_s: int, now_ns: int) -> TaskStateEvent:
    """Return the event for the current state of a task.

    Args:
        task: The task as it was saved.
        event_id: A KSUID of second ``unix_s``.
        unix_s: That second, which is the event's timestamp.
        now_ns: Nanoseconds since 1970, for the task's age.
    """
    return TaskStateEvent(
        event_id=event_id,
        timestamp=format_second(unix_s),
        task_id=task.id,
        state=task.state,
        tries=task.tries,
        queue=task.queue,
        task_type=task.type,
        last_error=task.last_err,
        task_age=max(0, now_ns - parse_timestamp(task.created)),
    )


def leader_event(name: str, component: str, *, event_id: str) -> LeaderEvent:
    """Return the event that ``name`` now leads ``component``."""
    timestamp = format_second(parse_ksuid(event_id).unix_s)
    return LeaderEvent(event_id=event_id, timestamp=timestamp, name=name, component=component)
