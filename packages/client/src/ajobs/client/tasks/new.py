"""Making tasks from what producers have at hand: Python values, times and other tasks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict, Unpack

from ajobs.client.identifiers import new_id
from ajobs.protocol.codec import encode_payload
from ajobs.protocol.durations import MICROSECOND_NS
from ajobs.protocol.errors import ConfigurationError
from ajobs.protocol.names import check_name
from ajobs.protocol.task import DEFAULT_MAX_TRIES, Task, new_task

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class TaskOptions(TypedDict, total=False):
    """What a task can be given beside its type and payload."""

    queue: str | None
    """The queue's name; without it the client's."""
    task_id: str | None
    """An id of your own, to have a second task by that id refused."""
    deadline: datetime | timedelta | None
    """When it is no longer started: a time with a zone, or a span from now on."""
    max_tries: int
    """How often it may be started, 10 unless given; 0 is no limit."""
    depends_on: Iterable[Task | str]
    """Tasks, or their ids, that have to complete first."""
    load_dependencies: bool
    """Whether the handler gets their results."""
    encoder: Callable[[Any], bytes] | None
    """Turns the payload into bytes instead of msgspec."""


_OPTIONS = TaskOptions.__optional_keys__


def make_task(task_type: str, payload: Any, **options: Unpack[TaskOptions]) -> Task:
    """Make a task without storing it. See `Client.new_task`."""
    if not options.keys() <= _OPTIONS:
        unknown = ", ".join(sorted(options.keys() - _OPTIONS))
        msg = f"unknown task option {unknown}: use some of {', '.join(sorted(_OPTIONS))}"
        raise ConfigurationError(msg)
    now_ns = time.time_ns()
    encoder = options.get("encoder") or encode_payload
    data = None if payload is None else encoder(payload)
    if not options:
        return new_task(task_type, data, task_id=new_id(), now_ns=now_ns)
    deadline = options.get("deadline")
    queue = options.get("queue")
    return new_task(
        task_type,
        data,
        task_id=options.get("task_id") or new_id(),
        now_ns=now_ns,
        queue="" if queue is None else check_name("queue name", queue),
        deadline_ns=None if deadline is None else _deadline_ns(deadline, now_ns),
        max_tries=options.get("max_tries", DEFAULT_MAX_TRIES),
        dependencies=[parent if isinstance(parent, str) else parent.id for parent in options.get("depends_on", ())],
        load_dependencies=options.get("load_dependencies", False),
    )


def _deadline_ns(deadline: datetime | timedelta, now_ns: int) -> int:
    if isinstance(deadline, timedelta):
        return now_ns + deadline // _MICROSECOND * MICROSECOND_NS
    return unix_ns(deadline)


def unix_ns(moment: datetime) -> int:
    """Return the nanoseconds since 1970 of a time that has a zone.

    Raises:
        ConfigurationError: It has none, so nobody knows which moment it is.
    """
    if moment.tzinfo is None:
        msg = f"the time {moment.isoformat()} has no zone: use datetime.now(UTC), or set its tzinfo"
        raise ConfigurationError(msg)
    return (moment - _EPOCH) // _MICROSECOND * MICROSECOND_NS
