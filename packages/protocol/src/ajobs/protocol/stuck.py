"""Decide how a stuck task ends: a pure function of the task and of its item in the queue.

A task progresses because a work item in a queue refers to it. Four events break that, and none is announced reliably:

- its producer died, or gave up, after it saved the task and before it put the item;
- the queue was purged or deleted, or the item exceeded the queue's max age;
- the server has delivered the item as often as the queue allows, and its last worker died;
- the item was corrupt, and a worker removed it.

The task then stays ``new``, ``active``, ``retry`` or ``blocked`` forever. `examine` returns the task in a final state
with the reason.
"""

from __future__ import annotations

from enum import Enum, auto

import msgspec

from ajobs.protocol.decisions import expire
from ajobs.protocol.durations import as_ns
from ajobs.protocol.queue import Queue
from ajobs.protocol.states import FINAL_STATES, TaskState, transition
from ajobs.protocol.task import Task, tried_ns


class ItemState(Enum):
    """The state of a task's work item."""

    PRESENT = auto()
    """It is in its queue, and will be delivered."""
    SPENT = auto()
    """It is in its queue, but was delivered as often as the queue allows."""
    MISSING = auto()
    """Its queue does not have it."""


def examine(
    task: Task, item: ItemState, queue: Queue | None, *, now_ns: int, changed_ns: int, grace_ns: int
) -> Task | None:
    """Return the task as it must be saved, or ``None`` if it is not stuck.

    Args:
        task: A task that no worker announces as running.
        item: The state of its work item.
        queue: Its queue; ``None``: the queue does not exist.
        now_ns: Nanoseconds since 1970.
        changed_ns: The time of its last change.
        grace_ns: How long a task may be without its item. It must exceed the time for which a producer repeats the put
            of an item.
    """
    if task.state in FINAL_STATES or now_ns - changed_ns < grace_ns or item is ItemState.PRESENT:
        return None
    if task.state is TaskState.ACTIVE and _may_run(task, queue, now_ns, grace_ns):
        return None
    if item is ItemState.SPENT and queue is not None:
        error = f"its work item was delivered {queue.max_tries} times, the limit of queue {queue.name}"
        return msgspec.structs.replace(expire(task), last_err=_with_last(error, task))
    if queue is None:
        error = f"queue {task.queue} does not exist any more: retry the task in another queue"
    else:
        error = f"its work item is gone from queue {queue.name}: retry the task to enqueue it again"
    return msgspec.structs.replace(
        task, state=transition(task, TaskState.QUEUE_ERROR), last_err=_with_last(error, task)
    )


def _may_run(task: Task, queue: Queue | None, now_ns: int, grace_ns: int) -> bool:
    started_ns = tried_ns(task)
    if queue is None or started_ns is None:
        return False
    return now_ns < started_ns + as_ns(queue.max_run_time) + grace_ns


def _with_last(error: str, task: Task) -> str:
    return f"{error}; before that: {task.last_err}" if task.last_err else error
