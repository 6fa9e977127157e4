"""Schedules: tasks that are made again and again."""

from __future__ import annotations

import msgspec

from asyncjobs.protocol.durations import SECOND_NS, format_duration
from asyncjobs.protocol.errors import InvalidScheduleError
from asyncjobs.protocol.names import check_name
from asyncjobs.protocol.timestamps import Timestamp

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
    if schedule.max_tries < 0:
        msg = f"schedule {schedule.name} has max_tries {schedule.max_tries}: use a positive number, or 0 for no limit"
        raise InvalidScheduleError(msg)
    return schedule
