"""Decide about a work item: pure functions of the task, its queue, the clock and the outcome of the handler.

A worker processes an item in three steps, each a function here::

    admit    ──► RUN ─────────────────────────────────────────────► start ──► (handler) ──► conclude
       │                                                              ▲
       ├──► RESOLVE: load the parents ──► resolve ──► READY ──────────┘
       │                                     ├──► WAIT: nak, check again after a delay
       │                                     └──► FAILED: save unreachable, terminate the item
       ├──► EXPIRE: save expired, acknowledge
       ├──► ACKNOWLEDGE: the task is finished
       └──► LEAVE: another worker runs it, check again when its lease has ended

Nothing here saves or acknowledges. `conclude` returns both the task to save and what to do with the item, and the
caller does them in that order. After a crash between the two the item is delivered again, and `admit` finds the task
finished.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

import msgspec

from ajobs.protocol.durations import SECOND_NS, as_ns
from ajobs.protocol.queue import Queue
from ajobs.protocol.retry import RandomBelow, RetryPolicy
from ajobs.protocol.states import FAILED_STATES, TaskState, transition
from ajobs.protocol.task import Result, Task, is_past_deadline, tried_ns
from ajobs.protocol.timestamps import format_timestamp

BLOCKED_DELAY_NS = 5 * SECOND_NS
"""The delay before the parents of a blocked task are checked again."""

MAX_ERROR_LENGTH = 8_192
"""Characters of an error's text that a task keeps."""

_replace = msgspec.structs.replace


class Action(Enum):
    """What to do with a received item."""

    RUN = auto()
    RESOLVE = auto()
    EXPIRE_DEADLINE = auto()
    EXPIRE_TRIES = auto()
    ACKNOWLEDGE = auto()
    LEAVE = auto()


class Admission(msgspec.Struct, frozen=True, gc=False):
    """An action, and for `Action.LEAVE` the nanoseconds until the next check."""

    action: Action
    delay_ns: int = 0


# Created once, because nearly every item needs them, and because Python 3.11 is slow at looking up members of an enum.
_ACTIVE, _BLOCKED, _COMPLETE = TaskState.ACTIVE, TaskState.BLOCKED, TaskState.COMPLETE
_RUN = Admission(Action.RUN)
_ACKNOWLEDGE = Admission(Action.ACKNOWLEDGE)

_ACKNOWLEDGED = frozenset({TaskState.COMPLETE, TaskState.EXPIRED, TaskState.TERMINATED, TaskState.UNREACHABLE})


def admit(task: Task, queue: Queue, now_ns: int) -> Admission:
    """Decide what to do with a received item, given its stored task."""
    if task.state in _ACKNOWLEDGED:
        return _ACKNOWLEDGE
    if task.state is _ACTIVE:
        lease_ns = as_ns(queue.max_run_time)
        started_ns = tried_ns(task)
        left_ns = lease_ns if started_ns is None else started_ns + lease_ns - now_ns
        if left_ns > 0:
            # A start time in the future comes from another host's clock and must not make the lease longer.
            return Admission(Action.LEAVE, min(left_ns, lease_ns))
    if is_past_deadline(task, now_ns):
        return Admission(Action.EXPIRE_DEADLINE)
    if task.is_out_of_tries():
        return Admission(Action.EXPIRE_TRIES)
    if task.state is _BLOCKED and task.dependencies:
        return Admission(Action.RESOLVE)
    return _RUN


class Readiness(Enum):
    """What the parents of a blocked task allow."""

    READY = auto()
    WAIT = auto()
    FAILED = auto()


class Resolution(msgspec.Struct, frozen=True, gc=False):
    """A readiness with the task to go on with: with results when ready, as unreachable when a parent failed."""

    readiness: Readiness
    task: Task


def failed_by(task: Task) -> TaskState:
    """Return the final state of a task whose parents failed: a task that was started before is not unreachable."""
    return TaskState.UNREACHABLE if task.state is _BLOCKED else TaskState.TERMINATED


def resolve(task: Task, parents: Mapping[str, Task | None]) -> Resolution:
    """Decide whether a blocked task can start, or a task that loads the results of its parents again.

    Args:
        task: The task.
        parents: Its dependencies by id; ``None`` for one that is not stored.
    """
    waiting = False
    results: dict[str, Result | None] = {}
    for parent_id in task.dependencies or ():
        parent = parents.get(parent_id)
        if parent is None or parent.state in FAILED_STATES:
            state = "not found" if parent is None else parent.state.value or "in an unknown state"
            error = f"task dependencies failed: {parent_id} is {state}"
            return Resolution(Readiness.FAILED, _replace(task, state=transition(task, failed_by(task)), last_err=error))
        if parent.state is not TaskState.COMPLETE:
            waiting = True
        results[parent_id] = parent.result
    if waiting:
        return Resolution(Readiness.WAIT, task)
    return Resolution(Readiness.READY, _replace(task, dependency_results=results) if task.load_dependencies else task)


def start(task: Task, now_ns: int) -> Task:
    """Return the task as it is saved before its handler runs.

    The try is counted here, not after the handler: a task that kills its worker uses up its tries too.
    """
    return _replace(
        task,
        state=transition(task, _ACTIVE),
        tried=format_timestamp(now_ns),
        tries=task.tries + 1,
        last_err="",
        result=None,
    )


def expire(task: Task) -> Task:
    """Return the task as it is saved when it can no longer start."""
    return _replace(task, state=transition(task, TaskState.EXPIRED))


class Succeeded(msgspec.Struct, frozen=True, gc=False):
    """The handler returned; ``payload`` is its result as JSON."""

    payload: bytes


class Failed(msgspec.Struct, frozen=True, gc=False):
    """The try failed. The next one is due after ``delay_ns``, or as the retry policy decides."""

    error: str
    delay_ns: int | None = None


class Terminated(msgspec.Struct, frozen=True, gc=False):
    """A permanent failure; with ``discard`` the task is deleted too."""

    error: str
    discard: bool = False


class Interrupted(msgspec.Struct, frozen=True, gc=False):
    """The worker stopped before the handler ended: the task is handed back without counting the try."""


Outcome = Succeeded | Failed | Terminated | Interrupted


class Disposal(Enum):
    """What happens to an item."""

    ACK = auto()
    """Acknowledge it."""
    TERM = auto()
    """Remove it as permanently failed."""
    NAK = auto()
    """Deliver it again after a delay."""
    REPLACE = auto()
    """Put a new item in its place, because the server will not deliver this one again."""


_ACK = Disposal.ACK


class Conclusion(msgspec.Struct, frozen=True, gc=False):
    """The task to save, or with ``discard`` to announce and delete; and then what to do with its item."""

    task: Task
    disposal: Disposal
    delay_ns: int = 0
    discard: bool = False


def conclude(  # noqa: PLR0913 - all that the decision depends on, and nothing else
    task: Task,
    outcome: Outcome,
    *,
    queue: Queue,
    delivery: int,
    now_ns: int,
    policy: RetryPolicy,
    random_below: RandomBelow,
) -> Conclusion:
    """Decide about the task and its item after a run.

    Args:
        task: The task as `start` returned it.
        outcome: How the run ended.
        queue: The queue's settings.
        delivery: How often the server delivered this item, from 1 on.
        now_ns: Nanoseconds since 1970.
        policy: Decides the delay before the next try.
        random_below: A source of randomness for the policy.
    """
    match outcome:
        case Succeeded(payload):
            result = Result(payload=msgspec.Raw(payload), completed=format_timestamp(now_ns))
            return Conclusion(_replace(task, state=transition(task, _COMPLETE), result=result, last_err=""), _ACK)
        case Terminated(error, discard):
            terminated = _replace(task, state=transition(task, TaskState.TERMINATED), last_err=_cut(error))
            return Conclusion(terminated, Disposal.TERM, discard=discard)
        case Failed(error, delay_ns):
            failed = _replace(task, last_err=_cut(error))
            if failed.is_out_of_tries() or 0 < queue.max_tries <= max(task.tries, delivery):
                return Conclusion(expire(failed), Disposal.ACK)
            if delay_ns is None:
                delay_ns = max(0, as_ns(policy.delay(delivery, random_below), "delay of the retry policy", signed=True))
            return Conclusion(_replace(failed, state=transition(failed, TaskState.RETRY)), Disposal.NAK, delay_ns)
        case Interrupted():
            handed_back = _replace(task, state=transition(task, TaskState.RETRY), tries=task.tries - 1)
            return Conclusion(handed_back, again(queue, delivery))


def again(queue: Queue, delivery: int) -> Disposal:
    """Return how to get an item delivered again without counting a try."""
    return Disposal.REPLACE if 0 < queue.max_tries <= delivery else Disposal.NAK


def retried(task: Task) -> Task:
    """Return the task as it is saved by a retry by id: with all its tries.

    If its parents were never all complete, it waits for them again.
    """
    state = TaskState.BLOCKED if task.dependencies and not task.tries and task.state in _UNRESOLVED else TaskState.RETRY
    return _replace(task, state=transition(task, state), tries=0, last_err="", result=None)


_UNRESOLVED = frozenset({TaskState.BLOCKED, TaskState.UNREACHABLE, TaskState.QUEUE_ERROR, TaskState.EXPIRED})


def error_text(error: BaseException) -> str:
    """Return an exception's text for ``last_err``: its message, or its type if the message is empty."""
    try:
        text = str(error)
    except Exception as e:
        text = f"{type(error).__name__}, whose text cannot be read: it raises {type(e).__name__}"
    return _cut(text) or type(error).__name__


def _cut(text: str) -> str:
    # A text from the operating system can hold lone surrogates, which a JSON encoder refuses.
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= MAX_ERROR_LENGTH else text[: MAX_ERROR_LENGTH - 1] + "…"
