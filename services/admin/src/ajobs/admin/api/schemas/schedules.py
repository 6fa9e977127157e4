"""Bodies about schedules."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ajobs.admin.api.schemas.types import (
    INT32_MAX,
    Base64,
    Cron,
    Document,
    Duration,
    Name,
    Nanoseconds,
    Request,
    Time,
    Tries,
)


class ScheduleDocument(Document, frozen=True, kw_only=True):
    """A schedule."""

    name: str
    schedule: str
    queue: str
    task_type: str
    payload: Base64 = msgspec.field(default_factory=bytes)
    deadline: Nanoseconds = 0
    max_tries: int = msgspec.field(default_factory=int)
    created_at: Time
    paused: bool = msgspec.field(default_factory=bool)
    catch_up: str = ""
    catch_up_limit: int = 0
    jitter: Nanoseconds = 0
    next_run: Time | UnsetType = UNSET
    problem: Annotated[str, Meta(description="The reason if the scheduler cannot run this schedule.")] = ""


class ScheduleList(Document, frozen=True, kw_only=True):
    """All schedules, by name."""

    schedules: list[ScheduleDocument]


class ScheduleExtras(Request, frozen=True, kw_only=True):
    """Settings of a schedule that Choria Async Jobs does not have."""

    paused: bool | UnsetType = UNSET
    catch_up: Literal["none", "last", "all"] | UnsetType = UNSET
    catch_up_limit: Annotated[int, Meta(ge=1, le=INT32_MAX)] | UnsetType = UNSET
    jitter: Duration | UnsetType = UNSET


class ScheduleCreateRequest(ScheduleExtras, frozen=True, kw_only=True):
    """A new schedule. Set at most one of `payload` and `payload_base64`."""

    name: Name
    schedule: Cron
    queue: Name
    task_type: Name
    payload: Annotated[msgspec.Raw, Meta(description="Any JSON value.")] | UnsetType = UNSET
    payload_base64: Base64 | UnsetType = UNSET
    deadline_offset: (
        Annotated[Duration, Meta(description="Deadline of each task, counted from its tick: `30s` or more.")]
        | UnsetType
    ) = UNSET
    max_tries: Tries | UnsetType = UNSET


class ScheduleChanges(ScheduleExtras, frozen=True, kw_only=True):
    """Changes to a schedule. Omitted fields keep their value."""

    schedule: Cron | UnsetType = UNSET
    queue: Name | UnsetType = UNSET
    task_type: Name | UnsetType = UNSET
    payload: Annotated[msgspec.Raw, Meta(description="Any JSON value.")] | UnsetType = UNSET
    payload_base64: Base64 | UnsetType = UNSET
    deadline_offset: (
        Annotated[
            Duration,
            Meta(description="Deadline of each task, counted from its tick: `30s` or more. `0s`: no deadline."),
        ]
        | UnsetType
    ) = UNSET
    max_tries: Annotated[int, Meta(ge=0, le=INT32_MAX)] | UnsetType = UNSET


class NextRuns(Document, frozen=True, kw_only=True):
    """The next ticks of a schedule. Empty while it is paused."""

    name: str
    next: list[Time]
