"""The text of a cron expression: its fields, names and errors, and the form that Choria Async Jobs reads too.

The rules for a single field are those of Go's ``robfig/cron``. Texts that only Python would read, such as day 7 for
Sunday or white space before a time zone, are accepted and written in a form that Go reads: see `canonical`.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ajobs.protocol.durations import SECOND_NS, format_duration, parse_duration
from ajobs.protocol.errors import InvalidDurationError, InvalidScheduleError

DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
SHORTEST_EVERY_NS = SECOND_NS
LONGEST_TEXT = 1_000
"""Maximum number of characters of a cron expression."""

SATURDAY, SUNDAY = 6, 7
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]


class Field(NamedTuple):
    """One of the five fields."""

    name: str
    lowest: int
    highest: int
    names: dict[str, int]

    @property
    def last(self) -> int:
        """Where ``*`` and ``5/2`` end, as in Go: on Saturday, although 7 is Sunday too."""
        return SATURDAY if self.highest == SUNDAY else self.highest


FIELDS = (
    Field("minute", 0, 59, {}),
    Field("hour", 0, 23, {}),
    Field("day of the month", 1, 31, {}),
    Field("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    Field("day of the week", 0, 7, {name: number for number, name in enumerate(_DAYS)}),
)

_term = re.compile(r"(?P<first>\*|\?|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>\w+))?", re.ASCII).fullmatch
_zone = re.compile(r"(?:CRON_)?TZ=(\S*)\s+")


def canonical(text: str) -> str:
    """Return a valid expression in a form that Go reads and that means the same: plain spaces, and no day 7."""
    text = text.strip()
    found = _zone.match(text)
    zone = "" if found is None else text[: found.end()].strip() + " "
    rest = text if found is None else text[found.end() :]
    if rest.startswith("@every"):
        return f"{zone}@every {rest.removeprefix('@every').strip()}"
    if rest.startswith("@"):
        return zone + rest
    *others, weekdays = rest.split()
    return zone + " ".join([*others, ",".join(map(_without_sunday_as_7, weekdays.split(",")))])


def _without_sunday_as_7(term: str) -> str:
    first, _, last = term.partition("/")[0].partition("-")
    if str(SUNDAY) not in {first.lstrip("0"), last.lstrip("0")}:
        return term
    days = {day % SUNDAY for day in numbers_of(FIELDS[-1], term)}
    return f"0-{SATURDAY}" if len(days) == len(_DAYS) else ",".join(map(str, sorted(days)))


def take_zone(text: str) -> tuple[ZoneInfo, str]:
    """Return the time zone of an expression, and the rest of it.

    Raises:
        InvalidScheduleError: The zone does not exist.
    """
    found = _zone.match(text)
    if found is None:
        return ZoneInfo("UTC"), text
    name = found[1]
    try:
        return ZoneInfo(name), text[found.end() :].strip()
    except (ZoneInfoNotFoundError, ValueError, OSError) as e:
        raise InvalidScheduleError(f"unknown time zone {name!r}: use a name such as Europe/Berlin") from e


def interval_ns(text: str) -> int:
    """Return the interval after ``@every``, in nanoseconds.

    Raises:
        InvalidScheduleError: It is not a duration, or shorter than a second.
    """
    try:
        found_ns = parse_duration(text)
    except InvalidDurationError as e:
        raise InvalidScheduleError(f"@every: {e}") from e
    if found_ns < SHORTEST_EVERY_NS:
        raise InvalidScheduleError(f"@every {text} is too often: use {format_duration(SHORTEST_EVERY_NS)} or more")
    return found_ns


def check_fields(text: str) -> list[str]:
    """Return the five fields, in lower case and with ``*`` in place of ``?``.

    Raises:
        InvalidScheduleError: One of them is not valid; the text says which, and why.
    """
    fields = text.split()
    if len(fields) != len(FIELDS):
        wanted = ", ".join(field.name for field in FIELDS)
        raise InvalidScheduleError(f"{text!r} has {len(fields)} fields and needs {len(FIELDS)}: {wanted}")
    for number, (field, value) in enumerate(zip(FIELDS, fields, strict=True), 1):
        for term in value.split(","):
            problem = _problem(field, term)
            if problem is not None:
                raise InvalidScheduleError(f"field {number} ({field.name}) of {text!r}: {term!r} {problem}")
    return [field.lower().replace("?", "*") for field in fields]


def _problem(field: Field, term: str) -> str | None:
    """Return what is wrong with one part of a field, if anything."""
    found = _term(term)
    if found is None:
        return "is not a number, a name, a range such as 1-5, or * or a range with a step such as */10"
    first, last, step = found["first"], found["last"], found["step"]
    any_value = first in {"*", "?"}
    if any_value and last is not None:
        return "begins a range with *: use numbers"
    if step is not None and (not step.isdigit() or int(step) < 1):
        return f"has the step {step}: use a number of 1 or more"
    bounds = [] if any_value else [_number(field, each) for each in (first, last) if each is not None]
    for given, bound in zip((first, last), bounds, strict=False):
        if bound is None or not field.lowest <= bound <= field.highest:
            names = f" or a name ({', '.join(field.names)})" if field.names else ""
            return f"has {given}: use {field.lowest} to {field.highest}{names}"
    if last is not None and bounds[0] > bounds[1]:  # pyright: ignore[reportOperatorIssue] - both are numbers by now
        return f"ends before it begins: use two parts, {_range(first, _last(field))},{_range(_first(field), last)}"
    return None


def _range(first: str, last: str) -> str:
    return first if first.lower() == last.lower() else f"{first}-{last}"


def _first(field: Field) -> str:
    return next(iter(field.names), str(field.lowest))


def _last(field: Field) -> str:
    return list(field.names)[-1] if field.names else str(field.highest)


def is_unrestricted(field: str) -> bool:
    """Return whether a day counts as not restricted: it begins with ``*``, or has a ``*`` in its list as Go has it."""
    return field.startswith("*") or not {"*", "*/1"}.isdisjoint(field.split(","))


def numbers_of(field: Field, value: str) -> set[int]:
    """Return the numbers that a checked field stands for. Sunday is 0 or 7, as it is written."""
    numbers: set[int] = set()
    for each in value.split(","):
        span, _, step = each.partition("/")
        first, _, last = span.partition("-")
        low = field.lowest if first == "*" else _number(field, first) or 0
        high = field.last if first == "*" or (step and not last) else _number(field, last or first) or 0
        numbers.update(range(low, max(low, high) + 1, int(step or 1)))
    return numbers


def _number(field: Field, text: str) -> int | None:
    if text.isdigit():
        return int(text)
    return field.names.get(text.lower())
