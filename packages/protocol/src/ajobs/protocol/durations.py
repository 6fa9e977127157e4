"""Durations: integer nanoseconds in documents, Go's duration text (``1h30m``) for people, `Duration` in the interface.

Every public function and option that takes a duration takes a `Duration` and converts it once, here. Attributes that
hold one are a ``timedelta``. Only code that runs for each task calculates with integer nanoseconds, and names them so.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta

from ajobs.protocol.errors import ConfigurationError, InvalidDurationError

Duration = timedelta | int | float | str
"""A ``timedelta``, a number of seconds, or Go's duration text such as ``90s`` or ``1h30m``."""

MICROSECOND_NS = 1_000
MILLISECOND_NS = 1_000_000
SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
MAX_DURATION_NS = (1 << 63) - 1

_UNIT_NS = {
    "ns": 1,
    "us": MICROSECOND_NS,
    "µs": MICROSECOND_NS,  # U+00B5, the micro sign
    "μs": MICROSECOND_NS,  # U+03BC, the Greek letter
    "ms": MILLISECOND_NS,
    "s": SECOND_NS,
    "m": MINUTE_NS,
    "h": HOUR_NS,
}
_MICROSECOND = timedelta(microseconds=1)
_LONGEST_TEXT = 200
"""Characters of a text at most: far more than the longest duration takes."""
# There is one way only to match a number, so that a text takes linear time whether it matches or not.
_TERM = r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)"
_is_duration = re.compile(rf"[+-]?(?:{_TERM})+", re.ASCII).fullmatch
_terms = re.compile(_TERM, re.ASCII).findall


def parse_duration(text: str) -> int:
    """Return the nanoseconds of a Go duration text such as ``1h15m30.918s``, ``-2m`` or ``0``.

    Follows ``time.ParseDuration`` of Go.

    Raises:
        InvalidDurationError: The text is not a Go duration, or does not fit a signed 64-bit number of nanoseconds.
    """
    if text.lstrip("+-") == "0" and len(text) <= len("-0"):
        return 0
    if len(text) > _LONGEST_TEXT:
        msg = f"invalid duration {text[:20]!r}... of {len(text):,} characters: use a text such as 90s or 1h30m"
        raise InvalidDurationError(msg)
    if _is_duration(text) is None:
        msg = f"invalid duration {text!r}: use numbers with ns, us, ms, s, m or h, such as 90s or 1h30m"
        raise InvalidDurationError(msg)
    total = sum(_term_ns(number, unit) for number, unit in _terms(text))
    total = -total if text.startswith("-") else total
    if not -MAX_DURATION_NS - 1 <= total <= MAX_DURATION_NS:
        msg = f"duration {text!r} is too long: the maximum is {format_duration(MAX_DURATION_NS)}"
        raise InvalidDurationError(msg)
    return total


def _term_ns(number: str, unit: str) -> int:
    whole, _, fraction = number.partition(".")
    return (int(whole or "0") * 10 ** len(fraction) + int(fraction or "0")) * _UNIT_NS[unit] // 10 ** len(fraction)


def format_duration(duration_ns: int) -> str:
    """Return Go's text for a number of nanoseconds: ``1h30m0s``, ``1.5ms``, ``0s``.

    Follows ``Duration.String`` of Go.
    """
    sign, rest = ("-", -duration_ns) if duration_ns < 0 else ("", duration_ns)
    if rest == 0:
        return "0s"
    for unit, unit_ns in (("ns", 1), ("µs", MICROSECOND_NS), ("ms", MILLISECOND_NS)):
        if rest < unit_ns * 1_000:
            return f"{sign}{_decimal(rest, unit_ns)}{unit}"
    hours, rest = divmod(rest, HOUR_NS)
    minutes, rest = divmod(rest, MINUTE_NS)
    text = f"{_decimal(rest, SECOND_NS)}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    if hours:
        text = f"{hours}h{text}"
    return sign + text


def _decimal(value: int, unit: int) -> str:
    whole, fraction = divmod(value, unit)
    if fraction == 0:
        return str(whole)
    return f"{whole}.{fraction:0{len(str(unit)) - 1}d}".rstrip("0")


def as_ns(value: Duration, option: str = "duration", *, positive: bool = False, signed: bool = False) -> int:
    """Return the nanoseconds of a duration, from 0 on.

    Args:
        value: A ``timedelta``, a number of seconds, or a Go duration text.
        option: The name under which the caller was given it, for the text of an error.
        positive: Refuse 0 too.
        signed: Accept negative durations.

    Raises:
        InvalidDurationError: The value is not a duration, or does not fit a signed 64-bit number of nanoseconds.
        ConfigurationError: It is negative, or 0 where it must be positive.
    """
    ns = _ns(value, option)
    if not -MAX_DURATION_NS - 1 <= ns <= MAX_DURATION_NS:
        msg = f"invalid {option} {_shown(value)}: the maximum is {format_duration(MAX_DURATION_NS)}"
        raise InvalidDurationError(msg)
    if positive and ns <= 0:
        raise ConfigurationError(f"invalid {option} {_shown(value)}: must be greater than 0")
    if ns < 0 and not signed:
        raise ConfigurationError(f"invalid {option} {_shown(value)}: must not be negative")
    return ns


def as_timedelta(
    value: Duration, option: str = "duration", *, positive: bool = False, signed: bool = False
) -> timedelta:
    """Return a duration as a ``timedelta``, rounded up to microseconds. Takes and raises what `as_ns` does."""
    return from_ns(as_ns(value, option, positive=positive, signed=signed))


def as_seconds(value: Duration, option: str = "duration", *, positive: bool = False, signed: bool = False) -> float:
    """Return a duration in seconds. Takes and raises what `as_ns` does."""
    return as_ns(value, option, positive=positive, signed=signed) / SECOND_NS


def from_ns(duration_ns: int) -> timedelta:
    """Return nanoseconds as a ``timedelta``, rounded up to microseconds so that a short duration never becomes 0."""
    return timedelta(microseconds=-(-duration_ns // MICROSECOND_NS))


def _ns(value: Duration, option: str) -> int:
    if isinstance(value, timedelta):
        return value // _MICROSECOND * MICROSECOND_NS
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except InvalidDurationError as e:
            raise InvalidDurationError(f"{option}: {e}") from e
    if isinstance(value, bool) or not isinstance(value, int | float):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without type checks
        msg = f"invalid {option} {value!r}: use a timedelta, a number of seconds, or a text such as 90s or 1h30m"
        raise InvalidDurationError(msg)
    if not math.isfinite(value):
        raise InvalidDurationError(f"invalid {option} {value!r}: not a finite number of seconds")
    if isinstance(value, int) or abs(value) > MAX_DURATION_NS:
        return int(value) * SECOND_NS  # as exact as it is; a float this large has no fraction
    return round(value * SECOND_NS)


def _shown(value: Duration) -> str:
    return f"{str(value)!r}" if isinstance(value, timedelta) else f"{value!r}"
