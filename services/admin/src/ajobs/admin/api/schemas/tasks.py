"""Bodies about single tasks and many tasks."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ajobs.admin.api.schemas.types import MAX_NAME, Base64, Document, Name, Request, StateName, TaskId, Time, Tries

MAX_IDS = 100
MAX_BULK = 1_000
MAX_SELECTED = 10_000


class TaskResultDocument(Document, frozen=True, kw_only=True):
    """The result of a task, and the time when it was complete."""

    payload: Annotated[msgspec.Raw, Meta(description="Any JSON value.")]
    completed: Time


class TaskDocument(Document, frozen=True, kw_only=True):
    """A task. Its payload is base64. To enqueue a copy, pass that text as `payload_base64`."""

    id: str
    type: str
    queue: str = ""
    dependencies: tuple[str, ...] = ()
    dependency_results: dict[str, TaskResultDocument] = msgspec.field(default_factory=dict)
    load_dependencies: bool = False
    payload: Base64
    deadline: Time | UnsetType = UNSET
    max_tries: int = msgspec.field(default_factory=int)
    result: TaskResultDocument | UnsetType = UNSET
    state: StateName
    created: Time
    tried: Time | UnsetType = UNSET
    tries: int = msgspec.field(default_factory=int)
    last_err: str = ""
    signature: str = ""


class TaskCreateRequest(Request, frozen=True, kw_only=True):
    """A new task. Set at most one of `payload` and `payload_base64`."""

    type: Name
    queue: Name | UnsetType = UNSET
    payload: Annotated[msgspec.Raw, Meta(description="Any JSON value.")] | UnsetType = UNSET
    payload_base64: Base64 | UnsetType = UNSET
    deadline: Time | UnsetType = UNSET
    max_tries: Tries | UnsetType = UNSET
    dependencies: Annotated[list[TaskId], Meta(max_length=1_000)] = msgspec.field(default_factory=list)
    load_dependencies: bool = False
    signature: Annotated[str, Meta(max_length=200, description="Hex-encoded Ed25519 signature of the task.")] = ""
    id: (
        Annotated[
            TaskId,
            Meta(description="Your own task ID. Another task with the same ID is refused. Required with `signature`."),
        ]
        | UnsetType
    ) = UNSET
    created: (
        Annotated[Time, Meta(description="Creation time. Default: now. Required with `signature`.")] | UnsetType
    ) = UNSET


class TaskListResponse(Document, frozen=True, kw_only=True):
    """A page of tasks, least recently changed first."""

    tasks: list[TaskDocument]
    count: Annotated[int, Meta(description="Number of tasks in this response.")]
    next_cursor: Annotated[str, Meta(description="`cursor` of the next page. Omitted on the last page.")] = ""


class TaskOutcome(Document, frozen=True, kw_only=True):
    """The state of a task, and its result once it is complete."""

    id: str
    state: StateName
    tries: int
    payload: Annotated[msgspec.Raw, Meta(description="Any JSON value.")] | UnsetType = UNSET
    completed: Time | UnsetType = UNSET


class BulkRetryRequest(Request, frozen=True, kw_only=True):
    """The tasks to retry."""

    ids: Annotated[
        list[Annotated[str, Meta(max_length=MAX_NAME)]],
        Meta(min_length=1, extra_json_schema={"maxItems": MAX_IDS}),
    ]


class BulkRetryResult(Document, frozen=True, kw_only=True):
    """The outcome for one task."""

    id: str
    status: Literal["ok", "not_found", "failed"]
    error: str = ""


class BulkRetryResponse(Document, frozen=True, kw_only=True):
    """The outcomes, in the order of the request."""

    results: list[BulkRetryResult]


class BulkCreateRequest(Request, frozen=True, kw_only=True):
    """New tasks."""

    tasks: Annotated[list[TaskCreateRequest], Meta(min_length=1, max_length=MAX_BULK)]


class Failure(Document, frozen=True, kw_only=True):
    """The reason of a failure."""

    code: str
    message: str
    reason: str = ""


class BulkCreateResult(Document, frozen=True, kw_only=True):
    """The outcome for one task."""

    index: Annotated[int, Meta(description="Position in the request, starting at 0.")]
    status: Literal["ok", "failed"]
    id: str = ""
    error: Failure | UnsetType = UNSET


class BulkCreateResponse(Document, frozen=True, kw_only=True):
    """The outcomes, in the order of the request."""

    enqueued: int
    failed: int
    results: list[BulkCreateResult]


class TaskSelection(Request, frozen=True, kw_only=True):
    """A filter that selects tasks. `states` is required."""

    states: Annotated[list[StateName], Meta(min_length=1, max_length=9)]
    queue: Name | UnsetType = UNSET
    type: Name | UnsetType = UNSET
    created_since: Time | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=MAX_SELECTED)] = 1_000


class SelectionFailure(Document, frozen=True, kw_only=True):
    """A task for which the operation failed."""

    id: str
    error: Failure


class SelectionResponse(Document, frozen=True, kw_only=True):
    """The outcome for the selected tasks."""

    selected: int
    done: int
    failed: list[SelectionFailure]
    more: Annotated[bool, Meta(description="Whether more tasks match than `limit` allows.")]


class Purged(Document, frozen=True, kw_only=True):
    """The number of purged tasks."""

    purged: int
