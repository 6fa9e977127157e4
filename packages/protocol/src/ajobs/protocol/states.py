"""The states of a task and which may follow which."""

from __future__ import annotations

from enum import StrEnum

from ajobs.protocol.errors import InvalidStateNameError


class TaskState(StrEnum):
    """Where a task stands. The value is its name on the wire."""

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
"""Nothing more happens to the task unless somebody retries it."""

FAILED_STATES = FINAL_STATES - {_S.COMPLETE} | {_S.UNKNOWN}
"""A parent in one of these will not complete, so whoever depends on it is unreachable."""

ENQUEUEABLE_STATES = frozenset({_S.NEW, _S.RETRY, _S.BLOCKED})
DISCARDABLE_STATES = frozenset({_S.COMPLETE, _S.EXPIRED, _S.TERMINATED})

# An item may be on its queue although its task says queue_error (the publish was stored, its answer was lost) or
# nothing at all: such a task runs. A blocked one runs once its parents are complete.
_RUNNABLE_NEXT = frozenset({_S.ACTIVE, _S.EXPIRED, _S.RETRY, _S.QUEUE_ERROR})
_RETRIED = frozenset({_S.RETRY, _S.BLOCKED})

TRANSITIONS: dict[TaskState, frozenset[TaskState]] = {
    _S.UNKNOWN: _RUNNABLE_NEXT | {_S.NEW, _S.BLOCKED},
    _S.NEW: _RUNNABLE_NEXT | {_S.NEW},
    _S.BLOCKED: _RUNNABLE_NEXT | {_S.BLOCKED, _S.UNREACHABLE},
    _S.RETRY: _RUNNABLE_NEXT,
    _S.QUEUE_ERROR: _RUNNABLE_NEXT | {_S.BLOCKED, _S.UNREACHABLE},
    _S.ACTIVE: _RETRIED | {_S.ACTIVE, _S.COMPLETE, _S.TERMINATED, _S.EXPIRED, _S.QUEUE_ERROR},
    _S.COMPLETE: _RETRIED,
    _S.EXPIRED: _RETRIED,
    _S.TERMINATED: _RETRIED,
    _S.UNREACHABLE: _RETRIED,
}
"""Which states may follow a state. ``retry`` after a final state is somebody's retry by id."""

_ALIASES = {"completed": _S.COMPLETE}
_NAMES = {state.value: state for state in TaskState} | _ALIASES


def parse_state(name: str) -> TaskState:
    """Return the state by that name; ``completed`` is understood as ``complete``.

    Raises:
        InvalidStateNameError: There is no such state.
    """
    state = _NAMES.get(name)
    if state is None:
        known = ", ".join(sorted(filter(None, _NAMES)))
        msg = f"{name!r} is not a task state: use one of {known}"
        raise InvalidStateNameError(msg)
    return state


def check_discardable(states: frozenset[TaskState]) -> frozenset[TaskState]:
    """Return the states when a worker may discard tasks that reach them.

    Raises:
        InvalidStateNameError: One of them is not complete, expired or terminated.
    """
    wrong = states - DISCARDABLE_STATES
    if wrong:
        names = ", ".join(sorted(state.value or "unknown" for state in wrong))
        msg = f"tasks in state {names} cannot be discarded: only complete, expired and terminated ones can"
        raise InvalidStateNameError(msg)
    return states
