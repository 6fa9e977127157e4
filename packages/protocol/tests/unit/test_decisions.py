"""Decisions about work items: a row for every state, and the laws that hold for all of them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ajobs.protocol.decisions import (
    MAX_ERROR_LENGTH,
    Action,
    Conclusion,
    Disposal,
    Failed,
    Interrupted,
    Readiness,
    Succeeded,
    Terminated,
    admit,
    again,
    conclude,
    error_text,
    expire,
    resolve,
    retried,
    start,
)
from ajobs.protocol.durations import MINUTE_NS, SECOND_NS
from ajobs.protocol.queue import Queue
from ajobs.protocol.retry import linear_policy
from ajobs.protocol.states import ENQUEUEABLE_STATES, FINAL_STATES, TRANSITIONS, TaskState
from ajobs.protocol.task import Result, Task, tried_ns
from ajobs.protocol.timestamps import Timestamp, format_timestamp
from packages.protocol.tests.unit.strategies import tasks

S = TaskState
NOW = 1_700_000_000 * SECOND_NS
QUEUE = Queue(name="Q", max_run_time="1m")
POLICY = linear_policy(steps=3, jitter=1.0, shortest=1, longest=4)


def task(state=S.NEW, **values):
    values = {"id": "a", "type": "t", "queue": "Q", "max_tries": 3, "created": format_timestamp(NOW)} | values
    return Task(state=state, **values)


def ago(span_ns):
    return format_timestamp(NOW - span_ns)


@pytest.mark.parametrize(
    ("state", "action"),
    [
        (S.UNKNOWN, Action.RUN),
        (S.NEW, Action.RUN),
        (S.RETRY, Action.RUN),
        (S.QUEUE_ERROR, Action.RUN),
        (S.BLOCKED, Action.RUN),
        (S.ACTIVE, Action.LEAVE),
        (S.COMPLETE, Action.ACKNOWLEDGE),
        (S.EXPIRED, Action.ACKNOWLEDGE),
        (S.TERMINATED, Action.ACKNOWLEDGE),
        (S.UNREACHABLE, Action.ACKNOWLEDGE),
    ],
)
def test_each_state_has_its_action(state, action):
    assert admit(task(state), QUEUE, NOW).action is action


def test_every_state_is_in_the_tables():
    assert set(TRANSITIONS) == set(TaskState)


@pytest.mark.parametrize(
    ("tried", "action", "delay_ns"),
    [
        (None, Action.LEAVE, MINUTE_NS),
        (ago(0), Action.LEAVE, MINUTE_NS),
        (ago(MINUTE_NS - 1), Action.LEAVE, 1),
        (ago(MINUTE_NS), Action.RUN, 0),
        (ago(-MINUTE_NS), Action.LEAVE, MINUTE_NS),
    ],
)
def test_an_active_task_is_left_to_its_owner_for_the_max_run_time(tried, action, delay_ns):
    admission = admit(task(S.ACTIVE, tried=tried), QUEUE, NOW)
    assert (admission.action, admission.delay_ns) == (action, delay_ns)


@pytest.mark.parametrize("state", [S.UNKNOWN, S.NEW, S.RETRY, S.QUEUE_ERROR, S.BLOCKED])
def test_a_task_that_would_run_expires_past_its_deadline_or_without_tries(state):
    assert admit(task(state, deadline=ago(1)), QUEUE, NOW).action is Action.EXPIRE_DEADLINE
    assert admit(task(state, deadline=ago(0)), QUEUE, NOW).action is Action.RUN
    assert admit(task(state, tries=3), QUEUE, NOW).action is Action.EXPIRE_TRIES
    assert admit(task(state, tries=3, max_tries=0), QUEUE, NOW).action is Action.RUN


def test_a_blocked_task_with_dependencies_is_resolved_first():
    assert admit(task(S.BLOCKED, dependencies=("b",)), QUEUE, NOW).action is Action.RESOLVE
    assert admit(task(S.RETRY, dependencies=("b",)), QUEUE, NOW).action is Action.RUN


@pytest.mark.parametrize(
    ("state", "readiness"),
    [
        (S.COMPLETE, Readiness.READY),
        (S.NEW, Readiness.WAIT),
        (S.ACTIVE, Readiness.WAIT),
        (S.RETRY, Readiness.WAIT),
        (S.BLOCKED, Readiness.WAIT),
        (S.EXPIRED, Readiness.FAILED),
        (S.TERMINATED, Readiness.FAILED),
        (S.QUEUE_ERROR, Readiness.FAILED),
        (S.UNREACHABLE, Readiness.FAILED),
        (S.UNKNOWN, Readiness.FAILED),
        (None, Readiness.FAILED),
    ],
)
@pytest.mark.parametrize("other", [S.COMPLETE, S.NEW])
def test_the_worst_parent_decides(state, other, readiness):
    child = task(S.BLOCKED, dependencies=("ok", "b"))
    parents = {"ok": task(other, id="ok"), "b": None if state is None else task(state, id="b")}
    resolution = resolve(child, parents)
    if readiness is Readiness.READY and other is S.NEW:
        readiness = Readiness.WAIT
    assert resolution.readiness is readiness
    if readiness is Readiness.FAILED:
        assert resolution.task.state is S.UNREACHABLE
        assert "b is" in resolution.task.last_err
    else:
        assert resolution.task == child


def test_the_results_of_parents_are_loaded_when_asked_for():
    result = Result(payload=msgspec.Raw(b"1"), completed=Timestamp("2022-02-02T13:04:26Z"))
    child = task(S.BLOCKED, dependencies=("b",), load_dependencies=True)
    resolution = resolve(child, {"b": task(S.COMPLETE, id="b", result=result)})
    assert resolution.task.dependency_results == {"b": result}


def test_a_start_counts_the_try_and_forgets_the_last_error():
    started = start(task(S.RETRY, tries=1, last_err="boom"), NOW)
    assert (started.state, started.tries, started.last_err, tried_ns(started)) == (S.ACTIVE, 2, "", NOW)


def concluded(outcome, *, queue=QUEUE, delivery=1, **values):
    values = {"tries": 1} | values
    return conclude(
        task(S.ACTIVE, **values), outcome, queue=queue, delivery=delivery, now_ns=NOW, policy=POLICY,
        random_below=lambda _: 0,
    )  # fmt: skip


def test_a_success_completes_the_task_with_its_result():
    conclusion = concluded(Succeeded(b'{"n":1}'))
    assert (conclusion.task.state, conclusion.disposal) == (S.COMPLETE, Disposal.ACK)
    assert conclusion.task.result is not None
    assert bytes(conclusion.task.result.payload) == b'{"n":1}'
    assert conclusion.task.result.completed == format_timestamp(NOW)


def test_a_termination_is_final():
    conclusion = concluded(Terminated("never"))
    assert (conclusion.task.state, conclusion.task.last_err, conclusion.disposal) == (
        S.TERMINATED,
        "never",
        Disposal.TERM,
    )


@pytest.mark.parametrize(("delivery", "delay_s"), [(1, 2), (2, 3), (3, 3), (99, 3)])
def test_a_failed_task_waits_as_its_policy_decides_for_this_delivery(delivery, delay_s):
    conclusion = concluded(Failed("boom"), delivery=delivery)
    assert conclusion.task.state is S.RETRY
    assert (conclusion.disposal, conclusion.delay_ns) == (Disposal.NAK, delay_s * SECOND_NS)


def test_a_failure_may_choose_its_own_delay():
    assert concluded(Failed("boom", 7)).delay_ns == 7


@pytest.mark.parametrize(
    ("tries", "max_tries", "queue_tries", "delivery", "state"),
    [
        (1, 3, -1, 1, S.RETRY),
        (2, 3, -1, 9, S.RETRY),
        (3, 3, -1, 3, S.EXPIRED),
        (9, 0, -1, 9, S.RETRY),
        (1, 3, 2, 1, S.RETRY),
        (2, 3, 2, 2, S.EXPIRED),
        (1, 3, 2, 2, S.EXPIRED),
    ],
)
def test_a_failure_expires_the_task_when_no_try_of_its_own_or_delivery_of_the_queue_is_left(
    tries, max_tries, queue_tries, delivery, state
):
    queue = Queue(name="Q", max_tries=queue_tries)
    conclusion = concluded(Failed("boom"), queue=queue, delivery=delivery, tries=tries, max_tries=max_tries)
    assert conclusion.task.state is state
    assert conclusion.task.last_err == "boom"
    assert conclusion.disposal is (Disposal.NAK if state is S.RETRY else Disposal.ACK)


def test_an_interrupted_task_is_handed_back_without_counting_the_try():
    conclusion = concluded(Interrupted(), tries=2)
    assert (conclusion.task.state, conclusion.task.tries) == (S.RETRY, 1)
    assert (conclusion.disposal, conclusion.delay_ns) == (Disposal.NAK, 0)


def test_an_item_that_the_server_will_not_deliver_again_is_replaced():
    queue = Queue(name="Q", max_tries=5)
    assert again(queue, 4) is Disposal.NAK
    assert again(queue, 5) is Disposal.REPLACE
    assert again(QUEUE, 10**6) is Disposal.NAK
    assert concluded(Interrupted(), queue=queue, delivery=5).disposal is Disposal.REPLACE


outcomes = st.sampled_from([Succeeded(b"1"), Failed("f"), Failed("f", 0), Terminated("t"), Interrupted()])


@given(tasks, outcomes, st.integers(-1, 5), st.integers(1, 6))
def test_whatever_happens_to_a_task_follows_the_transition_table(stored, outcome, queue_tries, delivery):
    queue = Queue(name="Q", max_tries=queue_tries)
    action = admit(stored, queue, NOW).action
    if action in {Action.EXPIRE_DEADLINE, Action.EXPIRE_TRIES}:
        assert expire(stored).state in TRANSITIONS[stored.state]
    elif action is Action.RESOLVE:
        failed = resolve(stored, {}).task
        assert failed.state in TRANSITIONS[stored.state]
    elif action is Action.RUN:
        started = start(stored, NOW)
        assert started.state in TRANSITIONS[stored.state]
        conclusion: Conclusion = conclude(
            started, outcome, queue=queue, delivery=delivery, now_ns=NOW, policy=POLICY, random_below=lambda _: 0
        )
        assert conclusion.task.state in TRANSITIONS[started.state]
        # An item is done with exactly when its task is.
        done = conclusion.disposal in {Disposal.ACK, Disposal.TERM}
        assert done == (conclusion.task.state in FINAL_STATES)


@given(tasks)
def test_a_retry_by_id_can_be_enqueued_has_all_its_tries_and_follows_the_table(stored):
    again_task = retried(stored)
    assert again_task.state in ENQUEUEABLE_STATES
    assert (again_task.tries, again_task.last_err, again_task.result) == (0, "", None)
    assert again_task.state in TRANSITIONS[stored.state]


@pytest.mark.parametrize(
    ("state", "tries", "expected"),
    [(S.UNREACHABLE, 0, S.BLOCKED), (S.BLOCKED, 0, S.BLOCKED), (S.EXPIRED, 2, S.RETRY), (S.COMPLETE, 1, S.RETRY)],
)
def test_a_retry_waits_for_the_parents_again_only_if_they_were_never_all_complete(state, tries, expected):
    assert retried(task(state, tries=tries, dependencies=("b",))).state is expected


def test_an_error_text_is_never_empty_too_long_or_impossible_to_encode():
    assert error_text(ValueError()) == "ValueError"
    assert len(error_text(ValueError("x" * 10**6))) == MAX_ERROR_LENGTH
    error_text(ValueError("\udc80")).encode()

    class NoTextError(Exception):
        def __str__(self):
            raise RuntimeError("none")

    assert error_text(NoTextError()) == "NoTextError, whose text cannot be read: it raises RuntimeError"
