"""Endpoints for many tasks, selected by ID or by a filter."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

from msgspec import UNSET

from ajobs.admin.api.conversion import created_from
from ajobs.admin.api.endpoints.tasks import TASK_REASONS
from ajobs.admin.api.errors import ApiError, http_error
from ajobs.admin.api.operation import Call, Operation, Success
from ajobs.admin.api.parsing import time_ns
from ajobs.admin.api.responses import Response
from ajobs.admin.api.schemas.tasks import (
    MAX_IDS,
    BulkCreateRequest,
    BulkCreateResponse,
    BulkCreateResult,
    BulkRetryRequest,
    BulkRetryResponse,
    BulkRetryResult,
    Failure,
    Purged,
    SelectionFailure,
    SelectionResponse,
    TaskSelection,
)
from ajobs.admin.api.service import Service
from ajobs.admin.api.tokens import Scope
from ajobs.client.identifiers import new_id
from ajobs.client.tasks.filter import Matcher
from ajobs.protocol.errors import AjobsError, NotFoundError
from ajobs.protocol.states import TaskState
from ajobs.protocol.task import Task

AT_ONCE = 32
"""Tasks to process concurrently."""
SHOWN = 100
"""Maximum number of failures in a response."""


async def create(call: Call) -> Response:
    """Enqueue many tasks."""
    request: BulkCreateRequest = call.body
    client, now_ns = call.service.client, time.time_ns()
    tasks: dict[int, Task] = {}
    failed: dict[int, AjobsError] = {}
    for index, each in enumerate(request.tasks):
        try:
            tasks[index] = created_from(client, each, new_id(), now_ns)
        except ApiError as e:
            # The request itself is invalid. Nothing has been stored yet.
            raise ApiError(str(e), reason=e.api_reason, field=f"tasks[{index}].{e.field}") from e
        except AjobsError as e:
            failed[index] = e
    places = list(tasks)
    bulk = await client.enqueue_many(tasks.values(), require_queue=True)
    failed |= {places[failure.index]: failure.error for failure in bulk.failed}
    results = [
        BulkCreateResult(index=index, status="failed", error=_failure(failed[index]))
        if index in failed
        else BulkCreateResult(index=index, status="ok", id=tasks[index].id)
        for index in range(len(request.tasks))
    ]
    enqueued = len(results) - len(failed)
    return Response(200, BulkCreateResponse(enqueued=enqueued, failed=len(failed), results=results))


def _failure(error: AjobsError) -> Failure:
    problem = http_error(error).problem
    details = problem.details
    return Failure(code=problem.code, message=problem.message, reason=(details and details.reason) or "")


async def retry(call: Call) -> Response:
    """Retry tasks by ID."""
    request: BulkRetryRequest = call.body
    if len(request.ids) > MAX_IDS:
        raise ApiError(f"too many ids ({len(request.ids)}): use at most {MAX_IDS}", reason="ids_too_many", field="ids")

    async def one(task_id: str) -> BulkRetryResult:
        try:
            await call.service.client.retry(task_id)
        except NotFoundError as e:
            return BulkRetryResult(id=task_id, status="not_found", error=str(e))
        except AjobsError as e:
            return BulkRetryResult(id=task_id, status="failed", error=str(e))
        return BulkRetryResult(id=task_id, status="ok")

    # Retry a task once, even if the request names it twice.
    unique = list(dict.fromkeys(request.ids))
    results = dict(zip(unique, await asyncio.gather(*map(one, unique)), strict=True))
    return Response(200, BulkRetryResponse(results=[results[task_id] for task_id in request.ids]))


async def retry_selected(call: Call) -> Response:
    """Retry the tasks that match a filter."""
    return await _selected(call, call.service.client.retry)


async def delete_selected(call: Call) -> Response:
    """Delete the tasks that match a filter."""
    return await _selected(call, call.service.client.delete)


async def _selected(call: Call, do: Callable[[str], Awaitable[Any]]) -> Response:
    selection: TaskSelection = call.body
    ids, more = await _select(call.service, selection)
    failures: list[SelectionFailure] = []
    waiting = iter(ids)

    async def work() -> None:
        for task_id in waiting:
            try:
                await do(task_id)
            except AjobsError as e:
                failures.append(SelectionFailure(id=task_id, error=_failure(e)))

    async with asyncio.TaskGroup() as group:
        for _ in range(min(AT_ONCE, len(ids))):
            group.create_task(work())
    answer = SelectionResponse(selected=len(ids), done=len(ids) - len(failures), failed=failures[:SHOWN], more=more)
    return Response(200, answer)


async def _select(service: Service, selection: TaskSelection) -> tuple[list[str], bool]:
    matcher = Matcher(
        states=frozenset(map(TaskState, selection.states)),
        queues=frozenset() if selection.queue is UNSET else frozenset({selection.queue}),
        task_types=frozenset() if selection.type is UNSET else frozenset({selection.type}),
        created_since_ns=None
        if selection.created_since is UNSET
        else time_ns("created_since", selection.created_since),
    )
    found = service.client.stored_tasks(matcher)
    # A task that changes meanwhile may be listed twice.
    ids: dict[str, None] = {}
    async with aclosing(found):
        async for task, _ in found:
            if len(ids) == selection.limit:
                return list(ids), True
            ids[task.id] = None
    return list(ids), False


async def purge(call: Call) -> Response:
    """Delete all tasks."""
    if call.headers.get("x-confirm") != "purge":
        raise ApiError(
            "this deletes all tasks: confirm with the header X-Confirm: purge",
            reason="confirmation_required", field="X-Confirm",
        )  # fmt: skip
    return Response(200, Purged(purged=await call.service.client.purge_tasks()))


_SELECTION = {"states": "task_state_invalid", "queue": "queue_name_invalid", "type": "task_type_invalid"}

OPERATIONS = (
    Operation(
        method="POST",
        path="/v1/tasks/retry",
        name="retryTasks",
        tag="Bulk",
        summary="Retry multiple tasks.",
        text="The status is 200 even if some or all tasks could not be retried.",
        handler=retry,
        scope=Scope.WRITE,
        body=BulkRetryRequest,
        reasons={"ids": "ids_required", "ids[]": "task_id_invalid"},
        responses={200: Success("The outcome for each task.", BulkRetryResponse)},
    ),
    Operation(
        method="POST",
        path="/v1/tasks/bulk",
        name="createTasks",
        tag="Bulk",
        summary="Create and enqueue many tasks.",
        text="Each task is handled like a single one. The status is 200 even if some or all tasks could not be "
        "enqueued. If one task in the body is invalid, none is enqueued. To make a repeat safe, choose the IDs "
        "yourself: a task with the same ID and content is enqueued once, and one with other content is refused.",
        handler=create,
        scope=Scope.WRITE,
        body=BulkCreateRequest,
        reasons={f"tasks[].{field}": reason for field, reason in TASK_REASONS.items()},
        responses={200: Success("The outcome for each task.", BulkCreateResponse)},
    ),
    Operation(
        method="POST",
        path="/v1/tasks/retry-matching",
        name="retryMatchingTasks",
        tag="Bulk",
        summary="Retry the tasks that match a filter.",
        handler=retry_selected,
        scope=Scope.ADMIN,
        body=TaskSelection,
        reasons=_SELECTION,
        responses={200: Success("The outcome.", SelectionResponse)},
    ),
    Operation(
        method="POST",
        path="/v1/tasks/delete-matching",
        name="deleteMatchingTasks",
        tag="Bulk",
        summary="Delete the tasks that match a filter.",
        handler=delete_selected,
        scope=Scope.ADMIN,
        body=TaskSelection,
        reasons=_SELECTION,
        responses={200: Success("The outcome.", SelectionResponse)},
    ),
    Operation(
        method="POST",
        path="/v1/tasks/purge",
        name="purgeTasks",
        tag="Bulk",
        summary="Delete all tasks.",
        text="Work items stay in their queues. Workers that receive them drop them.",
        handler=purge,
        scope=Scope.ADMIN,
        headers={"X-Confirm": "Must be `purge`. Without it, nothing is deleted."},
        responses={200: Success("The number of deleted tasks.", Purged)},
        errors=(400,),
    ),
)
