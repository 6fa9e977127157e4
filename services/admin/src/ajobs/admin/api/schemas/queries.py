"""The query parameters of each operation. A parameter that is a list may be repeated."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ajobs.admin.api.schemas.types import Duration, Name, StateName, TaskId, Time

LIMIT = 200
MAX_WAIT_NS = 600 * 10**9


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """No parameters."""


class TaskListQuery(Query, frozen=True, kw_only=True):
    """The filter and the page of a task list."""

    state: Annotated[list[StateName], Meta(description="Tasks in one of these states.")] = []
    queue: Name | UnsetType = UNSET
    type: Name | UnsetType = UNSET
    created_since: Time | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Maximum number of tasks.")] = LIMIT
    stream: Annotated[Literal["ndjson"], Meta(description="Stream one task per line.")] | UnsetType = UNSET
    cursor: (
        Annotated[str, Meta(pattern="^[0-9]{1,18}$", description="The `next_cursor` of the previous page.")] | UnsetType
    ) = UNSET
    all: Annotated[bool, Meta(description="With `stream`: list all tasks, without a limit.")] = False


class WaitQuery(Query, frozen=True, kw_only=True):
    """How long to wait for a task."""

    wait: (
        Annotated[Duration, Meta(description="How long to wait for the task to finish, at most `10m`.")] | UnsetType
    ) = UNSET


class RetryQuery(Query, frozen=True, kw_only=True):
    """How to retry."""

    queue: Annotated[Name, Meta(description="Move the task to this queue.")] | UnsetType = UNSET
    force: Annotated[bool, Meta(description="Retry the task even if it is active.")] = False


class EventQuery(Query, frozen=True, kw_only=True):
    """The filter of an event stream. With any filter, only task events are sent."""

    task_id: TaskId | UnsetType = UNSET
    queue: Name | UnsetType = UNSET
    type: Name | UnsetType = UNSET
    state: Annotated[list[StateName], Meta(description="Changes to one of these states.")] = []


class PauseQuery(Query, frozen=True, kw_only=True):
    """How long to pause a queue."""

    duration: Annotated[Duration, Meta(description="How long to pause. Default: until resumed.")] | UnsetType = UNSET


class NextQuery(Query, frozen=True, kw_only=True):
    """How many ticks to list."""

    count: Annotated[int, Meta(ge=1, le=100)] = 5
