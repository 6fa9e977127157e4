"""Times with nanoseconds, as Go writes them into JSON.

A document keeps a time as the text that it came with, so that nothing is lost on the way through; the number is taken
from it when it is asked for. ``datetime`` has microseconds only and would break documents and signatures.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NewType

from ajobs.protocol.errors import ConfigurationError, InvalidTimestampError

Timestamp = NewType("Timestamp", str)
"""An RFC 3339 time with up to nine fractional digits, such as ``2022-02-02T13:04:26.123456789Z``."""

ZERO_TIME = Timestamp("0001-01-01T00:00:00Z")
"""Go's zero time, which stands for "not set"."""

NS_PER_S = 1_000_000_000
NS_PER_US = 1_000
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST_S = (date.min.toordinal() - _EPOCH_DAY) * 86_400
_LAST_S = (date.max.toordinal() - _EPOCH_DAY + 1) * 86_400 - 1

LONGEST_TEXT = 64
"""Characters of a time at most. Texts are cached, so longer ones would take much memory."""

_match_second = re.compile(r"(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):([0-5]\d):([0-5]\d)", re.ASCII).fullmatch
_match_rest = re.compile(r"(?:\.(\d+))?(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))", re.ASCII).fullmatch


# A worker asks for the times of a task several times while it has it. Errors are not cached.
@lru_cache(maxsize=1024)
def parse_timestamp(text: str) -> int:
    """Return the nanoseconds since 1970 that an RFC 3339 text stands for; digits past the ninth are cut, as Go does.

    Raises:
        InvalidTimestampError: The text is not RFC 3339, is too long, or its day does not exist.
    """
    if len(text) > LONGEST_TEXT:
        raise InvalidTimestampError(f"invalid time {text[:20]!r}... of {len(text):,} characters: use RFC 3339")
    rest = _match_rest(text, 19)
    if rest is None:
        raise _invalid(text)
    try:
        seconds = _parse_second(text[:19])
    except ValueError as e:
        raise _invalid(text) from e
    fraction, sign, hour, minute = rest.groups()
    if sign is not None:
        offset = int(hour) * 3_600 + int(minute) * 60
        seconds += offset if sign == "-" else -offset
    return seconds * NS_PER_S + (int(f"{fraction:0<9.9}") if fraction else 0)


def parse_datetime(text: str) -> datetime:
    """Return an RFC 3339 text as a ``datetime`` in UTC, cut to microseconds. Raises as `parse_timestamp` does."""
    return to_datetime(parse_timestamp(text))


def to_datetime(unix_ns: int) -> datetime:
    """Return nanoseconds since 1970 as a ``datetime`` in UTC, cut to microseconds."""
    return _EPOCH + timedelta(microseconds=unix_ns // NS_PER_US)


def unix_ns(moment: datetime) -> int:
    """Return the nanoseconds since 1970 of a time that has a time zone.

    Raises:
        ConfigurationError: It has no time zone, so it does not name one moment.
    """
    if moment.tzinfo is None:
        raise ConfigurationError(f"{moment.isoformat()} has no time zone: use datetime.now(UTC), or set tzinfo")
    return (moment - _EPOCH) // _MICROSECOND * NS_PER_US


# Most times that a worker meets lie in the last few seconds: a third of the time of parsing each.
@lru_cache(maxsize=1024)
def _parse_second(text: str) -> int:
    found = _match_second(text)
    if found is None:
        raise ValueError(text)
    year, month, day, hour, minute, second = map(int, found.groups())
    return (date(year, month, day).toordinal() - _EPOCH_DAY) * 86_400 + hour * 3_600 + minute * 60 + second


def format_timestamp(unix_ns: int) -> Timestamp:
    """Return the RFC 3339 text in UTC for nanoseconds since 1970, without trailing zeros, as Go writes it.

    Raises:
        InvalidTimestampError: The year is not within 1 to 9999.
    """
    seconds, ns = divmod(unix_ns, NS_PER_S)
    if ns % 10:
        return Timestamp(f"{_format_second(seconds)}.{ns:09d}Z")
    return Timestamp(f"{_format_second(seconds)}.{ns:09d}".rstrip("0").rstrip(".") + "Z")


@lru_cache(maxsize=64)
def format_second(unix_s: int) -> Timestamp:
    """Return the RFC 3339 text in UTC for seconds since 1970. Raises as `format_timestamp` does."""
    return format_timestamp(unix_s * NS_PER_S)


@lru_cache(maxsize=64)
def _format_second(unix_s: int) -> str:
    if not _FIRST_S <= unix_s <= _LAST_S:
        msg = f"{unix_s} seconds since 1970 are outside the years 1 to 9999"
        raise InvalidTimestampError(msg)
    return (_EPOCH + timedelta(seconds=unix_s)).replace(tzinfo=None).isoformat()


def _invalid(text: str) -> InvalidTimestampError:
    return InvalidTimestampError(f"invalid time {text!r}: use RFC 3339 such as 2022-02-02T13:04:26.123456789Z")
