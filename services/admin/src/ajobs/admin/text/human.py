"""Numbers, sizes, durations and times as text for people."""

from __future__ import annotations

import time
from collections.abc import Callable

from ajobs.protocol.durations import (
    HOUR_NS,
    MICROSECOND_NS,
    MILLISECOND_NS,
    MINUTE_NS,
    SECOND_NS,
)
from ajobs.protocol.timestamps import ZERO_TIME, parse_timestamp

DAY_NS = 24 * HOUR_NS
YEAR_NS = 365 * DAY_NS
ENDLESS_PAUSE_NS = 50 * YEAR_NS
"""A pause without an end is stored as one of a hundred years."""

_UNITS = (("y", YEAR_NS), ("d", DAY_NS), ("h", HOUR_NS), ("m", MINUTE_NS), ("s", SECOND_NS))
_SIZES = ("KiB", "MiB", "GiB", "TiB", "PiB")


def duration_text(duration_ns: int) -> str:
    """Return a duration by its two largest units: ``1d2h``, ``4m5s``, ``1.25s``, ``12ms``."""
    if duration_ns < 0:
        return f"-{duration_text(-duration_ns)}"
    if duration_ns < MINUTE_NS:
        return _below_a_minute(duration_ns)
    for index, (unit, unit_ns) in enumerate(_UNITS):
        if duration_ns >= unit_ns:
            whole, rest = divmod(duration_ns, unit_ns)
            small_unit, small_ns = _UNITS[index + 1]
            small = rest // small_ns
            return f"{whole}{unit}{small}{small_unit}" if small else f"{whole}{unit}"
    raise AssertionError  # one of the units fits


def _below_a_minute(duration_ns: int) -> str:
    if duration_ns == 0:
        return "0s"
    for unit, unit_ns in (("s", SECOND_NS), ("ms", MILLISECOND_NS), ("µs", MICROSECOND_NS)):
        if duration_ns >= unit_ns:
            return f"{_short(duration_ns / unit_ns)}{unit}"
    return f"{duration_ns}ns"


def _short(number: float) -> str:
    """Return at most three digits, rounded down so that they never reach the next unit."""
    if number >= 100:
        return str(int(number))
    places = 1 if number >= 10 else 2
    cut = int(number * 10**places) / 10**places
    return f"{cut:.{places}f}".rstrip("0").rstrip(".")


def size_text(size_bytes: int) -> str:
    """Return a number of bytes: ``0 B``, ``1.5 KiB``, ``12 MiB``."""
    if size_bytes < 1024:
        return f"{size_bytes} B"
    size, power = size_bytes / 1024, 0
    while size >= 1000 and power < len(_SIZES) - 1:
        size, power = size / 1024, power + 1
    return f"{_short(size)} {_SIZES[power]}"


def count_text(number: int) -> str:
    """Return a number with commas: ``1,234,567``."""
    return f"{number:,}"


def plural(number: int, noun: str, nouns: str | None = None) -> str:
    """Return a number with its noun: ``1 task``, ``1,200 tasks``."""
    return f"{count_text(number)} {noun if number == 1 else nouns or noun + 's'}"


def limit_text(number: int) -> str:
    """Return a limit; 0 and negative numbers are ``unlimited``."""
    return count_text(number) if number > 0 else "unlimited"


def time_text(timestamp: str | None) -> str:
    """Return an RFC 3339 time as this host's clock shows it, to the second; ``never`` for none and Go's zero time."""
    if not timestamp or timestamp == ZERO_TIME:
        return "never"
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(parse_timestamp(timestamp) // SECOND_NS))


def ns_text(unix_ns: int) -> str:
    """Return nanoseconds since 1970 as this host's clock shows them, to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(unix_ns // SECOND_NS))


def age_text(timestamp: str | None, now_ns: int | None = None) -> str:
    """Return how long ago an RFC 3339 time was: ``5m3s``; ``never`` without a time."""
    if not timestamp or timestamp == ZERO_TIME:
        return "never"
    now_ns = time.time_ns() if now_ns is None else now_ns
    passed = now_ns - parse_timestamp(timestamp)
    return duration_text(max(passed, 0) // SECOND_NS * SECOND_NS)


def when_text(timestamp: str | None, now_ns: int | None = None) -> str:
    """Return a time and how far away it is: ``2026-01-31 12:00:00 UTC (5m3s ago)``."""
    if not timestamp or timestamp == ZERO_TIME:
        return "never"
    now_ns = time.time_ns() if now_ns is None else now_ns
    passed = now_ns - parse_timestamp(timestamp)
    apart = duration_text(abs(passed) // SECOND_NS * SECOND_NS)
    return f"{time_text(timestamp)} ({apart} ago)" if passed >= 0 else f"{time_text(timestamp)} (in {apart})"


def pause_end_text(timestamp: str, show: Callable[[str], str] = time_text, now_ns: int | None = None) -> str:
    """Return when a pause ends: a time, or ``resumed`` for a pause without an end, which lasts for decades."""
    now_ns = time.time_ns() if now_ns is None else now_ns
    return "resumed" if parse_timestamp(timestamp) > now_ns + ENDLESS_PAUSE_NS else show(timestamp)
