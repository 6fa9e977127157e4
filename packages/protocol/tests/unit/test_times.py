"""IDs, times and durations: compared with other implementations, and by their properties."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ksuid import Ksuid as OtherKsuid

from ajobs.protocol.durations import MAX_DURATION_NS, format_duration, parse_duration
from ajobs.protocol.errors import InvalidDurationError, InvalidNameError, InvalidTimestampError
from ajobs.protocol.ids import EPOCH_S, MAX_UNIX_S, format_ksuid, ksuid_head, ksuid_tail, parse_ksuid
from ajobs.protocol.timestamps import ZERO_TIME, format_timestamp, parse_timestamp
from packages.protocol.tests.unit.strategies import FIRST_NS, LAST_NS, offset_times

seconds = st.integers(EPOCH_S, MAX_UNIX_S)
payloads = st.binary(min_size=16, max_size=16)


@given(seconds, payloads)
def test_a_ksuid_equals_that_of_another_implementation(unix_s, payload):
    other = OtherKsuid.from_bytes((unix_s - EPOCH_S).to_bytes(4) + payload)
    assert format_ksuid(unix_s, payload) == str(other)
    assert parse_ksuid(str(other)) == (unix_s, payload)


@given(seconds, payloads, seconds, payloads)
def test_ksuids_sort_by_time(one_s, one, other_s, other):
    if one_s != other_s:
        assert (format_ksuid(one_s, one) < format_ksuid(other_s, other)) == (one_s < other_s)


@given(seconds, payloads, st.integers(0, 2**64))
def test_a_head_with_any_tail_is_an_id_of_its_second(unix_s, payload, number):
    text = ksuid_head(unix_s, payload) + ksuid_tail(number)
    assert parse_ksuid(text).unix_s == unix_s
    assert ksuid_tail(number) != ksuid_tail(number + 1)


@pytest.mark.parametrize("edge", [bytes(16), b"\xff" * 16])
def test_a_head_never_reaches_into_another_second(edge):
    head = ksuid_head(EPOCH_S + 12345, edge)
    assert {parse_ksuid(head + digit * 9).unix_s for digit in "0z"} == {EPOCH_S + 12345}


@pytest.mark.parametrize("text", ["", "0" * 26, "z" * 27, "0" * 26 + "-", "0" * 26 + "é"])
def test_a_text_that_is_not_a_ksuid_is_refused(text):
    with pytest.raises(InvalidNameError):
        parse_ksuid(text)


@pytest.mark.parametrize(("unix_s", "payload"), [(EPOCH_S - 1, bytes(16)), (MAX_UNIX_S + 1, bytes(16)), (EPOCH_S, b"")])
def test_a_ksuid_out_of_range_is_refused(unix_s, payload):
    with pytest.raises(InvalidNameError):
        format_ksuid(unix_s, payload)


@given(st.integers(FIRST_NS, LAST_NS + 999_999_999))
def test_a_time_keeps_its_nanoseconds(unix_ns):
    assert parse_timestamp(format_timestamp(unix_ns)) == unix_ns


@given(st.integers(FIRST_NS, LAST_NS))
def test_a_time_is_written_without_trailing_zeros(unix_ns):
    text = format_timestamp(unix_ns)
    assert text.endswith("Z")
    assert not text.endswith(("0Z", ".Z")) or "." not in text


@given(offset_times)
def test_a_time_with_an_offset_is_parsed_as_datetime_does(text):
    whole = datetime.fromisoformat(text[:19] + text[19:].lstrip(".0123456789"))
    second = (whole - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    assert parse_timestamp(text) // 10**9 == second


def test_the_zero_time_of_go_is_parsed():
    assert format_timestamp(parse_timestamp(ZERO_TIME)) == ZERO_TIME
    assert parse_timestamp("2022-02-02T13:04:26.1234567899Z") == 1_643_807_066_123_456_789


@pytest.mark.parametrize(
    "text",
    ["", "2022-02-02", "2022-02-30T00:00:00Z", "2022-02-02T24:00:00Z", "2022-02-02T00:60:00Z", "2022-02-02T00:00:00",
     "2022-02-02t00:00:00Z", "2022-02-02T00:00:00,5Z", "2022-02-02T00:00:00.Z", "0000-01-01T00:00:00Z",
     "2022-02-02T00:00:00+24:00", "2022-02-02T00:00:00Z\n", " 2022-02-02T00:00:00Z", "\uff12022-02-02T00:00:00Z"],
)  # fmt: skip
def test_a_text_that_is_not_rfc_3339_is_refused(text):
    with pytest.raises(InvalidTimestampError):
        parse_timestamp(text)


@pytest.mark.parametrize("unix_ns", [FIRST_NS - 1, LAST_NS + 10**9])
def test_a_time_outside_of_the_years_one_to_9999_is_refused(unix_ns):
    with pytest.raises(InvalidTimestampError):
        format_timestamp(unix_ns)


@given(st.integers(-MAX_DURATION_NS, MAX_DURATION_NS))
def test_a_duration_survives_as_text(duration_ns):
    assert parse_duration(format_duration(duration_ns)) == duration_ns


@given(st.text())
def test_any_text_is_a_duration_or_is_refused_as_one(text):
    try:
        parse_duration(text)
    except InvalidDurationError:
        return
