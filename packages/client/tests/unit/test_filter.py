"""Filters of tasks."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from ajobs.client.tasks.ages import parse_age
from ajobs.client.tasks.filter import Matcher
from ajobs.client.tasks.pages import page_start
from ajobs.protocol.durations import HOUR_NS, SECOND_NS
from ajobs.protocol.errors import ConfigurationError, InvalidDurationError, InvalidStateNameError
from ajobs.protocol.events import task_state_event
from ajobs.protocol.states import TaskState
from ajobs.protocol.task import new_task
from ajobs.protocol.timestamps import format_timestamp

CREATED_NS = 1_769_860_800 * SECOND_NS
"""2026-01-31T12:00:00Z."""
TASK = msgspec.structs.replace(
    new_task("email:new", b"1", task_id="t1", now_ns=CREATED_NS, queue="EMAIL"),
    state=TaskState.RETRY,
    last_err="Connection Refused",
    tried=format_timestamp(CREATED_NS + HOUR_NS),
)
NEVER_TRIED = msgspec.structs.replace(TASK, tried=None)


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        ({}, True),
        ({"states": ()}, True),
        ({"states": {TaskState.RETRY}}, True),
        ({"states": TaskState.RETRY}, True),
        ({"states": "new, retry"}, True),
        ({"states": ("new", "active,complete")}, False),
        ({"queue": "EMAIL"}, True),
        ({"queue": ("OTHER", "EMAIL")}, True),
        ({"queue": "OTHER"}, False),
        ({"task_type": "email:new"}, True),
        ({"task_type": ["email:old"]}, False),
        ({"created_since": "2026-01-31T12:00:00Z"}, True),
        ({"created_since": datetime(2026, 1, 31, 12, 0, 1, tzinfo=UTC)}, False),
        ({"created_before": "2026-01-31T12:00:00Z"}, False),
        ({"created_before": "2026-01-31T12:00:00.000000001Z"}, True),
        ({"tried_since": "2026-01-31T13:00:00Z"}, True),
        ({"tried_since": "2026-01-31T13:00:01Z"}, False),
        ({"tried_before": "2026-01-31T13:00:00Z"}, False),
        ({"tried_before": "2026-01-31T13:00:01Z"}, True),
        ({"error": "connection refused"}, True),
        ({"error": "timeout"}, False),
        ({"queue": "EMAIL", "error": "timeout"}, False),
    ],
)
def test_a_task_matches_when_all_parts_of_the_filter_do(wanted, matches):
    assert Matcher.of(**wanted).matches(TASK) is matches


@pytest.mark.parametrize("part", ["tried_since", "tried_before"])
def test_a_task_that_never_started_matches_no_time_of_a_try(part):
    assert not Matcher.of(**{part: "1h"}).matches(NEVER_TRIED)


@pytest.mark.parametrize("age", ["7d", "168h", timedelta(days=7)])
def test_an_age_counts_back_from_now(age):
    since_ns = Matcher.of(created_since=age).created_since_ns
    assert since_ns is not None
    assert 0 <= time.time_ns() - 7 * 24 * HOUR_NS - since_ns < 60 * SECOND_NS


def test_a_filter_without_parts_is_empty():
    assert Matcher.of().is_empty
    assert Matcher.of(states=(), queue=None, error="").is_empty
    assert not Matcher.of(error="x").is_empty


@pytest.mark.parametrize(
    ("wanted", "error", "text"),
    [
        ({"states": "gone"}, InvalidStateNameError, "gone"),
        ({"created_since": "noon"}, ConfigurationError, "invalid created_since 'noon'"),
        ({"tried_before": datetime(2026, 1, 1)}, ConfigurationError, "no time zone"),  # noqa: DTZ001 - the case
        ({"created": "1h"}, ConfigurationError, "unknown task filter 'created'"),
    ],
)
def test_an_invalid_filter_is_refused(wanted, error, text):
    with pytest.raises(error, match=text):
        Matcher.of(**wanted)


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        ({}, True),
        ({"states": "retry", "queue": "EMAIL", "task_type": "email:new"}, True),
        ({"states": "new"}, False),
        ({"queue": "OTHER"}, False),
        ({"task_type": "email:old"}, False),
    ],
)
def test_events_match_by_state_queue_and_type(wanted, matches):
    event = task_state_event(TASK, event_id="e", unix_s=CREATED_NS // SECOND_NS, now_ns=CREATED_NS)
    assert Matcher.of(**wanted).matches_event(event) is matches


@pytest.mark.parametrize("text", ["1" * 5_000 + "d", "1d" * 200, "9" * 10**6])
def test_an_age_is_bounded(text):
    with pytest.raises(InvalidDurationError):
        parse_age(text)


@pytest.mark.parametrize("cursor", ["1\n", " 1", "-1", "1.0", "x", "9" * 5_000, "\u0661"])
def test_a_cursor_is_digits_only_and_bounded(cursor):
    with pytest.raises(ConfigurationError, match="invalid cursor"):
        page_start(1, cursor)
