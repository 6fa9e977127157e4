"""What becomes of a task that nothing moves any more: a pure function of the task and of what is in its queue.

A task moves because a work item in a queue refers to it. Four things can break that, and none of them tells anybody:

- its producer died, or gave up, between saving the task and putting its item;
- somebody purged or deleted the queue, or the item grew too old for it;
- the server has delivered the item as often as the queue allows, and its last worker died;
- the item could not be read, and was dropped.

The task then says ``new``, ``active``, ``retry`` or ``blocked`` for ever. `examine` says what it should say instead.
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
    """How a task's work item stands."""

    PRESENT = auto()
    """It is in its queue, and will be delivered."""
    SPENT = auto()
    """It is in its queue, and has been delivered as often as the queue allows."""
    MISSING = auto()
    """Its queue does not have it."""


def examine(
    task: Task, item: ItemState, queue: Queue | None, *, now_ns: int, changed_ns: int, grace_ns: int
) -> Task | None:
    """Return the task as it should be saved, or ``None`` when it may still move.

    Args:
        task: A task that no living worker says it has.
        item: How its work item stands.
        queue: Its queue, ``None`` when there is no such queue.
        now_ns: Nanoseconds since 1970.
        changed_ns: When the task was saved last.
        grace_ns: How long a task may be without its item: between the saving of a task and the putting of its item
            lies the time for which a producer tries again.
    """
    if task.state in FINAL_STATES or now_ns - changed_ns < grace_ns or item is ItemState.PRESENT:
        return None
    if task.state is TaskState.ACTIVE and _may_run(task, queue, now_ns, grace_ns):
        return None
    if item is ItemState.SPENT and queue is not None:
        error = f"its work item was delivered {queue.max_tries} times, which is all that queue {queue.name} allows"
        return msgspec.structs.replace(expire(task), last_err=_with_last(error, task))
    if queue is None:
        error = f"queue {task.queue} does not exist any more: retry the task in another one"
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
