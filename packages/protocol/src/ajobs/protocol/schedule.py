"""Schedules: tasks that are made again and again."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from hashlib import sha256

import msgspec

from ajobs.protocol.durations import MAX_DURATION_NS, SECOND_NS, format_duration
from ajobs.protocol.errors import InvalidScheduleError
from ajobs.protocol.ids import PAYLOAD_BYTES, format_ksuid
from ajobs.protocol.names import check_name
from ajobs.protocol.timestamps import Timestamp, parse_datetime

SHORTEST_DEADLINE_NS = 30 * SECOND_NS


class Schedule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A cron entry as it is stored. Its cron text is not looked into here."""

    name: str
    schedule: str
    queue: str = msgspec.field(default_factory=str)
    task_type: str
    payload: bytes | None = msgspec.field(default_factory=lambda: None)
    deadline: int = 0
    """Nanoseconds after a run's tick that its task may still be started; 0: no limit."""
    max_tries: int = msgspec.field(default_factory=int)
    created_at: Timestamp

    @property
    def created_time(self) -> datetime:
        """When it was created, in UTC, cut to microseconds."""
        return parse_datetime(self.created_at)


class CatchUp(StrEnum):
    """What to do about runs that were missed while no scheduler led."""

    NONE = "none"
    """Nothing."""
    LAST = "last"
    """Make up for the last of them."""
    ALL = "all"
    """Make up for all of them, the last ``catch_up_limit`` at the most."""


class ScheduleOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a schedule has beyond the original, kept beside it under a key of its own."""

    paused: bool = False
    catch_up: CatchUp = CatchUp.LAST
    catch_up_limit: int = 100
    jitter: int = 0
    """Nanoseconds by which a run may be late, so that not all begin at once; the same for each run of a tick."""
    belongs_to: str = ""
    """When the schedule was made that these are of: one that is made later by the same name begins without them."""

    def __post_init__(self) -> None:
        """Refuse numbers out of range.

        Raises:
            InvalidScheduleError: They are.
        """
        if self.catch_up_limit < 1:
            raise InvalidScheduleError(f"catch_up_limit is {self.catch_up_limit}: use 1 or more")
        if self.jitter < 0:
            raise InvalidScheduleError(f"jitter is {self.jitter}: use 0 or more nanoseconds")


def tick_id(name: str, tick_ns: int) -> str:
    """Return the id of the one task that a schedule makes for a tick: a KSUID of the tick's second and a hash."""
    return format_ksuid(tick_ns // SECOND_NS, _hash(name, tick_ns)[:PAYLOAD_BYTES])


def due_ns(name: str, tick_ns: int, jitter_ns: int) -> int:
    """Return when the task for a tick is made: at the tick, or up to ``jitter_ns`` later, the same for everybody."""
    if not jitter_ns:
        return tick_ns
    return tick_ns + int.from_bytes(_hash(name, tick_ns)[PAYLOAD_BYTES:]) % (jitter_ns + 1)


def _hash(name: str, tick_ns: int) -> bytes:
    return sha256(f"{name}:{tick_ns}".encode()).digest()


def check_schedule(schedule: Schedule) -> Schedule:
    """Return the schedule when its names and numbers can be used.

    Raises:
        InvalidNameError: The name, the queue or the task type is not a valid name.
        InvalidScheduleError: The cron text is empty, or the deadline or the number of tries is out of range.
    """
    check_name("schedule name", schedule.name)
    check_name("queue name", schedule.queue)
    check_name("task type", schedule.task_type)
    if not schedule.schedule.strip():
        msg = f"schedule {schedule.name} has no cron text: use five fields such as '0 2 * * *', or '@every 10m'"
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
        msg = f"schedule {schedule.name} has max_tries {schedule.max_tries}: use a positive number, or 0 for no limit"
        raise InvalidScheduleError(msg)
    return schedule
