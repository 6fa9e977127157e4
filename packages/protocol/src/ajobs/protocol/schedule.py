"""Schedules: rules that create tasks at times."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from hashlib import sha256

import msgspec

from ajobs.protocol.durations import MAX_DURATION_NS, SECOND_NS, format_duration
from ajobs.protocol.errors import InvalidScheduleError
from ajobs.protocol.ids import PAYLOAD_BYTES, format_ksuid
from ajobs.protocol.names import check_name, check_stored_queue
from ajobs.protocol.task import Count, Int64
from ajobs.protocol.timestamps import Timestamp, parse_datetime, parse_timestamp

SHORTEST_DEADLINE_NS = 30 * SECOND_NS


class Schedule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A schedule as it is stored. The protocol does not interpret its cron expression."""

    name: str
    schedule: str
    queue: str = msgspec.field(default_factory=str)
    task_type: str
    payload: bytes | None = msgspec.field(default_factory=lambda: None)
    deadline: Int64 = 0
    """Nanoseconds after a tick within which its task must start; 0: no limit."""
    max_tries: Int64 = msgspec.field(default_factory=int)
    created_at: Timestamp

    @property
    def created_time(self) -> datetime:
        """When it was created, in UTC, cut to microseconds."""
        return parse_datetime(self.created_at)


class CatchUp(StrEnum):
    """The ticks for which tasks are created after no scheduler led for a while."""

    NONE = "none"
    """None of the missed ticks."""
    LAST = "last"
    """The last missed tick."""
    ALL = "all"
    """All missed ticks, but at most the last ``catch_up_limit``."""


class ScheduleOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The options of a schedule that Choria Async Jobs does not have. They are stored under a key of their own."""

    paused: bool = False
    catch_up: CatchUp = CatchUp.LAST
    catch_up_limit: Count = 100
    jitter: Count = 0
    """Up to how many nanoseconds after a tick its task is created, to spread tasks out; fixed for each tick."""
    belongs_to: str = ""
    """The ``created_at`` of the schedule. A later schedule by the same name ignores these options."""
    signatures: tuple[str, ...] = ()
    """Signatures in hex; one of them has to fit. See `ajobs.protocol.schedule_signing`."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InvalidScheduleError: ``catch_up_limit`` is below 1, or the jitter is negative.
        """
        if self.catch_up_limit < 1:
            raise InvalidScheduleError(f"invalid catch_up_limit {self.catch_up_limit}: use 1 or more")
        if self.jitter < 0:
            raise InvalidScheduleError(f"invalid jitter of {self.jitter} ns: must not be negative")


def check_stored_schedule(schedule: Schedule) -> Schedule:
    """Return a schedule that was read if its names and its time can be used.

    Raises:
        InvalidNameError: The name, the queue or the task type is not a valid name.
        InvalidTimestampError: ``created_at`` is not RFC 3339.
    """
    check_name("schedule name", schedule.name)
    check_name("task type", schedule.task_type)
    check_stored_queue(schedule.queue)
    parse_timestamp(schedule.created_at)
    return schedule


def tick_id(name: str, tick_ns: int) -> str:
    """Return the id of the one task that a schedule creates for a tick: a KSUID of the tick's second and a hash."""
    return format_ksuid(tick_ns // SECOND_NS, _hash(name, tick_ns)[:PAYLOAD_BYTES])


def due_ns(name: str, tick_ns: int, jitter_ns: int) -> int:
    """Return when the task of a tick is created: up to ``jitter_ns`` after the tick, the same on every scheduler."""
    if not jitter_ns:
        return tick_ns
    return tick_ns + int.from_bytes(_hash(name, tick_ns)[PAYLOAD_BYTES:]) % (jitter_ns + 1)


def _hash(name: str, tick_ns: int) -> bytes:
    return sha256(f"{name}:{tick_ns}".encode()).digest()


def check_schedule(schedule: Schedule) -> Schedule:
    """Return the schedule if its names and numbers are valid.

    Raises:
        InvalidNameError: The name, the queue or the task type is not a valid name.
        InvalidScheduleError: The cron expression is empty, or the deadline or the number of tries is out of range.
    """
    check_name("schedule name", schedule.name)
    check_name("queue name", schedule.queue)
    check_name("task type", schedule.task_type)
    if not schedule.schedule.strip():
        msg = f"schedule {schedule.name} has no cron expression: use five fields such as '0 2 * * *', or '@every 10m'"
        raise InvalidScheduleError(msg)
    if schedule.deadline and schedule.deadline < SHORTEST_DEADLINE_NS:
        msg = (
            f"schedule {schedule.name} has a deadline of {format_duration(schedule.deadline)}: "
            f"use {format_duration(SHORTEST_DEADLINE_NS)} or more"
        )
        raise InvalidScheduleError(msg)
    if schedule.deadline > MAX_DURATION_NS:
        msg = f"schedule {schedule.name} has a deadline of {schedule.deadline} ns: use {MAX_DURATION_NS} or less"
        raise InvalidScheduleError(msg)
    if schedule.max_tries < 0:
        msg = f"schedule {schedule.name} has max_tries {schedule.max_tries}: use a positive number, or 0 for 10"
        raise InvalidScheduleError(msg)
    return schedule
