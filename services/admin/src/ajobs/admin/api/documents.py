"""What requests and answers look like. Names of structures, less ``Document``, are those of the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ajobs.protocol.names import NAME_PATTERN

MAX_NAME = 200
"""Characters of a name: it becomes a part of subjects and files, which have limits."""
MAX_IDS = 100
MAX_BULK = 1_000
MAX_SELECTED = 10_000
MAX_WAIT_NS = 600 * 10**9

_INT32 = 2**31 - 1
_INT64 = 2**63 - 1
_DURATION_PATTERN = r"^([0-9]{1,5}(\.[0-9]{1,9})?(ns|us|µs|ms|s|m|h)){1,4}$"

Name = Annotated[str, Meta(pattern=f"^{NAME_PATTERN}$", min_length=1, max_length=MAX_NAME)]
TaskId = Annotated[
    str, Meta(pattern=f"^{NAME_PATTERN}$", min_length=1, max_length=MAX_NAME, description="A task's id.")
]
Duration = Annotated[
    str,
    Meta(
        description="A Go duration, such as 30s, 5m or 1h30m.",
        extra_json_schema={"pattern": _DURATION_PATTERN, "examples": ["1h30m"]},
    ),
]
Nanoseconds = Annotated[int, Meta(description="Nanoseconds.", extra_json_schema={"format": "int64"})]
Time = Annotated[str, Meta(description="An RFC 3339 time.", extra_json_schema={"format": "date-time"})]
Base64 = Annotated[bytes, Meta(description="Base64.", extra_json_schema={"format": "byte"})]
Tries = Annotated[int, Meta(ge=1, le=_INT32)]
Count = Annotated[int, Meta(ge=0, le=_INT64)]
Cron = Annotated[
    str,
    Meta(
        max_length=200,
        description="Five cron fields, @daily and the like, or @every 10m; CRON_TZ=... in front names a zone.",
        extra_json_schema={"examples": ["0 2 * * *"]},
    ),
]
StateName = Literal[
    "new", "active", "retry", "expired", "terminated", "complete", "queue_error", "blocked", "unreachable"
]


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A body that a client sends; a field that nobody knows is an error."""


class Document(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A body that the server sends; what is not there is left out."""


# ---- tasks


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
    dependency_results: dict[str, TaskResultDocument] = {}
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
    dependencies: Annotated[list[TaskId], Meta(max_length=1_000)] = []
    load_dependencies: bool = False
    signature: Annotated[str, Meta(max_length=200, description="Hex, over the fields of the task.")] = ""
    id: (
        Annotated[
            TaskId, Meta(description="An id of your own: a second task by it is refused. Needed with a signature.")
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


# ---- queues


class QueueCreateRequest(Request, frozen=True, kw_only=True):
    """A new queue."""

    name: Name
    max_age: Annotated[Duration, Meta(description="How long an item may wait; 0s: for ever.")] | UnsetType = UNSET
    max_entries: Count = 0
    discard_old: bool = False
    max_tries: Tries | UnsetType = UNSET
    max_runtime: Duration | UnsetType = UNSET
    max_concurrent: Annotated[int, Meta(ge=1, le=_INT32)] | UnsetType = UNSET


class QueueChanges(Request, frozen=True, kw_only=True):
    """What to change of a queue; what is left out stays."""

    max_age: Duration | UnsetType = UNSET
    max_entries: Count | UnsetType = UNSET
    max_tries: Annotated[int, Meta(ge=-1, le=_INT32)] | UnsetType = UNSET
    max_runtime: Duration | UnsetType = UNSET
    max_concurrent: Annotated[int, Meta(ge=1, le=_INT32)] | UnsetType = UNSET
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


# ---- schedules


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
    problem: Annotated[str, Meta(description="What is wrong with it, when it cannot be run.")] = ""


class ScheduleList(Document, frozen=True, kw_only=True):
    """All schedules, by name."""

    schedules: list[ScheduleDocument]


class ScheduleExtras(Request, frozen=True, kw_only=True):
    """What a schedule has beyond the original."""

    paused: bool | UnsetType = UNSET
    catch_up: Literal["none", "last", "all"] | UnsetType = UNSET
    catch_up_limit: Annotated[int, Meta(ge=1, le=_INT32)] | UnsetType = UNSET
    jitter: Duration | UnsetType = UNSET


class ScheduleCreateRequest(ScheduleExtras, frozen=True, kw_only=True):
    """A new schedule. Give one of `payload` and `payload_base64` at most."""

    name: Name
    schedule: Cron
    queue: Name
    task_type: Name
    payload: Annotated[msgspec.Raw, Meta(description="Any JSON value.")] | UnsetType = UNSET
    payload_base64: Base64 | UnsetType = UNSET
    deadline_offset: Annotated[Duration, Meta(description="30s or more after its tick.")] | UnsetType = UNSET
    max_tries: Tries | UnsetType = UNSET


class ScheduleChanges(ScheduleExtras, frozen=True, kw_only=True):
    """What to change of a schedule; what is left out stays."""

    schedule: Cron | UnsetType = UNSET
    queue: Name | UnsetType = UNSET
    task_type: Name | UnsetType = UNSET
    payload: Annotated[msgspec.Raw, Meta(description="Any JSON value.")] | UnsetType = UNSET
    payload_base64: Base64 | UnsetType = UNSET
    deadline_offset: Annotated[Duration, Meta(description="30s or more; 0s: none.")] | UnsetType = UNSET
    max_tries: Annotated[int, Meta(ge=0, le=_INT32)] | UnsetType = UNSET


class NextRuns(Document, frozen=True, kw_only=True):
    """When a schedule is due next; never while it is paused."""

    name: str
    next: list[Time]


# ---- server


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
