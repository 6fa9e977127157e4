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
    """What a handler returned, and when."""

    payload: Annotated[msgspec.Raw, Meta(description="Any JSON value.")]
    completed: Time


class TaskDocument(Document, frozen=True, kw_only=True):
    """A task. Its payload is base64; to enqueue it anew, put that into `payload_base64`."""

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
    """A new task. Give one of `payload` and `payload_base64` at most."""

    type: Name
    queue: Name | UnsetType = UNSET
    payload: Annotated[msgspec.Raw, Meta(description="Any JSON value.")] | UnsetType = UNSET
    payload_base64: Base64 | UnsetType = UNSET
    deadline: Time | UnsetType = UNSET
    max_tries: Tries | UnsetType = UNSET
    dependencies: Annotated[list[TaskId], Meta(max_length=1_000)] = msgspec.field(default_factory=list)
    load_dependencies: bool = False
    signature: Annotated[str, Meta(max_length=200, description="Hex, over the fields of the task.")] = ""
    id: (
        Annotated[
            TaskId,
            Meta(description="An id of your own: a second task by it is refused. Needed with a signature."),
        ]
        | UnsetType
    ) = UNSET
    created: (
        Annotated[Time, Meta(description="When it was made: now, unless given. Needed with a signature.")] | UnsetType
    ) = UNSET


class TaskListResponse(Document, frozen=True, kw_only=True):
    """Some tasks, least recently changed first."""

    tasks: list[TaskDocument]
    count: Annotated[int, Meta(description="How many there are in this answer.")]
    next_cursor: Annotated[str, Meta(description="Where the next page begins; not there on the last one.")] = ""


class TaskOutcome(Document, frozen=True, kw_only=True):
    """How a task stands, and what its handler returned once it is complete."""

    id: str
    state: StateName
    tries: int
    payload: Annotated[msgspec.Raw, Meta(description="Any JSON value.")] | UnsetType = UNSET
    completed: Time | UnsetType = UNSET


class BulkRetryRequest(Request, frozen=True, kw_only=True):
    """Which tasks to retry."""

    ids: Annotated[
        list[Annotated[str, Meta(max_length=MAX_NAME)]],
        Meta(min_length=1, extra_json_schema={"maxItems": MAX_IDS}),
    ]


class BulkRetryResult(Document, frozen=True, kw_only=True):
    """What became of one of them."""

    id: str
    status: Literal["ok", "not_found", "failed"]
    error: str = ""


class BulkRetryResponse(Document, frozen=True, kw_only=True):
    """What became of each, in the order of the request."""

    results: list[BulkRetryResult]


class BulkCreateRequest(Request, frozen=True, kw_only=True):
    """Many new tasks."""

    tasks: Annotated[list[TaskCreateRequest], Meta(min_length=1, max_length=MAX_BULK)]


class Failure(Document, frozen=True, kw_only=True):
    """Why something was not done."""

    code: str
    message: str
    reason: str = ""


class BulkCreateResult(Document, frozen=True, kw_only=True):
    """What became of one of them."""

    index: Annotated[int, Meta(description="Its place in the request, from 0 on.")]
    status: Literal["ok", "failed"]
    id: str = ""
    error: Failure | UnsetType = UNSET


class BulkCreateResponse(Document, frozen=True, kw_only=True):
    """What became of each, in the order of the request."""

    enqueued: int
    failed: int
    results: list[BulkCreateResult]


class TaskSelection(Request, frozen=True, kw_only=True):
    """Tasks by what they are like. States have to be named."""

    states: Annotated[list[StateName], Meta(min_length=1, max_length=9)]
    queue: Name | UnsetType = UNSET
    type: Name | UnsetType = UNSET
    created_since: Time | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=MAX_SELECTED)] = 1_000


class SelectionFailure(Document, frozen=True, kw_only=True):
    """A task that it was not done with."""

    id: str
    error: Failure


class SelectionResponse(Document, frozen=True, kw_only=True):
    """What was done with the tasks that were selected."""

    selected: int
    done: int
    failed: list[SelectionFailure]
    more: Annotated[bool, Meta(description="Whether there are more than the limit.")]


class Purged(Document, frozen=True, kw_only=True):
    """How many there were."""

    purged: int
