"""Which tasks of the store are wanted."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TypedDict, Unpack

import msgspec

from ajobs.protocol.states import TaskState
from ajobs.protocol.task import Task
from ajobs.protocol.timestamps import parse_timestamp, unix_ns


class TaskFilter(TypedDict, total=False):
    """What a task has to be like; a part that is left out, or ``None``, lets every task through."""

    states: Iterable[TaskState]
    """In one of these states; none given: in any."""
    queue: str | None
    """Of this queue."""
    task_type: str | None
    """Of this type."""
    created_since: datetime | None
    """Made at this time, which has a zone, or later."""


class Matcher(msgspec.Struct, frozen=True):
    """A filter, made ready to look at many tasks."""

    states: frozenset[TaskState]
    queue: str | None
    task_type: str | None
    since_ns: int | None

    @classmethod
    def of(cls, **wanted: Unpack[TaskFilter]) -> Matcher:
        """Return what matches a filter.

        Raises:
            ConfigurationError: The time has no zone.
        """
        since = wanted.get("created_since")
        return cls(
            frozenset(wanted.get("states", ())),
            wanted.get("queue"),
            wanted.get("task_type"),
            None if since is None else unix_ns(since),
        )

    def matches(self, task: Task) -> bool:
        """Tell whether a task is wanted."""
        return (
            (not self.states or task.state in self.states)
            and (self.queue is None or task.queue == self.queue)
            and (self.task_type is None or task.type == self.task_type)
            and (self.since_ns is None or parse_timestamp(task.created) >= self.since_ns)
        )
