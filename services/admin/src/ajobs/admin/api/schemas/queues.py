"""Bodies about queues."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ajobs.admin.api.schemas.types import INT32_MAX, Count, Document, Duration, Name, Nanoseconds, Request, Time, Tries


class QueueCreateRequest(Request, frozen=True, kw_only=True):
    """A new queue."""

    name: Name
    max_age: Annotated[Duration, Meta(description="Maximum age of a work item. `0s`: no limit.")] | UnsetType = UNSET
    max_entries: Count = 0
    discard_old: bool = False
    max_tries: Tries | UnsetType = UNSET
    max_runtime: Duration | UnsetType = UNSET
    max_concurrent: Annotated[int, Meta(ge=1, le=INT32_MAX)] | UnsetType = UNSET


class QueueChanges(Request, frozen=True, kw_only=True):
    """Changes to a queue. Omitted fields keep their value."""

    max_age: Duration | UnsetType = UNSET
    max_entries: Count | UnsetType = UNSET
    max_tries: Annotated[int, Meta(ge=-1, le=INT32_MAX)] | UnsetType = UNSET
    max_runtime: Duration | UnsetType = UNSET
    max_concurrent: Annotated[int, Meta(ge=1, le=INT32_MAX)] | UnsetType = UNSET
    replicas: Annotated[int, Meta(ge=1, le=5)] | UnsetType = UNSET


class QueueInfoDocument(Document, frozen=True, kw_only=True):
    """The settings and the current numbers of a queue."""

    name: str
    time: Time
    max_age: Nanoseconds = msgspec.field(default_factory=int)
    max_entries: int = msgspec.field(default_factory=int)
    discard_old: bool = msgspec.field(default_factory=bool)
    max_tries: Annotated[
        int, Meta(description="Maximum deliveries of an item. -1: only the `max_tries` of each task applies.")
    ] = msgspec.field(default_factory=int)
    max_runtime: Nanoseconds = msgspec.field(default_factory=int)
    max_concurrent: int = msgspec.field(default_factory=int)
    replicas: int
    memory: bool
    created: Time
    items: Annotated[int, Meta(description="Number of work items, including those that are in progress.")]
    size_bytes: int
    in_progress: Annotated[int, Meta(description="Number of items that a worker holds or that wait for a retry.")]
    waiting: int
    redelivered: int
    pulls: Annotated[int, Meta(description="Number of pull requests of workers that wait for items.")]
    paused_until: Time | UnsetType = UNSET


class QueueList(Document, frozen=True, kw_only=True):
    """All queues, by name."""

    queues: list[QueueInfoDocument]
