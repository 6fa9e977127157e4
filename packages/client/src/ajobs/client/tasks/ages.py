"""Ages and points in time as people write them: ``7d``, ``1w2d12h``, ``2026-01-31T12:00:00Z``."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta

from ajobs.protocol.durations import HOUR_NS, as_ns, parse_duration
from ajobs.protocol.errors import ConfigurationError, InvalidDurationError, InvalidTimestampError
from ajobs.protocol.timestamps import parse_timestamp, unix_ns

LONGEST_AGE = 200
"""Characters of an age at most."""

_DAY_NS = 24 * HOUR_NS
_LONG = {"w": 7 * _DAY_NS, "d": _DAY_NS, "M": 30 * _DAY_NS, "y": 365 * _DAY_NS, "Y": 365 * _DAY_NS}
_long_terms = re.compile(r"(?:\d+[wdMyY])+", re.ASCII).match
_long_term = re.compile(r"(\d+)([wdMyY])", re.ASCII).findall


def parse_age(text: str) -> int:
    """Return the nanoseconds of a Go duration text that may start with years, months (``M``), weeks and days.

    Raises:
        InvalidDurationError: The text is not such a duration, or does not fit 64 bits of nanoseconds.
    """
    found = _long_terms(text) if len(text) <= LONGEST_AGE else None
    if found is None:
        return parse_duration(text)
    rest = text[found.end() :]
    total = sum(int(number) * _LONG[unit] for number, unit in _long_term(found.group()))
    # The protocol's parser checks the range of the sum and the syntax of the rest.
    return parse_duration(f"{total}ns{rest}")


def moment_ns(name: str, moment: datetime | timedelta | str) -> int:
    """Return a point in time in nanoseconds since 1970.

    Args:
        name: The option or field that it was given as, for the error.
        moment: A time with a time zone, an age, or the text of either.

    Raises:
        ConfigurationError: A text is neither, or a time has no time zone.
    """
    if isinstance(moment, datetime):
        return unix_ns(moment)
    if isinstance(moment, timedelta):
        return time.time_ns() - as_ns(moment, name, signed=True)
    try:
        return time.time_ns() - parse_age(moment)
    except InvalidDurationError:
        try:
            return parse_timestamp(moment)
        except InvalidTimestampError:
            msg = f"invalid {name} {moment!r}: use an age such as 90m or 7d, or a time such as 2026-01-31T12:00:00Z"
            raise ConfigurationError(msg) from None
