"""Queues, and the configuration of their streams and consumers on the server."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from ajobs.protocol.durations import Duration, as_ns, as_timedelta, from_ns
from ajobs.protocol.errors import ConfigurationError
from ajobs.protocol.names import check_name
from ajobs.protocol.subjects import (
    DEFAULT_QUEUE,
    QUEUE_CONSUMER,
    TASKS_STREAM,
    TASKS_SUBJECTS,
    queue_stream,
    queue_subjects,
)

UNLIMITED = -1
MAX_REPLICAS = 5
_HOUR = timedelta(hours=1)

StreamConfig = dict[str, Any]
"""The configuration of a stream or consumer, as the JSON of the server has it."""


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """A queue's settings. They apply when the queue is created; an existing queue keeps its own."""

    name: str
    max_age: timedelta = timedelta(0)
    """How long a work item may wait; 0: without limit."""
    max_entries: int = 0
    """How many work items fit; 0: no limit."""
    discard_old: bool = False
    """Whether a full queue drops its oldest item; otherwise it refuses the new one."""
    max_tries: int = UNLIMITED
    """How often the server delivers an item; -1: no limit but the task's own."""
    max_run_time: timedelta = _HOUR
    """How long a handler may take. After that time the item of a lost worker is delivered again."""
    max_concurrent: int = 100
    """Running tasks, and delivered tasks that wait for a retry or for parents, of all workers together."""

    if TYPE_CHECKING:
        # Durations are given in any form that `Duration` has, and read as a timedelta.
        def __init__(  # noqa: PLR0913 - each setting
            self,
            *,
            name: str,
            max_age: Duration = ...,
            max_entries: int = ...,
            discard_old: bool = ...,
            max_tries: int = ...,
            max_run_time: Duration = ...,
            max_concurrent: int = ...,
        ) -> None: ...

    def __post_init__(self) -> None:
        """Convert durations, and refuse settings that the server would refuse, or that could never run a task.

        Raises:
            InvalidNameError: The name is not valid.
            InvalidDurationError: ``max_age`` or ``max_run_time`` is not a duration.
            ConfigurationError: A number or duration is out of range.
        """
        check_name("queue name", self.name)
        msgspec.structs.force_setattr(self, "max_age", as_timedelta(self.max_age, "max_age"))
        max_run_time = as_timedelta(self.max_run_time, "max_run_time", positive=True)
        msgspec.structs.force_setattr(self, "max_run_time", max_run_time)
        for field, value, least in (
            ("max_entries", self.max_entries, UNLIMITED),
            ("max_tries", self.max_tries, UNLIMITED),
            ("max_concurrent", self.max_concurrent, UNLIMITED),
        ):
            if value < least:
                msg = f"queue {self.name}: invalid {field} {value}: use {least} or more"
                raise ConfigurationError(msg)


def default_queue() -> Queue:
    """Return the settings of the queue for tasks that name no queue."""
    return Queue(name=DEFAULT_QUEUE, max_tries=100, max_run_time=timedelta(minutes=1), max_concurrent=100)


def tasks_stream_config(*, replicas: int, memory: bool, retention_ns: int) -> StreamConfig:
    """Return the configuration of the stream that stores tasks.

    Args:
        replicas: On how many servers it is stored, 1 to 5.
        memory: Whether it is stored in memory instead of in files.
        retention_ns: Nanoseconds for which a task is kept after its last change; 0: until it is deleted.
    """
    return {
        "name": TASKS_STREAM,
        "description": "Choria Async Jobs Tasks",
        "subjects": [TASKS_SUBJECTS],
        "retention": "limits",
        "discard": "old",
        "max_consumers": UNLIMITED,
        "max_msgs": UNLIMITED,
        "max_bytes": UNLIMITED,
        "max_msg_size": UNLIMITED,
        "max_msgs_per_subject": 1,
        "max_age": retention_ns,
        "num_replicas": replicas,
        # Any replica can then answer reads of a task by its subject, and the leader is not needed.
        "allow_direct": True,
        "storage": "memory" if memory else "file",
    }


def queue_stream_config(queue: Queue, *, replicas: int, memory: bool) -> StreamConfig:
    """Return the configuration of a queue's stream."""
    return {
        "name": queue_stream(queue.name),
        "description": "Choria Async Jobs Work Queue",
        "subjects": [queue_subjects(queue.name)],
        "retention": "workqueue",
        "discard": "old" if queue.discard_old else "new",
        "max_consumers": UNLIMITED,
        "max_msgs": queue.max_entries or UNLIMITED,
        "max_bytes": UNLIMITED,
        "max_msg_size": UNLIMITED,
        "max_msgs_per_subject": 1,
        "max_age": as_ns(queue.max_age),
        "num_replicas": replicas,
        "storage": "memory" if memory else "file",
    }


def queue_consumer_config(queue: Queue) -> StreamConfig:
    """Return the configuration of a queue's consumer."""
    return {
        "durable_name": QUEUE_CONSUMER,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": as_ns(queue.max_run_time),
        "max_deliver": queue.max_tries or UNLIMITED,
        "max_ack_pending": queue.max_concurrent,
        "replay_policy": "instant",
    }


def queue_from_config(name: str, stream: StreamConfig, consumer: StreamConfig) -> Queue:
    """Return the settings of a queue on the server."""
    return Queue(
        name=name,
        max_age=from_ns(stream.get("max_age", 0)),
        max_entries=max(stream.get("max_msgs", 0), 0),
        discard_old=stream.get("discard", "old") == "old",
        max_tries=consumer.get("max_deliver", UNLIMITED),
        # A consumer without acknowledgements, which another program created, has none.
        max_run_time=from_ns(consumer.get("ack_wait", 0)) or _HOUR,
        max_concurrent=consumer.get("max_ack_pending", 0),
    )
