"""The state machine: which changes it has, and which it refuses."""

from __future__ import annotations

import itertools

import pytest

from ajobs.protocol.decisions import (
    Failed,
    Interrupted,
    Succeeded,
    Terminated,
    conclude,
    expire,
    resolve,
    retried,
    start,
)
from ajobs.protocol.errors import ConflictError, InvalidTransitionError
from ajobs.protocol.queue import Queue
from ajobs.protocol.retry import retry_policy
from ajobs.protocol.states import CHANGES, FINAL_STATES, TRANSITIONS, TaskState, transition
from ajobs.protocol.stuck import ItemState, examine
from ajobs.protocol.task import Task
from ajobs.protocol.timestamps import format_timestamp

S = TaskState
NOW = 1_700_000_000 * 10**9
PAIRS = list(itertools.product(S, S))
QUEUE = Queue(name="Q", max_tries=3)

ALLOWED = {
    S.UNKNOWN: {S.ACTIVE, S.RETRY, S.EXPIRED, S.TERMINATED, S.QUEUE_ERROR},
    S.NEW: {S.ACTIVE, S.RETRY, S.EXPIRED, S.TERMINATED, S.QUEUE_ERROR},
    S.BLOCKED: {S.ACTIVE, S.RETRY, S.EXPIRED, S.TERMINATED, S.QUEUE_ERROR, S.BLOCKED, S.UNREACHABLE},
    S.RETRY: {S.ACTIVE, S.RETRY, S.EXPIRED, S.TERMINATED, S.QUEUE_ERROR},
    S.ACTIVE: {S.ACTIVE, S.COMPLETE, S.RETRY, S.EXPIRED, S.TERMINATED, S.QUEUE_ERROR},
    S.QUEUE_ERROR: {S.ACTIVE, S.RETRY, S.EXPIRED, S.TERMINATED, S.BLOCKED},
    S.EXPIRED: {S.RETRY, S.BLOCKED},
    S.UNREACHABLE: {S.RETRY, S.BLOCKED},
    S.COMPLETE: {S.RETRY},
    S.TERMINATED: {S.RETRY},
}


def task(state, **values):
    created = format_timestamp(NOW)
    return Task(**({"id": "a", "type": "t", "queue": "Q", "state": state, "created": created} | values))


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_a_transition_is_allowed_exactly_when_the_table_has_it(before, after):
    if after in ALLOWED[before]:
        assert transition(task(before), after) is after
        return
    with pytest.raises(InvalidTransitionError, match="task a cannot change from") as caught:
        transition(task(before), after)
    assert isinstance(caught.value, ConflictError)
    assert (caught.value.code, caught.value.reason) == ("conflict", "transition_invalid")


def test_an_error_names_the_task_both_states_and_the_states_that_can_follow():
    with pytest.raises(InvalidTransitionError) as caught:
        transition(task(S.EXPIRED), S.ACTIVE)
    assert str(caught.value) == "task a cannot change from expired to active: only blocked, retry can follow"


def test_a_final_state_is_left_by_a_retry_only():
    for state in FINAL_STATES - {S.QUEUE_ERROR}:
        assert TRANSITIONS[state] <= {S.RETRY, S.BLOCKED}


def reachable(state):
    """Return the states that the functions of the protocol give a task in a state."""
    found = set()

    def note(act):
        try:
            found.add(act().state)
        except InvalidTransitionError:
            return

    given = task(state, dependencies=("b",), max_tries=0)
    note(lambda: retried(given))
    note(lambda: retried(task(state)))
    note(lambda: start(given, NOW))
    note(lambda: expire(given))
    note(lambda: resolve(given, {}).task)
    for item, queue in ((ItemState.SPENT, QUEUE), (ItemState.MISSING, QUEUE), (ItemState.MISSING, None)):
        ended = examine(given, item, queue, now_ns=NOW, changed_ns=0, grace_ns=0)
        if ended is not None:
            found.add(ended.state)
    for outcome in (Succeeded(b"1"), Failed("f"), Terminated("t"), Interrupted()):
        note(
            lambda outcome=outcome: conclude(
                given, outcome, queue=QUEUE, delivery=1, now_ns=NOW, policy=retry_policy("1m"),
                random_below=lambda _: 0,
            ).task
        )  # fmt: skip
    return found


@pytest.mark.parametrize("state", S)
def test_the_functions_of_the_protocol_give_every_change_that_the_table_has(state):
    refused = {S.TERMINATED}  # a refused signature is found by the worker
    failed_put = {S.QUEUE_ERROR}  # by the producer
    assert reachable(state) | ((refused | failed_put) & TRANSITIONS[state]) == TRANSITIONS[state]


def test_a_change_is_drawn_from_its_own_sources():
    for change in CHANGES:
        assert set(change.drawn) <= change.sources
