"""Endpoints for single tasks: enqueue, get, wait, retry, delete."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import msgspec
from msgspec import UNSET, UnsetType

from ajobs.admin.api.conversion import created_from, new_times, task_document, task_from
from ajobs.admin.api.errors import ApiError
from ajobs.admin.api.operation import Call, Operation, Success
from ajobs.admin.api.parsing import duration_ns
from ajobs.admin.api.responses import Response
from ajobs.admin.api.schemas.queries import MAX_WAIT_NS, RetryQuery, WaitQuery
from ajobs.admin.api.schemas.tasks import TaskCreateRequest, TaskDocument, TaskOutcome
from ajobs.admin.api.tokens import Scope
from ajobs.client.identifiers import new_id
from ajobs.client.tasks.idempotency import Key
from ajobs.client.tasks.wait import LOOK_AGAIN_S, check_complete
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.errors import IdempotencyKeyReusedError, InvalidIdempotencyKeyError
from ajobs.protocol.states import FINAL_STATES
from ajobs.protocol.task import Task

TASK_REASONS = {
    "type": "task_type_invalid",
    "id": "task_id_invalid",
    "queue": "queue_name_invalid",
    "dependencies[]": "task_id_invalid",
}


async def create(call: Call) -> Response:
    """Enqueue a task."""
    request: TaskCreateRequest = call.body
    client, now_ns = call.service.client, time.time_ns()
    new_task_id = new_id() if request.id is UNSET else request.id
    # Report an invalid request before anything is read or written.
    task = created_from(client, request, new_task_id, now_ns)
    text = call.headers.get("idempotency-key")
    if text is None:
        return _created(201, await client.enqueue(task, require_queue=True))
    await client.join_queue(task.queue)
    key = Key(call.owner, text, msgspec.json.encode(msgspec.json.decode(call.raw_body), order="sorted"))
    try:
        once = await call.service.idempotency.enqueue(
            key,
            new_task_id,
            new_times(request, now_ns)[0],
            lambda task_id, at_ns: task_from(client, request, task_id, at_ns),
        )
    except (InvalidIdempotencyKeyError, IdempotencyKeyReusedError) as e:
        raise ApiError(str(e), code=e.code, reason=e.reason, field="Idempotency-Key") from e
    return _created(200 if once.repeated else 201, once.task)


def _created(status: int, task: Task) -> Response:
    return Response(status, task_document(task), {"Location": f"/v1/tasks/{task.id}"})


async def get(call: Call) -> Response:
    """Return a task, after waiting for it if asked to."""
    return Response(200, task_document(await _finished(call)))


async def result(call: Call) -> Response:
    """Return the result of a task, after waiting for it if asked to."""
    task = await _finished(call)
    if task.state not in FINAL_STATES:
        outcome = TaskOutcome(id=task.id, state=task.state.value, tries=task.tries)  # pyright: ignore[reportArgumentType]
        return Response(202, outcome, {"Retry-After": "1"})
    returned = check_complete(task).result
    outcome = TaskOutcome(
        id=task.id,
        state="complete",
        tries=task.tries,
        payload=msgspec.Raw(b"null") if returned is None else returned.payload,
        completed=UNSET if returned is None else returned.completed,
    )
    return Response(200, outcome)


async def _finished(call: Call) -> Task:
    """Return a task once it is finished, or in its current state after the wait."""
    service, task_id = call.service, call.path["id"]
    wait: str | UnsetType = call.query.wait
    wait_ns = 0 if wait is UNSET else duration_ns("wait", wait, most_ns=MAX_WAIT_NS)
    task = await service.client.load(task_id)
    if task.state in FINAL_STATES or not wait_ns:
        return task
    loop = asyncio.get_running_loop()
    end = loop.time() + wait_ns / SECOND_NS
    async with service.events.changes_of(task_id) as changed:
        while True:
            changed.clear()
            task = await service.client.load(task_id)
            left_s = end - loop.time()
            if task.state in FINAL_STATES or left_s <= 0 or service.stopping.is_set():
                return task
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, LOOK_AGAIN_S)):
                    await changed.wait()


async def delete(call: Call) -> Response:
    """Delete a task."""
    await call.service.client.delete(call.path["id"])
    return Response(204)


async def retry(call: Call) -> Response:
    """Enqueue a task again."""
    query: RetryQuery = call.query
    queue = None if query.queue is UNSET else query.queue
    task = await call.service.client.retry(call.path["id"], queue=queue, force=query.force)
    return Response(200, task_document(task))


TASK = Success("The task.", TaskDocument)

OPERATIONS = (
    Operation(
        method="POST",
        path="/v1/tasks",
        name="createTask",
        tag="Tasks",
        summary="Create and enqueue a task.",
        text="The task goes to the default queue of the server, or to the queue that the body names. That queue must "
        "exist. A server with a verification key does not sign: pass `signature`, and the `id` and `created` that it "
        "covers. An `Idempotency-Key` is valid for 10 minutes on all replicas: a repeat with the same body returns "
        "200 and the same task, a repeat with another body returns 409.",
        handler=create,
        scope=Scope.WRITE,
        body=TaskCreateRequest,
        reasons=TASK_REASONS,
        headers={
            "Idempotency-Key": "1 to 128 printable ASCII characters, no spaces. Send the same key with each repeat."
        },
        responses={
            201: Success("Created and enqueued.", TaskDocument, headers={"Location": "Path of the task."}),
            200: Success("Created before, with the same key.", TaskDocument, headers={"Location": "Path of the task."}),
        },
        errors=(404, 409),
    ),
    Operation(
        method="GET",
        path="/v1/tasks/{id}",
        name="getTask",
        tag="Tasks",
        summary="Get a task by ID.",
        text="With `wait`, the response comes when the task has finished, or after that time with its current state.",
        handler=get,
        scope=Scope.READ,
        query=WaitQuery,
        waits=True,
        reasons={"wait": "invalid_duration"},
        responses={200: TASK},
    ),
    Operation(
        method="DELETE",
        path="/v1/tasks/{id}",
        name="deleteTask",
        tag="Tasks",
        summary="Delete a task.",
        text="A worker that receives its work item drops the item.",
        handler=delete,
        scope=Scope.WRITE,
        responses={204: Success("Deleted.")},
        errors=(409,),
    ),
    Operation(
        method="GET",
        path="/v1/tasks/{id}/result",
        name="getTaskResult",
        tag="Tasks",
        summary="Get the result of a task.",
        text="With `wait`, the response comes when the task has finished. If the task failed, the status is 424.",
        handler=result,
        scope=Scope.READ,
        query=WaitQuery,
        waits=True,
        reasons={"wait": "invalid_duration"},
        responses={
            200: Success("The task is complete.", TaskOutcome),
            202: Success(
                "The task has not finished: try again later.",
                TaskOutcome,
                headers={"Retry-After": "Seconds to wait before the next request."},
            ),
        },
        errors=(424,),
    ),
    Operation(
        method="POST",
        path="/v1/tasks/{id}/retry",
        name="retryTask",
        tag="Tasks",
        summary="Retry a task.",
        text="The task gets all its tries again.",
        handler=retry,
        scope=Scope.WRITE,
        query=RetryQuery,
        reasons={"queue": "queue_name_invalid"},
        responses={200: Success("Enqueued again.", TaskDocument)},
        errors=(409,),
    ),
)
