"""What `ajc top` makes of events and polls, by a clock that the tests move."""

from __future__ import annotations

import pytest

from ajobs.admin.top.counting import Buckets, Durations
from ajobs.admin.top.model import MOST_FAILURES, MOST_NAMES, OTHERS, Poll, PolledQueue, TopModel
from ajobs.protocol.events import LeaderEvent, TaskStateEvent
from ajobs.protocol.states import TaskState

T0 = 1_000.25


def event(state="new", *, task="a", queue="Q", task_type="t", error="", tries=0):
    return TaskStateEvent(
        event_id="e", timestamp="2026-01-31T12:00:00Z", task_id=task, state=TaskState(state), tries=tries, queue=queue,
        task_type=task_type, last_error=error,
    )  # fmt: skip


def queue(name="Q", **more):
    given = {"items": 3, "waiting": 2, "in_progress": 1, "oldest_s": 9.0, "paused": False, "pulls": 1}
    return PolledQueue(name=name, max_concurrent=100, **(given | more))


def model_of(*timed):
    model = TopModel(T0)
    for after_s, what in timed:
        model.note_event(what, T0 + after_s)
    return model


# ---- counting


@pytest.mark.parametrize(
    ("times", "now", "over", "expected"),
    [
        ([], 0, 10, 0.0),
        ([0.1], 0.2, 10, 1.0),  # less than a second passed: as if it were one
        ([0.1, 1.1, 2.1], 3.0, 10, 1.0),
        ([n / 10 for n in range(200)], 20, 10, 10.0),
        ([0.1] * 50, 30, 10, 0.0),  # long ago
        ([19.9] * 50, 20.1, 10, 5.0),  # the last complete second is among them
        ([20.05] * 50, 20.1, 10, 0.0),  # the second that is not over is not
        (list(range(1_000)), 1_000, 500, 1.0),  # longer than is remembered
    ],
)
def test_a_rate_is_the_average_of_the_last_complete_seconds(times, now, over, expected):
    buckets = Buckets(1_000.0, size=60)
    for time in times:
        buckets.add(1_000.0 + time)
    assert buckets.per_second(1_000.0 + now, over) == pytest.approx(expected)


def test_a_series_moves_with_the_clock_and_forgets():
    buckets = Buckets(100.0, size=5)
    buckets.add(100.5, 3)
    buckets.add(102.5, 4)
    assert buckets.series(103.0, 4) == [0, 3, 0, 4]
    assert buckets.series(105.0, 3) == [4, 0, 0]
    assert buckets.total(106.9) == 4
    assert buckets.total(107.0) == 0
    assert buckets.series(1e6, 99) == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("durations", "expected"),
    [
        ([], None),
        ([2.0], [2.0, 2.0, 2.0]),
        ([1.0, 3.0], [1.0, 3.0, 3.0]),
        ([float(n) for n in range(100, 0, -1)], [50.0, 95.0, 100.0]),
    ],
)
def test_percentiles_are_run_times_that_occurred(durations, expected):
    latest = Durations(most=100)
    for duration in durations:
        latest.add(5.0, duration)
    assert latest.percentiles(5.0, 0.5, 0.95, 1.0) == expected


def test_run_times_are_forgotten_by_number_and_by_age():
    latest = Durations(most=2, window_s=10)
    for time in (1.0, 2.0, 8.0):
        latest.add(time, time)
    assert latest.percentiles(8.0, 0.0, 1.0) == [2.0, 8.0]
    assert latest.percentiles(12.5, 0.0, 1.0) == [8.0, 8.0]
    assert latest.percentiles(18.5, 1.0) is None


# ---- events


@pytest.mark.parametrize(
    ("what", "counted"),
    [
        (event("new"), (1, 0, 0)),
        (event("blocked"), (1, 0, 0)),
        (event("active"), (0, 0, 0)),
        (event("complete"), (0, 1, 0)),
        (event("retry", error="no"), (0, 0, 1)),
        (event("retry"), (0, 0, 0)),  # handed back, or enqueued once more
        (event("expired"), (0, 0, 1)),
        (event("terminated"), (0, 0, 1)),
        (event("unreachable"), (0, 0, 1)),
        (event("queue_error"), (0, 0, 1)),
    ],
)
def test_each_state_is_counted_in_its_rate(what, counted):
    model = model_of((0.1, what))
    model.note_poll(Poll(queues=(queue(),)), T0)
    view = model.view(T0 + 1)
    for rates in (view.rates, view.queues[0].rates):
        assert (rates.enqueued, rates.completed, rates.failed) == counted
    assert len(view.failures) == counted[2]


@pytest.mark.parametrize(
    ("timed", "expected"),
    [
        ([(1, event("active")), (1.5, event("complete"))], (1, 0, 0.5)),
        ([(1, event("active")), (3, event("retry", error="x"))], (0, 1, 2.0)),
        ([(1, event("complete"))], (1, 0, None)),  # its start was not seen
        ([(1, event("active")), (2, event("active")), (2.25, event("complete"))], (1, 0, 0.25)),
        ([(1, event("active")), (2, event("retry")), (3, event("complete"))], (1, 0, 1.0)),
    ],
)
def test_a_run_lasts_from_its_start_to_its_end(timed, expected):
    (row,) = model_of(*timed).view(T0 + 5).types
    assert (row.completed, row.failed) == expected[:2]
    assert row.longest_s == (None if expected[2] is None else pytest.approx(expected[2]))


def test_a_run_that_ended_while_the_connection_was_down_has_no_time():
    model = model_of((1, event("active")))
    model.note_connection(connected=False)
    assert not model.view(T0 + 2).connected
    model.note_connection(connected=True)
    model.note_event(event("complete"), T0 + 60)
    view = model.view(T0 + 60)
    assert view.connected
    assert view.types[0].longest_s is None


def test_failures_come_latest_first_with_all_that_is_known():
    model = model_of(
        (1, event("retry", task="one", error="first", tries=1)),
        (2, event("expired", task="two", error="last", tries=2)),
    )
    first, second = model.view(T0 + 3).failures
    assert (first.task_id, first.state, first.error, first.tries) == ("two", "expired", "last", 2)
    assert (second.task_id, second.queue, second.task_type) == ("one", "Q", "t")


def test_one_queue_is_shown_by_itself():
    model = model_of(
        (0.1, event("complete", queue="A", task_type="x")),
        (0.2, event("terminated", queue="B", task_type="y", error="e")),
    )
    model.note_poll(Poll(queues=(queue("A"), queue("B"))), T0)
    view = model.view(T0 + 1, queue="B")
    assert [row.queue.name for row in view.queues] == ["B"]
    assert [row.task_type for row in view.types] == ["y"]
    assert (view.rates.completed, view.rates.failed) == (0, 1)
    assert [failure.queue for failure in view.failures] == ["B"]
    assert model.view(T0 + 1, queue="NEVER SEEN").rates.failed == 0


def test_a_leader_is_known_as_soon_as_it_is_elected():
    model = TopModel(T0)
    model.note_poll(Poll(leaders={"task_scheduler": "one", "other": "x"}), T0)
    model.note_event(
        LeaderEvent(event_id="e", timestamp="2026-01-31T12:00:00Z", name="two", component="task_scheduler"), T0
    )
    assert model.view(T0).poll.leaders == {"task_scheduler": "two", "other": "x"}


def test_a_failed_poll_keeps_the_last_one_with_its_age():
    model = TopModel(T0)
    model.note_poll(Poll(queues=(queue(),)), T0 + 1)
    model.note_problem("no answer")
    view = model.view(T0 + 31)
    assert (view.problem, view.stale_s, len(view.queues)) == ("no answer", 30, 1)
    model.note_poll(Poll(), T0 + 32)
    assert model.view(T0 + 32).problem == ""


def test_memory_is_bounded():
    model = TopModel(T0)
    for n in range(MOST_NAMES + 200):
        model.note_event(event("terminated", queue=f"Q{n}", task_type=f"t{n}", task=str(n)), T0 + 0.1)
    view = model.view(T0 + 1)
    assert len(view.types) == MOST_NAMES + 1
    assert next(row for row in view.types if row.task_type == OTHERS).failed == 200
    assert len(view.failures) == MOST_FAILURES
    assert view.rates.failed == MOST_NAMES + 200


def test_a_type_is_no_longer_shown_when_nothing_of_it_ended_for_five_minutes():
    model = model_of((1, event("complete")))
    assert model.view(T0 + 200).types
    assert model.view(T0 + 310).types == ()
