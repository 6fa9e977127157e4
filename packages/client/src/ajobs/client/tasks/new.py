"""Making tasks from what producers have at hand: Python values, times and other tasks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypedDict, Unpack

from ajobs.client.identifiers import new_id
from ajobs.protocol.codec import encode_payload
from ajobs.protocol.durations import Duration, as_ns
from ajobs.protocol.errors import ConfigurationError
from ajobs.protocol.names import check_name
from ajobs.protocol.task import DEFAULT_MAX_TRIES, Task, new_task
from ajobs.protocol.timestamps import unix_ns


class TaskOptions(TypedDict, total=False):
    """The options of a new task, next to its type and payload."""

    queue: str | None
    """The queue's name; without it the client's."""
    task_id: str | None
    """An id of your own, so that repeated calls with the same content enqueue one task."""
    deadline: datetime | Duration | None
    """The time after which it may no longer start: a time with a time zone, or a duration from now on."""
    max_tries: int
    """The number of tries, 10 by default; 0 for no limit."""
    depends_on: Iterable[Task | str]
    """Tasks, or their ids, that have to complete first."""
    load_dependencies: bool
    """Whether the handler gets their results."""
    encoder: Callable[[Any], bytes] | None
    """Turns the payload into bytes instead of msgspec."""


_OPTIONS = TaskOptions.__optional_keys__


def make_task(task_type: str, payload: Any, **options: Unpack[TaskOptions]) -> Task:
    """Create a task without storing it. See `Client.new_task`."""
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


def _deadline_ns(deadline: datetime | Duration, now_ns: int) -> int:
    return unix_ns(deadline) if isinstance(deadline, datetime) else now_ns + as_ns(deadline, "deadline", signed=True)
