"""Convert requests to tasks, and tasks, queues and schedules to response documents."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from ajobs.admin.api.errors import ApiError
from ajobs.admin.api.parsing import time_ns
from ajobs.admin.api.schemas.queues import QueueInfoDocument
from ajobs.admin.api.schemas.schedules import ScheduleDocument
from ajobs.admin.api.schemas.tasks import TaskCreateRequest, TaskDocument, TaskResultDocument
from ajobs.client.client import Client
from ajobs.client.schedules.schedules import ScheduleInfo, next_due_ns
from ajobs.client.storage.queues import QueueInfo
from ajobs.protocol.durations import as_ns
from ajobs.protocol.errors import AjobsError, TaskPastDeadlineError
from ajobs.protocol.task import DEFAULT_MAX_TRIES, Result, Task, new_task
from ajobs.protocol.timestamps import Timestamp, format_timestamp


def payload_of(payload: msgspec.Raw | UnsetType, payload_base64: bytes | UnsetType) -> bytes | None:
    """Return the payload that a request gives as JSON or as base64; ``None`` without one.

    Raises:
        ApiError: Both fields are set, or the payload is not valid JSON.
    """
    if payload is UNSET:
        return None if payload_base64 is UNSET else payload_base64
    if payload_base64 is not UNSET:
        raise ApiError(
            "payload and payload_base64 are both set: use only one of them", reason="payload_both_set", field="payload"
        )
    raw = bytes(payload)
    try:
        msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise ApiError(f"payload is not valid JSON: {e}", reason="invalid_json", field="payload") from e
    return raw


def new_times(request: TaskCreateRequest, now_ns: int) -> tuple[int, int | None]:
    """Return the creation time and the deadline of a new task, in nanoseconds since 1970.

    Raises:
        ApiError: A timestamp is not valid.
        TaskPastDeadlineError: The deadline has passed.
    """
    created_ns = now_ns if request.created is UNSET else time_ns("created", request.created)
    if request.deadline is UNSET:
        return created_ns, None
    deadline_ns = time_ns("deadline", request.deadline)
    if deadline_ns < now_ns:
        raise TaskPastDeadlineError(f"deadline {request.deadline} has passed: use a time in the future")
    return created_ns, deadline_ns


def task_from(client: Client, request: TaskCreateRequest, task_id: str, created_ns: int) -> Task:
    """Return the task that a request describes, with its signature.

    Raises:
        AjobsError: The task is not valid, or its signature is missing or wrong.
    """
    task = new_task(
        request.type,
        payload_of(request.payload, request.payload_base64),
        task_id=task_id,
        now_ns=created_ns,
        queue=client.queue.name if request.queue is UNSET else request.queue,
        deadline_ns=None if request.deadline is UNSET else time_ns("deadline", request.deadline),
        max_tries=DEFAULT_MAX_TRIES if request.max_tries is UNSET else request.max_tries,
        dependencies=request.dependencies,
        load_dependencies=request.load_dependencies,
    )
    task = msgspec.structs.replace(task, signature=request.signature)
    if client.keys.signer is None:
        client.verify(task)
    return task


def created_from(client: Client, request: TaskCreateRequest, task_id: str, now_ns: int) -> Task:
    """Return the task of a request, with the id and the creation time of the request if it has them."""
    created_ns, _ = new_times(request, now_ns)
    return task_from(client, request, task_id if request.id is UNSET else request.id, created_ns)


def task_document(task: Task) -> TaskDocument:
    """Return the document of a task."""
    parents = task.dependency_results or {}
    return TaskDocument(
        id=task.id,
        type=task.type,
        queue=task.queue,
        dependencies=task.dependencies or (),
        dependency_results={key: _result(value) for key, value in parents.items() if value is not None},
        load_dependencies=task.load_dependencies,
        payload=task.payload or b"",
        deadline=_or_unset(task.deadline),
        max_tries=task.max_tries,
        result=UNSET if task.result is None else _result(task.result),
        state=task.state.value,  # pyright: ignore[reportArgumentType] - same names
        created=task.created,
        tried=_or_unset(task.tried),
        tries=task.tries,
        last_err=task.last_err,
        signature=task.signature,
    )


def _or_unset(value: Timestamp | None) -> str | UnsetType:
    return UNSET if value is None else value


def _result(result: Result) -> TaskResultDocument:
    return TaskResultDocument(payload=result.payload, completed=result.completed)


def queue_document(info: QueueInfo) -> QueueInfoDocument:
    """Return the document of a queue. It holds nothing of the underlying stream."""
    queue = info.queue
    return QueueInfoDocument(
        name=queue.name,
        time=format_timestamp(time.time_ns()),
        max_age=as_ns(queue.max_age),
        max_entries=queue.max_entries,
        discard_old=queue.discard_old,
        max_tries=queue.max_tries,
        max_runtime=as_ns(queue.max_run_time),
        max_concurrent=queue.max_concurrent,
        replicas=info.replicas,
        memory=info.memory,
        created=info.created,
        items=info.items,
        size_bytes=info.size_bytes,
        in_progress=info.in_progress,
        waiting=info.waiting,
        redelivered=info.redelivered,
        pulls=info.pulls,
        paused_until=UNSET if info.paused_until is None else info.paused_until,
    )


def schedule_document(info: ScheduleInfo) -> ScheduleDocument:
    """Return the document of a schedule."""
    schedule, options = info.schedule, info.options
    upcoming: list[Any] = []
    problem = info.problem or ""
    try:
        upcoming = [format_timestamp(due_ns) for due_ns in next_due_ns(info)]
    except AjobsError as e:
        problem = problem or str(e)
    return ScheduleDocument(
        name=schedule.name,
        schedule=schedule.schedule,
        queue=schedule.queue,
        task_type=schedule.task_type,
        payload=schedule.payload or b"",
        deadline=schedule.deadline,
        max_tries=schedule.max_tries,
        created_at=schedule.created_at,
        paused=options.paused,
        catch_up=options.catch_up.value,
        catch_up_limit=options.catch_up_limit,
        jitter=options.jitter,
        next_run=upcoming[0] if upcoming else UNSET,
        problem=problem,
    )
