"""The states of a task, the changes between them, and `transition`, which executes them.

`CHANGES` is the state machine: each entry has a cause, the states before and the state after. The diagram of the
documentation is generated from it, and every function that changes the state of a task calls `transition`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Protocol

from ajobs.protocol.errors import InvalidStateNameError, InvalidTransitionError


class TaskState(StrEnum):
    """The state of a task. The value is its name on the wire, the same as in Choria Async Jobs."""

    UNKNOWN = ""
    NEW = "new"
    ACTIVE = "active"
    RETRY = "retry"
    EXPIRED = "expired"
    TERMINATED = "terminated"
    COMPLETE = "complete"
    QUEUE_ERROR = "queue_error"
    BLOCKED = "blocked"
    UNREACHABLE = "unreachable"


_S = TaskState

FINAL_STATES = frozenset({_S.COMPLETE, _S.EXPIRED, _S.TERMINATED, _S.UNREACHABLE, _S.QUEUE_ERROR})
"""Nothing more happens to a task in one of these until it is retried by id."""

FAILED_STATES = FINAL_STATES - {_S.COMPLETE} | {_S.UNKNOWN}
"""A parent in one of these will not complete, so its dependents are unreachable."""

ENQUEUEABLE_STATES = frozenset({_S.NEW, _S.RETRY, _S.BLOCKED})
"""A task must be in one of these to be enqueued."""

DISCARDABLE_STATES = frozenset({_S.COMPLETE, _S.EXPIRED, _S.TERMINATED})
"""The states whose tasks a worker can discard."""

_UNSTARTED = frozenset({_S.UNKNOWN, _S.NEW, _S.BLOCKED, _S.RETRY})
# The item of a queue_error task may be in its queue after all: its publish was stored, and only the answer was lost.
_ADMITTED = _UNSTARTED | {_S.QUEUE_ERROR, _S.ACTIVE}


class Change(NamedTuple):
    """One way in which a task's state changes."""

    cause: str
    """The reason for the change, as the documentation has it."""
    sources: frozenset[TaskState]
    target: TaskState
    drawn: tuple[TaskState, ...] = ()
    """The sources from which the diagram of the documentation draws it; its table has all of them."""


CHANGES = (
    Change("a worker starts it", _ADMITTED - {_S.ACTIVE}, _S.ACTIVE, (_S.NEW, _S.BLOCKED, _S.RETRY)),
    Change("redelivered after its lease ran out", frozenset({_S.ACTIVE}), _S.ACTIVE),
    Change("the handler returned", frozenset({_S.ACTIVE}), _S.COMPLETE, (_S.ACTIVE,)),
    Change("the try failed, or the worker stopped", frozenset({_S.ACTIVE}), _S.RETRY, (_S.ACTIVE,)),
    Change("permanent failure", frozenset({_S.ACTIVE}), _S.TERMINATED, (_S.ACTIVE,)),
    Change("its signature was refused", _ADMITTED, _S.TERMINATED, (_S.NEW,)),
    Change("past its deadline, or out of tries", _ADMITTED, _S.EXPIRED, (_S.NEW, _S.ACTIVE)),
    Change("a parent failed", frozenset({_S.BLOCKED}), _S.UNREACHABLE, (_S.BLOCKED,)),
    Change("it has no item in its queue", _UNSTARTED | {_S.ACTIVE}, _S.QUEUE_ERROR, (_S.NEW,)),
    Change("retried by id", frozenset(_S), _S.RETRY, (_S.TERMINATED, _S.EXPIRED, _S.QUEUE_ERROR)),
    Change(
        "retried by id before its parents were complete",
        frozenset({_S.BLOCKED, _S.UNREACHABLE, _S.QUEUE_ERROR, _S.EXPIRED}),
        _S.BLOCKED,
        (_S.UNREACHABLE,),
    ),
)
"""Every way in which a state changes. `transition` refuses all others."""

TRANSITIONS: dict[TaskState, frozenset[TaskState]] = {
    state: frozenset(change.target for change in CHANGES if state in change.sources) for state in TaskState
}
"""Which states may follow a state."""


class _HasState(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def state(self) -> TaskState: ...


def transition(task: _HasState, state: TaskState) -> TaskState:
    """Return the state if it may follow that of the task: ``replace(task, state=transition(task, TaskState.RETRY))``.

    Raises:
        InvalidTransitionError: `TRANSITIONS` does not have this change.
    """
    if state not in TRANSITIONS[task.state]:
        raise _refused(task, state)
    return state


def _refused(task: _HasState, state: TaskState) -> InvalidTransitionError:
    known = ", ".join(sorted(TRANSITIONS[task.state]))
    msg = f"task {task.id} cannot change from {task.state or 'an unknown state'} to {state or 'an unknown state'}: "
    return InvalidTransitionError(f"{msg}only {known} can follow")


_ALIASES = {"completed": _S.COMPLETE}
_NAMES = {state.value: state for state in TaskState} | _ALIASES


def parse_state(name: str) -> TaskState:
    """Look up a state by its name; ``completed`` is accepted for ``complete``.

    Raises:
        InvalidStateNameError: The name is unknown.
    """
    state = _NAMES.get(name)
    if state is None:
        known = ", ".join(sorted(filter(None, _NAMES)))
        msg = f"invalid task state {name!r}: choose from {known}"
        raise InvalidStateNameError(msg)
    return state


def check_discardable(states: frozenset[TaskState]) -> frozenset[TaskState]:
    """Return the states if a worker may discard tasks that reach them.

    Raises:
        InvalidStateNameError: One of them is not complete, expired or terminated.
    """
    wrong = states - DISCARDABLE_STATES
    if wrong:
        names = ", ".join(sorted(state.value or "unknown" for state in wrong))
        msg = f"tasks in state {names} cannot be discarded: only complete, expired and terminated ones can"
        raise InvalidStateNameError(msg)
    return states
