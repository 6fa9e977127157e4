"""How repair ends a stuck task, for every state and every kind of item."""

from __future__ import annotations

import msgspec
import pytest

from ajobs.protocol.queue import Queue
from ajobs.protocol.states import FINAL_STATES, TRANSITIONS, TaskState
from ajobs.protocol.stuck import ItemState, examine
from ajobs.protocol.task import new_task
from ajobs.protocol.timestamps import format_timestamp

SECOND = 10**9
NOW = 1_000_000 * SECOND
GRACE = 600 * SECOND
QUEUE = Queue(name="Q", max_run_time=60, max_tries=3)
UNFINISHED = [state for state in TaskState if state not in FINAL_STATES]


def task_in(state: TaskState, *, tried_s_ago: float | None = None, last_err: str = ""):
    tried = None if tried_s_ago is None else format_timestamp(NOW - int(tried_s_ago * SECOND))
    created = new_task("t", None, task_id="a", now_ns=NOW - 10_000 * SECOND, queue="Q")
    return msgspec.structs.replace(created, state=state, tried=tried, last_err=last_err)


def ended(task, item=ItemState.MISSING, queue=QUEUE, changed_s_ago=5_000.0):
    changed_ns = NOW - int(changed_s_ago * SECOND)
    return examine(task, item, queue, now_ns=NOW, changed_ns=changed_ns, grace_ns=GRACE)


@pytest.mark.parametrize("item", ItemState)
@pytest.mark.parametrize("state", sorted(FINAL_STATES))
def test_a_finished_task_is_not_changed(state, item):
    assert ended(task_in(state), item) is None


@pytest.mark.parametrize("state", UNFINISHED)
def test_a_task_with_its_item_is_not_changed(state):
    assert ended(task_in(state, tried_s_ago=9_000), ItemState.PRESENT) is None


@pytest.mark.parametrize("state", UNFINISHED)
@pytest.mark.parametrize(
    ("item", "queue", "expected", "text"),
    [
        (ItemState.MISSING, QUEUE, TaskState.QUEUE_ERROR, "gone from queue Q"),
        (ItemState.MISSING, None, TaskState.QUEUE_ERROR, "does not exist"),
        (ItemState.SPENT, QUEUE, TaskState.EXPIRED, "delivered 3 times"),
    ],
)
def test_a_stuck_task_ends_with_the_reason(state, item, queue, expected, text):
    found = ended(task_in(state, tried_s_ago=9_000, last_err="boom"), item, queue)
    assert found.state is expected
    assert text in found.last_err
    assert found.last_err.endswith("before that: boom")
    assert expected in TRANSITIONS[state]


@pytest.mark.parametrize("state", UNFINISHED)
def test_a_recently_changed_task_is_left_alone(state):
    assert ended(task_in(state, tried_s_ago=9_000), changed_s_ago=599) is None
    assert ended(task_in(state, tried_s_ago=9_000), changed_s_ago=600) is not None


@pytest.mark.parametrize(("tried_s_ago", "may_run"), [(1, True), (659, True), (661, False)])
def test_a_task_that_may_still_run_is_left_alone(tried_s_ago, may_run):
    assert (ended(task_in(TaskState.ACTIVE, tried_s_ago=tried_s_ago)) is None) is may_run
