"""The one conversion of durations that the public interface takes."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ajobs.protocol.durations import MAX_DURATION_NS, as_ns, as_seconds, as_timedelta, format_duration, from_ns
from ajobs.protocol.errors import ConfigurationError, InvalidArgumentError, InvalidDurationError


@pytest.mark.parametrize(
    ("value", "ns"),
    [
        (timedelta(seconds=90), 90 * 10**9),
        (timedelta(microseconds=1), 1_000),
        (90, 90 * 10**9),
        (0.5, 500_000_000),
        (0.1, 100_000_000),
        (1e-9, 1),
        (0, 0),
        ("90s", 90 * 10**9),
        ("1h30m", 5_400 * 10**9),
        ("0", 0),
        ("1ns", 1),
    ],
    ids=str,
)
def test_a_duration_is_a_timedelta_or_seconds_or_text(value, ns):
    assert as_ns(value) == ns
    assert as_seconds(value) == ns / 10**9


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (math.nan, "invalid timeout nan: not a finite number of seconds"),
        (math.inf, "invalid timeout inf: not a finite number of seconds"),
        (-math.inf, "invalid timeout -inf: not a finite number of seconds"),
        (None, "invalid timeout None: use a timedelta, a number of seconds, or a text such as 90s or 1h30m"),
        (True, "invalid timeout True: use a timedelta, a number of seconds, or a text such as 90s or 1h30m"),
        (b"5s", "invalid timeout b'5s': use a timedelta"),
        ("5", "timeout: invalid duration '5': use numbers with ns"),
        ("soon", "timeout: invalid duration 'soon'"),
        (1e300, r"invalid timeout 1e\+300: the maximum is 2562047h47m16.854775807s"),
        (10**10, "invalid timeout 10000000000: the maximum is"),
        (timedelta.max, "invalid timeout '999999999 days, 23:59:59.999999': the maximum is"),
        ("9999999h", "timeout: duration '9999999h' is too long: the maximum is"),
    ],
    ids=str,
)
def test_a_value_that_is_not_a_duration_is_refused_with_the_name_of_the_option(value, problem):
    with pytest.raises(InvalidDurationError, match=problem):
        as_ns(value, "timeout", signed=True)


@pytest.mark.parametrize("value", [-1, -0.5, "-1s", timedelta(seconds=-1)], ids=str)
def test_a_negative_duration_is_refused_unless_it_may_be(value):
    with pytest.raises(ConfigurationError, match=r"invalid grace .*: must not be negative"):
        as_ns(value, "grace")
    assert as_ns(value, "grace", signed=True) < 0


@pytest.mark.parametrize("value", [0, 0.0, "0s", timedelta(0), -1, 1e-10], ids=str)
def test_a_duration_that_must_be_positive_is_not_zero(value):
    with pytest.raises(ConfigurationError, match=r"invalid max_age .*: must be greater than 0"):
        as_ns(value, "max_age", positive=True)


@given(st.integers(-MAX_DURATION_NS, MAX_DURATION_NS))
def test_a_timedelta_is_never_shorter_and_less_than_a_microsecond_longer(ns):
    span = as_timedelta(format_duration(ns), signed=True) if abs(ns) < MAX_DURATION_NS - 1_000 else from_ns(ns)
    assert 0 <= span // timedelta(microseconds=1) * 1_000 - ns < 1_000


@given(st.timedeltas(timedelta(0), timedelta(days=100_000)))
def test_a_timedelta_survives_every_form(span):
    assert as_timedelta(span) == span
    assert as_timedelta(format_duration(as_ns(span))) == span


@given(st.floats() | st.integers() | st.text() | st.timedeltas())
def test_any_value_is_converted_or_refused(value):
    try:
        assert 0 <= as_ns(value) <= MAX_DURATION_NS
    except InvalidArgumentError:
        return
