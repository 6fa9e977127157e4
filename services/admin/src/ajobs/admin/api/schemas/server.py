"""Bodies about the server, the task store, workers and elections."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from ajobs.admin.api.schemas.types import Document, Duration, Nanoseconds, Request, Time


class StoreDocument(Document, frozen=True, kw_only=True):
    """The task store."""

    tasks: int
    size_bytes: int
    replicas: int
    memory: bool
    retention: Annotated[
        Nanoseconds, Meta(description="Nanoseconds after its last change that a task is kept; 0: for ever.")
    ]
    created: Time


class StoreChanges(Request, frozen=True, kw_only=True):
    """What to change of the task store; what is left out stays."""

    retention: (
        Annotated[Duration, Meta(description="How long a task is kept after its last change; 0s: for ever.")]
        | UnsetType
    ) = UNSET
    replicas: Annotated[int, Meta(ge=1, le=5)] | UnsetType = UNSET


class Info(Document, frozen=True, kw_only=True):
    """The server, and what it serves."""

    version: str
    auth: Literal["none", "mtls", "token"]
    queue_count: int
    task_count: int
    default_queue: Annotated[str, Meta(description="The queue of tasks that name none.")]
    features: dict[str, bool]


class RetryPolicyDocument(Document, frozen=True, kw_only=True):
    """A retry policy. The wait for an interval is interval * jitter + random(0, interval)."""

    name: str
    intervals: list[Nanoseconds]
    jitter: float


class RetryPolicies(Document, frozen=True, kw_only=True):
    """All retry policies."""

    policies: list[RetryPolicyDocument]


class HealthResponse(Document, frozen=True, kw_only=True):
    """The server lives."""

    status: Literal["ok"]
    time: Time


class CheckStatus(Document, frozen=True, kw_only=True):
    """What was looked at."""

    ok: bool
    error: str = ""


class Checks(Document, frozen=True, kw_only=True):
    """All that was looked at."""

    tasks: CheckStatus
    config: CheckStatus


class ReadinessResponse(Document, frozen=True, kw_only=True):
    """Whether the server can do its work."""

    ready: bool
    checks: Checks


class WorkerList(Document, frozen=True, kw_only=True):
    """The workers that live, by name. Those of the original do not announce themselves."""

    workers: list[dict[str, Any]]


class Leaders(Document, frozen=True, kw_only=True):
    """The leader of each election that has one."""

    leaders: dict[str, str]
