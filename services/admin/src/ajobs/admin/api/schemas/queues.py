"""Bodies about queues."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ajobs.admin.api.schemas.types import INT32_MAX, Count, Document, Duration, Name, Nanoseconds, Request, Time, Tries


class QueueCreateRequest(Request, frozen=True, kw_only=True):
    """A new queue."""

    name: Name
    max_age: Annotated[Duration, Meta(description="How long an item may wait; 0s: for ever.")] | UnsetType = UNSET
    max_entries: Count = 0
    discard_old: bool = False
    max_tries: Tries | UnsetType = UNSET
    max_runtime: Duration | UnsetType = UNSET
    max_concurrent: Annotated[int, Meta(ge=1, le=INT32_MAX)] | UnsetType = UNSET


class QueueChanges(Request, frozen=True, kw_only=True):
    """What to change of a queue; what is left out stays."""

    max_age: Duration | UnsetType = UNSET
    max_entries: Count | UnsetType = UNSET
    max_tries: Annotated[int, Meta(ge=-1, le=INT32_MAX)] | UnsetType = UNSET
    max_runtime: Duration | UnsetType = UNSET
    max_concurrent: Annotated[int, Meta(ge=1, le=INT32_MAX)] | UnsetType = UNSET
    replicas: Annotated[int, Meta(ge=1, le=5)] | UnsetType = UNSET


class QueueInfoDocument(Document, frozen=True, kw_only=True):
    """A queue's settings, and how it stands."""

    name: str
    time: Time
    max_age: Nanoseconds = msgspec.field(default_factory=int)
    max_entries: int = msgspec.field(default_factory=int)
    discard_old: bool = msgspec.field(default_factory=bool)
    max_tries: Annotated[int, Meta(description="-1: no limit but that of each task.")] = msgspec.field(
        default_factory=int
    )
    max_runtime: Nanoseconds = msgspec.field(default_factory=int)
    max_concurrent: int = msgspec.field(default_factory=int)
    replicas: int
    memory: bool
    created: Time
    items: Annotated[int, Meta(description="Work items in it, whether a worker has them or not.")]
    size_bytes: int
    in_progress: Annotated[int, Meta(description="Items that workers have, or that wait for a retry.")]
    waiting: int
    redelivered: int
    pulls: Annotated[int, Meta(description="Requests of workers that wait for items.")]
    paused_until: Time | UnsetType = UNSET


class QueueList(Document, frozen=True, kw_only=True):
    """All queues, by name."""

    queues: list[QueueInfoDocument]
