"""Tasks and their results: immutable values. A change creates a new one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

import msgspec

from ajobs.protocol.errors import ConfigurationError
from ajobs.protocol.names import check_name, check_stored_names
from ajobs.protocol.states import TaskState
from ajobs.protocol.timestamps import Timestamp, format_timestamp, parse_datetime, parse_timestamp

DEFAULT_MAX_TRIES = 10
MAX_DEPENDENCIES = 1_000
"""Parents of a task at most. A worker loads all of them before it starts the task."""

_LARGEST = (1 << 63) - 1
Int64 = Annotated[int, msgspec.Meta(ge=-_LARGEST - 1, le=_LARGEST)]
"""A number that Go can hold."""
Count = Annotated[int, msgspec.Meta(ge=0, le=_LARGEST)]
"""A number from 0 on that Go can hold."""

JSON_NULL = msgspec.Raw(b"null")


class Result(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The JSON value that a handler returned, and the time at which it did."""

    payload: msgspec.Raw = msgspec.field(default_factory=lambda: JSON_NULL)
    completed: Timestamp


class Task(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One unit of work, as it is stored. Field order and omissions are those of Go's encoder.

    Times are kept as the text that was read, so that nothing is rounded; `created_time` and the properties after it
    return them as ``datetime``.
    """

    id: str
    type: str
    # A default_factory keeps omit_defaults from leaving out a field that Go always writes.
    queue: str = msgspec.field(default_factory=str)
    dependencies: tuple[str, ...] | None = None
    dependency_results: dict[str, Result | None] | None = None
    load_dependencies: bool = False
    payload: bytes | None = msgspec.field(default_factory=lambda: None)
    deadline: Timestamp | None = None
    max_tries: Int64 = msgspec.field(default_factory=int)
    result: Result | None = None
    state: TaskState
    created: Timestamp
    tried: Timestamp | None = None
    tries: Count = msgspec.field(default_factory=int)
    last_err: str = ""
    signature: str = ""

    @property
    def created_time(self) -> datetime:
        """When the task was created, in UTC, cut to microseconds."""
        return parse_datetime(self.created)

    @property
    def deadline_time(self) -> datetime | None:
        """The time after which the task cannot start, in UTC, cut to microseconds; ``None``: no deadline."""
        return None if self.deadline is None else parse_datetime(self.deadline)

    @property
    def tried_time(self) -> datetime | None:
        """When a handler was last started, in UTC, cut to microseconds; ``None``: never."""
        return None if self.tried is None else parse_datetime(self.tried)

    def is_out_of_tries(self) -> bool:
        """Return whether the task has used up its tries. ``max_tries`` 0 means no limit."""
        return 0 < self.max_tries <= self.tries


def check_task(task: Task) -> Task:
    """Return a task that was read if its names and times can be used, so that no later step fails on them.

    Raises:
        InvalidNameError: The id, the type, the queue or a dependency is not a valid name.
        InvalidTimestampError: A time is not RFC 3339.
        ConfigurationError: It has too many dependencies.
    """
    check_stored_names(task.id, task.type, task.queue)
    if task.dependencies is not None:
        _check_count(task.dependencies)
        for parent_id in task.dependencies:
            check_name("dependency", parent_id)
    parse_timestamp(task.created)
    if task.tried is not None:
        parse_timestamp(task.tried)
    if task.deadline is not None:
        parse_timestamp(task.deadline)
    if task.result is not None:
        _check_result(task.result)
    if task.dependency_results is not None:
        for result in task.dependency_results.values():
            if result is not None:
                _check_result(result)
    return task


def _check_count(parents: tuple[str, ...]) -> None:
    if len(parents) > MAX_DEPENDENCIES:
        msg = f"invalid number of dependencies {len(parents):,}: use up to {MAX_DEPENDENCIES:,}"
        raise ConfigurationError(msg)


def _check_result(result: Result) -> None:
    parse_timestamp(result.completed)
    # msgspec passes on the bytes of a raw value without checking their encoding.
    bytes(result.payload).decode()


def deadline_ns(task: Task) -> int | None:
    """Return the nanoseconds since 1970 after which a task cannot start, or ``None`` without a deadline."""
    return None if task.deadline is None else parse_timestamp(task.deadline)


def tried_ns(task: Task) -> int | None:
    """Return the nanoseconds since 1970 at which a handler was last started, or ``None`` before the first try."""
    return None if task.tried is None else parse_timestamp(task.tried)


def is_past_deadline(task: Task, now_ns: int) -> bool:
    """Return whether a task can no longer start at ``now_ns``, in nanoseconds since 1970."""
    return task.deadline is not None and now_ns > parse_timestamp(task.deadline)


def new_task(  # noqa: PLR0913 - everything that a task can be given
    task_type: str,
    payload: bytes | None,
    *,
    task_id: str,
    now_ns: int,
    queue: str = "",
    deadline_ns: int | None = None,
    max_tries: int = DEFAULT_MAX_TRIES,
    dependencies: Iterable[str] = (),
    load_dependencies: bool = False,
) -> Task:
    """Create a task: ``blocked`` if it depends on others, else ``new``. It is not stored yet.

    Args:
        task_type: Selects the handler.
        payload: The encoded payload; ``None``: no payload.
        task_id: An id that no other task has, normally a KSUID.
        now_ns: Nanoseconds since 1970.
        queue: Its queue. The client sets it when it enqueues the task.
        deadline_ns: Nanoseconds since 1970 after which it cannot start.
        max_tries: How often it can start; 0: no limit.
        dependencies: Ids of its parents, which must complete first; repeated ids count once.
        load_dependencies: Whether it receives their results in ``dependency_results`` when it starts.

    Raises:
        InvalidNameError: The type, the id or a dependency is not a valid name.
        ConfigurationError: ``max_tries`` is negative, or the task depends on itself or on too many others.
    """
    parents = tuple(dict.fromkeys(check_name("dependency", each) for each in dependencies)) if dependencies else ()
    if task_id in parents:
        msg = f"task {task_id} depends on itself: it would never start"
        raise ConfigurationError(msg)
    _check_count(parents)
    if max_tries < 0:
        msg = f"invalid max_tries {max_tries}: use a positive number, or 0 for no limit"
        raise ConfigurationError(msg)
    return Task(
        id=check_name("task id", task_id),
        type=check_name("task type", task_type),
        queue=queue,
        dependencies=parents or None,
        load_dependencies=load_dependencies,
        payload=payload,
        deadline=None if deadline_ns is None else format_timestamp(deadline_ns),
        max_tries=max_tries,
        state=TaskState.BLOCKED if parents else TaskState.NEW,
        created=format_timestamp(now_ns),
    )
