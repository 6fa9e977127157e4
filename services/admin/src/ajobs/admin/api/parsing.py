"""Times and durations between texts of requests, nanoseconds and what the client takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ajobs.admin.api.errors import ApiError
from ajobs.protocol.durations import MICROSECOND_NS, format_duration, parse_duration
from ajobs.protocol.errors import InvalidDurationError, InvalidTimestampError
from ajobs.protocol.timestamps import format_timestamp, parse_timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def duration_ns(field: str, text: str, *, most_ns: int | None = None) -> int:
    """Return the nanoseconds of a duration that is not negative.

    Raises:
        ApiError: It is none, or too long.
    """
    try:
        value = parse_duration(text)
    except InvalidDurationError as e:
        raise ApiError(f"{field}: {e}", reason=e.reason, field=field) from e
    if value < 0 or (most_ns is not None and value > most_ns):
        most = "" if most_ns is None else f" and {format_duration(most_ns)} at most"
        raise ApiError(f"{field} is {text}: use 0s or more{most}", reason=InvalidDurationError.reason, field=field)
    return value


def span(field: str, text: str) -> timedelta:
    """Return a duration as Python has it, to the microsecond. Raises as `duration_ns` does."""
    return timedelta(microseconds=duration_ns(field, text) // MICROSECOND_NS)


def time_ns(field: str, text: str) -> int:
    """Return the nanoseconds since 1970 of a time.

    Raises:
        ApiError: It is none, or of no year that a task can have.
    """
    try:
        value = parse_timestamp(text)
        format_timestamp(value)
    except InvalidTimestampError as e:
        raise ApiError(f"{field}: {e}", reason=e.reason, field=field) from e
    return value


def moment(field: str, text: str) -> datetime:
    """Return a time as Python has it, to the microsecond. Raises as `time_ns` does."""
    return _EPOCH + timedelta(microseconds=time_ns(field, text) // MICROSECOND_NS)
