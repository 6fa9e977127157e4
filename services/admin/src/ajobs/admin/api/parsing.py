"""Parse the durations and timestamps of requests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ajobs.admin.api.errors import ApiError
from ajobs.protocol.durations import MICROSECOND_NS, format_duration, parse_duration
from ajobs.protocol.errors import InvalidDurationError, InvalidTimestampError
from ajobs.protocol.timestamps import format_timestamp, parse_timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def duration_ns(field: str, text: str, *, most_ns: int | None = None) -> int:
    """Parse a duration that is not negative, in nanoseconds.

    Raises:
        ApiError: The duration is not valid, negative, or longer than ``most_ns``.
    """
    try:
        value = parse_duration(text)
    except InvalidDurationError as e:
        raise ApiError(f"{field}: {e}", reason=e.reason, field=field) from e
    if value < 0 or (most_ns is not None and value > most_ns):
        most = " or more" if most_ns is None else f" to {format_duration(most_ns)}"
        raise ApiError(f"invalid {field} {text!r}: use 0s{most}", reason=InvalidDurationError.reason, field=field)
    return value


def span(field: str, text: str) -> timedelta:
    """Parse a duration, rounded up to microseconds: rounded down, 1ns would be 0, which often means no limit.

    Raises as `duration_ns` does.
    """
    return timedelta(microseconds=-(-duration_ns(field, text) // MICROSECOND_NS))


def time_ns(field: str, text: str) -> int:
    """Parse a timestamp, in nanoseconds since 1970.

    Raises:
        ApiError: The timestamp is not valid, or outside the years that a task can store.
    """
    try:
        value = parse_timestamp(text)
        format_timestamp(value)
    except InvalidTimestampError as e:
        raise ApiError(f"{field}: {e}", reason=e.reason, field=field) from e
    return value


def moment(field: str, text: str) -> datetime:
    """Parse a timestamp, truncated to microseconds. Raises as `time_ns` does."""
    return _EPOCH + timedelta(microseconds=time_ns(field, text) // MICROSECOND_NS)
