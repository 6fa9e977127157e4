"""Durations: integer nanoseconds in documents, Go's duration text (``1h30m``) for people."""

from __future__ import annotations

import re

from ajobs.protocol.errors import InvalidDurationError

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
_LONGEST_TEXT = 200
"""Characters at the most: far more than the longest duration takes."""
_TERM = r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)"
_is_duration = re.compile(rf"[+-]?(?:{_TERM})+", re.ASCII).fullmatch
_terms = re.compile(_TERM, re.ASCII).findall


def parse_duration(text: str) -> int:
    """Return the nanoseconds that a Go duration text such as ``1h15m30.918s``, ``-2m`` or ``0`` stands for.

    Raises:
        InvalidDurationError: The text is no Go duration, or does not fit a signed 64-bit number of nanoseconds.
    """
    if text.lstrip("+-") == "0" and len(text) <= len("-0"):
        return 0
    if len(text) > _LONGEST_TEXT:
        msg = f"{text[:20]!r}... has {len(text):,} characters: use numbers with ns, us, ms, s, m or h, such as 1h30m"
        raise InvalidDurationError(msg)
    if _is_duration(text) is None:
        msg = f"{text!r} is not a duration: use numbers with ns, us, ms, s, m or h, such as 90s or 1h30m"
        raise InvalidDurationError(msg)
    total = sum(_term_ns(number, unit) for number, unit in _terms(text))
    total = -total if text.startswith("-") else total
    if not -MAX_DURATION_NS - 1 <= total <= MAX_DURATION_NS:
        msg = f"{text!r} is too long a duration: the longest is {format_duration(MAX_DURATION_NS)}"
        raise InvalidDurationError(msg)
    return total


def _term_ns(number: str, unit: str) -> int:
    whole, _, fraction = number.partition(".")
    return (int(whole or "0") * 10 ** len(fraction) + int(fraction or "0")) * _UNIT_NS[unit] // 10 ** len(fraction)


def format_duration(duration_ns: int) -> str:
    """Return Go's text for a number of nanoseconds: ``1h30m0s``, ``1.5ms``, ``0s``."""
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
