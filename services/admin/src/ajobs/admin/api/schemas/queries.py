"""The parameters of queries, each a field; lists can be repeated."""

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
    """Which tasks to list."""

    state: Annotated[list[StateName], Meta(description="In one of these states.")] = []
    queue: Name | UnsetType = UNSET
    type: Name | UnsetType = UNSET
    created_since: Time | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=1_000, description="How many at most.")] = LIMIT
    stream: Annotated[Literal["ndjson"], Meta(description="A task a line, as they are found.")] | UnsetType = UNSET
    cursor: (
        Annotated[
            str, Meta(pattern="^[0-9]{1,18}$", description="Where to go on: the `next_cursor` of the page before.")
        ]
        | UnsetType
    ) = UNSET
    all: Annotated[bool, Meta(description="With `stream`: however many there are.")] = False


class WaitQuery(Query, frozen=True, kw_only=True):
    """How long to wait."""

    wait: (
        Annotated[Duration, Meta(description="For how long to wait until the task is finished, 10m at most.")]
        | UnsetType
    ) = UNSET


class RetryQuery(Query, frozen=True, kw_only=True):
    """How to retry."""

    queue: Annotated[Name, Meta(description="Move it to this queue.")] | UnsetType = UNSET
    force: Annotated[bool, Meta(description="Retry it although a worker seems to run it.")] = False


class EventQuery(Query, frozen=True, kw_only=True):
    """Which events to send. With any of these, only state changes of tasks."""

    task_id: TaskId | UnsetType = UNSET
    queue: Name | UnsetType = UNSET
    type: Name | UnsetType = UNSET
    state: Annotated[list[StateName], Meta(description="To one of these states.")] = []


class PauseQuery(Query, frozen=True, kw_only=True):
    """How long to pause."""

    duration: Annotated[Duration, Meta(description="For how long; without it, until it is resumed.")] | UnsetType = (
        UNSET
    )


class NextQuery(Query, frozen=True, kw_only=True):
    """How many runs to tell."""

    count: Annotated[int, Meta(ge=1, le=100)] = 5
