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
        Nanoseconds,
        Meta(description="Nanoseconds to keep a task after its last change. 0: without limit."),
    ]
    created: Time


class StoreChanges(Request, frozen=True, kw_only=True):
    """Changes to the task store. Omitted fields keep their value."""

    retention: (
        Annotated[Duration, Meta(description="How long a task is kept after its last change. `0s`: without limit.")]
        | UnsetType
    ) = UNSET
    replicas: Annotated[int, Meta(ge=1, le=5)] | UnsetType = UNSET


class Info(Document, frozen=True, kw_only=True):
    """The server, its queues and its features."""

    version: str
    auth: Literal["none", "mtls", "token"]
    queue_count: int
    task_count: int
    default_queue: Annotated[str, Meta(description="Queue of tasks that do not name one.")]
    features: dict[str, bool]


class RetryPolicyDocument(Document, frozen=True, kw_only=True):
    """A retry policy. The backoff is interval * jitter + random(0, interval)."""

    name: str
    intervals: list[Nanoseconds]
    jitter: float


class RetryPolicies(Document, frozen=True, kw_only=True):
    """All retry policies."""

    policies: list[RetryPolicyDocument]


class HealthResponse(Document, frozen=True, kw_only=True):
    """The server is alive."""

    status: Literal["ok"]
    time: Time


class CheckStatus(Document, frozen=True, kw_only=True):
    """The result of one check."""

    ok: bool
    error: str = ""


class Checks(Document, frozen=True, kw_only=True):
    """The results of all checks."""

    tasks: CheckStatus
    config: CheckStatus


class ReadinessResponse(Document, frozen=True, kw_only=True):
    """Whether the server is ready."""

    ready: bool
    checks: Checks


class WorkerList(Document, frozen=True, kw_only=True):
    """The running workers, by name. Workers of Choria Async Jobs do not announce themselves."""

    workers: list[dict[str, Any]]


class Leaders(Document, frozen=True, kw_only=True):
    """The leader of each election that has a leader."""

    leaders: dict[str, str]
