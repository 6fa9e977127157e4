"""When a schedule's tasks are due: a pure function of its cron text and the time.

A text is five fields (minute, hour, day of the month, month, day of the week) with names, ranges, steps and lists, one
of ``@yearly`` ``@annually`` ``@monthly`` ``@weekly`` ``@daily`` ``@midnight`` ``@hourly``, or ``@every 1h30m``. When
both days are restricted, either is enough; a day that begins with ``*`` is not restricted, not even ``*/2``, so both
have to fit then. That is the meaning of Vixie's cron. ``CRON_TZ=Europe/Berlin`` (or ``TZ=``) in front says whose clock
counts; without it, UTC's.

Where clocks change, the rule follows Vixie's cron too, and goes by the hours alone:

- A schedule that names its hours runs once for each time that it names. A time that the clocks skip is made up for at
  the moment of the change, all such times together once; of a time that comes twice, the first counts.
- One whose hours begin with ``*`` goes by what the clock shows: not in the hour that is skipped, and in both of the
  hour that comes twice.

``@every`` counts from the schedule's creation on, clocks or no clocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

from croniter import croniter
from croniter.croniter import CroniterError

from ajobs.client.schedules.cron_text import (
    DESCRIPTORS,
    FIELDS,
    LONGEST_TEXT,
    check_fields,
    interval_ns,
    is_unrestricted,
    numbers_of,
    take_zone,
)
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.errors import InvalidScheduleError
from ajobs.protocol.schedule import Schedule
from ajobs.protocol.timestamps import parse_timestamp

_ANY_DAY = datetime(2024, 1, 1)  # noqa: DTZ001 - what a clock shows


class Recurrence(Protocol):
    """Tells when something is due."""

    def next_after(self, now_ns: int) -> int:
        """Return the first time after ``now_ns``, both in nanoseconds since 1970."""
        ...


class Every(NamedTuple):
    """At regular intervals from a beginning on."""

    start_ns: int
    interval_ns: int

    def next_after(self, now_ns: int) -> int:
        """Return the first time after ``now_ns``."""
        passed = max(0, (now_ns - self.start_ns) // self.interval_ns)
        return self.start_ns + (passed + 1) * self.interval_ns


class _Times(NamedTuple):
    """What a clock shows when something is due."""

    text: str
    """Five fields of plain numbers, or ``*``."""
    either_day: bool
    """Whether one of both days is enough."""


class Cron(NamedTuple):
    """By the clock of a time zone."""

    times: _Times
    zone: ZoneInfo
    every_hour: bool
    """Whether the hours begin with ``*``."""

    def next_after(self, now_ns: int) -> int:
        """Return the first time after ``now_ns``. Raises `InvalidScheduleError` if it never occurs."""
        now = datetime.fromtimestamp(now_ns // SECOND_NS, UTC)
        local = now.astimezone(self.zone)
        found = next(moment for moment in self._moments(local) if moment > now)
        if self.every_hour:
            again = self._second_pass(local, now)
            if again is not None:
                found = min(found, again)
        return int(found.timestamp()) * SECOND_NS

    def _moments(self, local: datetime) -> Iterator[datetime]:
        """Yield when the clock will show the times that are named, going by what it shows at ``local``."""
        wall = local.replace(tzinfo=None)
        while True:
            wall = _next_wall(self.times, wall)
            yield from _instants(wall, self.zone, both=self.every_hour)

    def _second_pass(self, local: datetime, now: datetime) -> datetime | None:
        """Return the first time in the hour that comes for the second time, when it is about to."""
        first, second = local.replace(fold=0), local.replace(fold=1)
        repeated = first.utcoffset() != second.utcoffset() and local.fold == 0
        if not repeated or first.utcoffset() < second.utcoffset():  # pyright: ignore[reportOperatorIssue] - both are there
            return None
        change = _change(self.zone, now, second.astimezone(UTC))
        wall = change.astimezone(self.zone).replace(tzinfo=None) - timedelta(seconds=1)
        wall = _next_wall(self.times, wall)
        return wall.replace(tzinfo=self.zone, fold=1).astimezone(UTC)


def _instants(wall: datetime, zone: ZoneInfo, *, both: bool) -> Iterator[datetime]:
    """Yield when a clock shows a time: never, once or twice."""
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if first > second:
        # Skipped: the clock jumps over it somewhere between the two.
        if not both:
            yield _change(zone, second, first)
        return
    yield first
    if both and second != first:
        yield second


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """Return the second at which a zone's offset changes, between two times with different ones."""
    old = before.astimezone(zone).utcoffset()
    low, high = int(before.timestamp()), int(after.timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == old:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)


@lru_cache(maxsize=65_536)
def _next_wall(times: _Times, wall: datetime) -> datetime:
    # Many schedules share a text, and all are asked at the same time.
    try:
        return croniter(times.text, wall, day_or=times.either_day).get_next(datetime)
    except CroniterError as e:
        raise InvalidScheduleError(f"{times.text!r} never comes") from e


def parse_recurrence(text: str, created_ns: int) -> Recurrence:
    """Return when a schedule with this text is due.

    Args:
        text: The cron text.
        created_ns: When the schedule was made, in nanoseconds since 1970: where ``@every`` begins.

    Raises:
        InvalidScheduleError: The text is wrong; the message says where and why.
    """
    if len(text) > LONGEST_TEXT:
        raise InvalidScheduleError(f"{text[:20]!r}... has {len(text):,} characters: use at most {LONGEST_TEXT:,}")
    if not text.replace("\t", " ").isprintable():
        raise InvalidScheduleError(f"invalid schedule {text!r}: remove line breaks and control characters")
    zone, rest = take_zone(text.strip())
    if rest.startswith("@every"):
        return Every(created_ns, interval_ns(rest.removeprefix("@every").strip()))
    if rest.startswith("@"):
        if rest not in DESCRIPTORS:
            known = ", ".join(DESCRIPTORS)
            raise InvalidScheduleError(f"{rest!r} is not known: use {known}, @every 10m or five fields")
        rest = DESCRIPTORS[rest]
    return _cron(rest, zone)


@lru_cache(maxsize=65_536)
def _cron(text: str, zone: ZoneInfo) -> Cron:
    fields = check_fields(text)
    times = _times(fields)
    try:
        _next_wall(times, _ANY_DAY)
    except InvalidScheduleError as e:  # a 30th of February
        raise InvalidScheduleError(f"{text!r} never comes: no such day exists") from e
    return Cron(times, zone, fields[1].startswith("*"))


def _times(fields: list[str]) -> _Times:
    """Return what fields mean, in plain numbers: croniter takes some ranges, such as 0-0, for something else."""
    numbers = [numbers_of(field, value) for field, value in zip(FIELDS, fields, strict=True)]
    days, weekdays = numbers[2], {number % 7 for number in numbers[4]}
    either_day = not (is_unrestricted(fields[2]) or is_unrestricted(fields[4]))
    numbers[4] = weekdays
    if either_day and (len(days) == len(range(1, 32)) or len(weekdays) == 7):
        numbers[2], numbers[4] = set(range(1, 32)), set(range(7))
    texts = (
        "*" if len(each) == count else ",".join(str(number) for number in sorted(each))
        for each, count in zip(numbers, (60, 24, 31, 12, 7), strict=True)
    )
    return _Times(" ".join(texts), either_day)


def recurrence_of(schedule: Schedule) -> Recurrence:
    """Return when a schedule is due. Raises as `parse_recurrence` does."""
    return parse_recurrence(schedule.schedule, parse_timestamp(schedule.created_at))


def next_ticks(recurrence: Recurrence, now_ns: int) -> Iterator[int]:
    """Yield all times after ``now_ns``, in nanoseconds since 1970."""
    while True:
        now_ns = recurrence.next_after(now_ns)
        yield now_ns


def latest_ticks(recurrence: Recurrence, after_ns: int, until_ns: int, count: int) -> list[int]:
    """Return the last ``count`` times after one time and up to another, in order.

    It computes few more than those, however many precede them.
    """
    if after_ns >= until_ns or count < 1:
        return []
    try:
        upcoming = list(islice(next_ticks(recurrence, until_ns), 2))
    except InvalidScheduleError:
        upcoming = []
    window_ns = (upcoming[1] - upcoming[0]) * count if len(upcoming) > 1 else until_ns - after_ns
    while True:
        start_ns = max(after_ns, until_ns - window_ns)
        ticks = _ticks_between(recurrence, start_ns, until_ns)
        if len(ticks) >= count or start_ns == after_ns:
            return ticks[-count:]
        window_ns *= 4


def _ticks_between(recurrence: Recurrence, after_ns: int, until_ns: int) -> list[int]:
    ticks: list[int] = []
    try:
        for tick_ns in next_ticks(recurrence, after_ns):
            if tick_ns > until_ns:
                break
            ticks.append(tick_ns)
    except InvalidScheduleError:
        pass  # the schedule is never due again
    return ticks


def preview(schedule: Schedule, now_ns: int, count: int) -> list[int]:
    """Return the next ``count`` times. Raises as `parse_recurrence` does."""
    return list(islice(next_ticks(recurrence_of(schedule), now_ns), count))
