"""Filters of tasks: one grammar for the client, the command line and the HTTP API.

`TaskFilter` holds the keyword arguments that a caller passes. `Matcher` is the same filter in the form that is fast to
apply to many tasks. All parts of a filter must match; a part that is left out matches every task.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TypedDict, Unpack

import msgspec

from ajobs.client.tasks.ages import moment_ns
from ajobs.protocol.errors import ConfigurationError
from ajobs.protocol.events import TaskStateEvent
from ajobs.protocol.states import TaskState, parse_state
from ajobs.protocol.task import Task
from ajobs.protocol.timestamps import parse_timestamp

Moment = datetime | timedelta | str
"""A time with a time zone, an age, or a text: an age such as ``90m`` or ``7d``, or an RFC 3339 time."""


class TaskFilter(TypedDict, total=False):
    """Which tasks to select. A part that is left out, ``None`` or empty matches every task."""

    states: Iterable[TaskState | str] | TaskState | str
    """The task is in one of these states. A text may name several, separated by commas."""
    queue: str | Iterable[str] | None
    """The task belongs to this queue, or to one of these."""
    task_type: str | Iterable[str] | None
    """The task is of this type, or of one of these."""
    created_since: Moment | None
    """The task was created then or later."""
    created_before: Moment | None
    """The task was created earlier."""
    tried_since: Moment | None
    """The last try of the task started then or later. Tasks that never started do not match."""
    tried_before: Moment | None
    """The last try of the task started earlier. Tasks that never started do not match."""
    error: str | None
    """The task's last error contains this text, in upper or lower case."""


_PARTS = TaskFilter.__optional_keys__


class Matcher(msgspec.Struct, frozen=True, kw_only=True):
    """A filter that is ready to be applied. Times are in nanoseconds since 1970; empty sets match everything."""

    states: frozenset[TaskState] = frozenset()
    queues: frozenset[str] = frozenset()
    task_types: frozenset[str] = frozenset()
    created_since_ns: int | None = None
    created_before_ns: int | None = None
    tried_since_ns: int | None = None
    tried_before_ns: int | None = None
    error: str = ""

    @classmethod
    def of(cls, **wanted: Unpack[TaskFilter]) -> Matcher:
        """Compile a filter.

        Raises:
            InvalidStateNameError: A state does not exist.
            ConfigurationError: A part of the filter does not exist, a text is not a point in time, or a time has no
                time zone.
        """
        if not wanted.keys() <= _PARTS:
            unknown = ", ".join(map(repr, sorted(wanted.keys() - _PARTS)))
            raise ConfigurationError(f"unknown task filter {unknown}: choose from {', '.join(sorted(_PARTS))}")
        return cls(
            states=parse_states(wanted.get("states", ())),
            queues=_names(wanted.get("queue")),
            task_types=_names(wanted.get("task_type")),
            created_since_ns=_moment("created_since", wanted.get("created_since")),
            created_before_ns=_moment("created_before", wanted.get("created_before")),
            tried_since_ns=_moment("tried_since", wanted.get("tried_since")),
            tried_before_ns=_moment("tried_before", wanted.get("tried_before")),
            error=wanted.get("error") or "",
        )

    @property
    def is_empty(self) -> bool:
        """Whether every task matches."""
        return self == _EMPTY

    def matches(self, task: Task) -> bool:
        """Return whether a task matches."""
        return (
            (not self.states or task.state in self.states)
            and (not self.queues or task.queue in self.queues)
            and (not self.task_types or task.type in self.task_types)
            and _is_between(task.created, self.created_since_ns, self.created_before_ns)
            and _is_between(task.tried, self.tried_since_ns, self.tried_before_ns)
            and (not self.error or self.error.lower() in task.last_err.lower())
        )

    def matches_event(self, event: TaskStateEvent) -> bool:
        """Return whether a state change matches by state, queue and type. An event holds no times of its task."""
        return (
            (not self.states or event.state in self.states)
            and (not self.queues or event.queue in self.queues)
            and (not self.task_types or event.task_type in self.task_types)
        )


_EMPTY = Matcher()


def parse_states(states: Iterable[TaskState | str] | TaskState | str) -> frozenset[TaskState]:
    """Return the named states. A text may name several, separated by commas; `TaskState` values stay as they are.

    Raises:
        InvalidStateNameError: A state does not exist.
    """
    found: set[TaskState] = set()
    for state in (states,) if isinstance(states, str) else states:
        if isinstance(state, TaskState):
            found.add(state)
        else:
            found.update(parse_state(name.strip()) for name in state.split(",") if name.strip())
    return frozenset(found)


def _is_between(moment: str | None, since_ns: int | None, before_ns: int | None) -> bool:
    if since_ns is None and before_ns is None:
        return True
    if moment is None:
        return False
    at_ns = parse_timestamp(moment)
    return (since_ns is None or at_ns >= since_ns) and (before_ns is None or at_ns < before_ns)


def _names(names: str | Iterable[str] | None) -> frozenset[str]:
    if names is None:
        return frozenset()
    return frozenset((names,) if isinstance(names, str) else names)


def _moment(name: str, moment: Moment | None) -> int | None:
    return None if moment is None else moment_ns(name, moment)
