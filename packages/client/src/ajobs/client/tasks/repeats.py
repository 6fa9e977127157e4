"""Decides whether enqueuing a task is a repeat of an earlier call with the same id."""

from __future__ import annotations

import time

from ajobs.protocol.errors import TaskAlreadyExistsError
from ajobs.protocol.states import TaskState
from ajobs.protocol.task import Task, deadline_ns, is_past_deadline
from ajobs.protocol.timestamps import parse_timestamp

_NOT_STARTED = frozenset({TaskState.NEW, TaskState.BLOCKED, TaskState.RETRY, TaskState.QUEUE_ERROR})


def check_repeatable(stored: Task, task: Task) -> None:
    """Accept a task whose content is that of the stored one with its id, if that was never started.

    Raises:
        TaskAlreadyExistsError: It has other content, was started, or is past its deadline.
    """
    if not same_content(stored, task):
        msg = f"task {task.id} already exists with other content: use a different id, or load and retry it"
        raise TaskAlreadyExistsError(msg)
    if stored.tries or stored.state not in _NOT_STARTED:
        msg = f"task {task.id} already exists and is {stored.state}: use a different id, or load and retry it"
        raise TaskAlreadyExistsError(msg)
    if is_past_deadline(stored, time.time_ns()):
        msg = f"task {task.id} already exists and is past its deadline of {stored.deadline}: use a different id"
        raise TaskAlreadyExistsError(msg)


def same_content(one: Task, other: Task) -> bool:
    """Return whether two tasks ask for the same work. The time of creation and the signature do not matter."""
    return _content(one) == _content(other) and (
        deadline_ns(one) == deadline_ns(other) or _time_to_start_ns(one) == _time_to_start_ns(other)
    )


def _content(task: Task) -> tuple[object, ...]:
    return (
        task.id,
        task.type,
        task.queue,
        task.payload or b"",
        task.dependencies or (),
        task.load_dependencies,
        task.max_tries,
    )


def _time_to_start_ns(task: Task) -> int | None:
    """Return the deadline as a duration after the creation, which two calls with a relative deadline share."""
    deadline = deadline_ns(task)
    return None if deadline is None else deadline - parse_timestamp(task.created)
